/**
 * The conversations of our id, and the one that is open.
 *
 * **Invariants**
 * - Each message of a conversation has a higher place than the one before.
 * - There are no more conversations than one connection may watch.
 *
 * It does not know the fates of messages.
 */

import { newLedger, takeNumber } from "./ledger.js";
import { WATCHED_MAX } from "./protocol.js";
import { newConversation } from "./state.js";

/** Messages of one conversation in memory. */
export const MESSAGES_MAX = 10_000;

/** Messages that are loaded at once. */
export const PAGE_MESSAGES = 60;

/** The most messages that are loaded for unread ones. */
const UNREAD_LOADED_MAX = 1000;

/** One less than a connection may watch: a probe watches our own id. */
export const CONVERSATIONS_MAX = WATCHED_MAX - 1;

export class Conversations {
	#state;
	#outside;

	/** @param {StateOfConversations} state @param {PartOutside} outside */
	constructor(state, outside) {
		this.#state = state;
		this.#outside = outside;
	}

	get current() {
		return this.#state.conversations.get(this.#state.openPeer);
	}

	/** Returns `true` if the peer has been here: messages came, or arrived. @param {string} peer */
	hasMet(peer) {
		const { messages, readTo } = this.#state.conversations.get(peer) ?? newConversation(peer);
		return readTo > 0 || messages.some(({ mine, state }) => !mine || state === "delivered");
	}

	/** @param {string} peer */
	open(peer) {
		if (peer === this.#state.openPeer) return;
		this.close();
		this.#state.openPeer = peer;
		const conversation = this.get(peer);
		conversation.hidden = false;
		const { unread, seen, messages, earlier } = conversation;
		if (unread) conversation.newAfter = seen;
		const forUnread = Math.min(unread + PAGE_MESSAGES / 2, UNREAD_LOADED_MAX);
		const wanted = Math.max(PAGE_MESSAGES, forUnread);
		if (earlier && messages.length < wanted) this.loadEarlier(wanted);
	}

	/** Leaves only a page of the open conversation in memory, if the browser keeps the rest. */
	close() {
		const conversation = this.current;
		this.#state.openPeer = "";
		if (!conversation) return;
		conversation.newAfter = undefined;
		const surplus = conversation.messages.length - PAGE_MESSAGES;
		if (surplus <= 0 || !this.#state.kept) return;
		conversation.messages.splice(0, surplus);
		conversation.earlier = true;
	}

	loadEarlier(count = PAGE_MESSAGES) {
		const conversation = this.current;
		if (!conversation?.earlier || conversation.loading) return;
		conversation.loading = true;
		this.#outside.load(conversation.peer, firstPlace(conversation), count);
	}

	/**
	 * Puts loaded messages in front. Returns `false` if the conversation was cleared meanwhile.
	 * @param {string} peer @param {Message[]} messages @param {boolean} earlier
	 */
	loaded(peer, messages, earlier) {
		const conversation = this.#state.conversations.get(peer);
		if (!conversation?.loading) return false;
		conversation.loading = false;
		conversation.earlier = earlier;
		const first = firstPlace(conversation);
		const older = messages.filter(({ place }) => place < first);
		conversation.messages = [...this.#withOurs(older), ...conversation.messages];
		return true;
	}

	/** Replaces stored copies by the messages that will get a fate. @param {Message[]} stored */
	#withOurs(stored) {
		return stored.map((message) => this.#outside.outgoing.find(message) ?? message);
	}

	/**
	 * Takes up kept conversations, with those of this visit behind them.
	 * @param {Kept["conversations"]} kept
	 */
	restore(kept) {
		const { conversations } = this.#state;
		const newer = [...conversations.values()];
		conversations.clear();
		for (const { tail, ...fields } of kept) {
			const messages = this.#withOurs(tail);
			const earlier = messages.length > 0;
			const conversation = { ...newConversation(fields.peer), ...fields, messages, earlier };
			conversations.set(fields.peer, conversation);
		}
		for (const conversation of newer) {
			const older = conversations.get(conversation.peer);
			if (older) this.#takeUp(conversation, older);
			conversations.delete(conversation.peer);
			conversations.set(conversation.peer, conversation);
		}
		while (conversations.size > CONVERSATIONS_MAX) this.#dropLeastRecent();
	}

	/**
	 * Joins a conversation of this visit with its kept part, which may have some of its messages.
	 * @param {Conversation} conversation @param {Conversation} older
	 */
	#takeUp(conversation, older) {
		const { last, seen, readTo, draft, accepted, blocked, keys } = conversation;
		const { pin } = older.keys;
		const messages = conversation.messages.filter((message) => {
			const { mine, foreign, number } = message;
			if (mine || foreign || !number || pin?.sign !== keys.pin?.sign) return true;
			return !pin || takeNumber(pin, number, message.after ?? 0);
		});
		const doubles = conversation.messages.filter((message) => !messages.includes(message));
		for (const message of doubles) this.#outside.unsaved.drop(message);
		Object.assign(conversation, {
			messages: messages.length ? messages : older.messages,
			earlier: older.earlier,
			last: Math.max(last, older.last),
			unread: conversation.unread - doubles.length + older.unread,
			seen: Math.max(seen, older.seen),
			readTo: Math.max(readTo, older.readTo),
			draft: draft || older.draft,
			accepted: accepted || older.accepted,
			blocked: blocked || older.blocked,
			keys: joinKeys(keys, older.keys),
		});
	}

	/** Leaves out arrived messages that were kept before. @param {Set<string>} mids */
	drop(mids) {
		if (!mids.size) return;
		for (const conversation of this.#state.conversations.values()) {
			conversation.messages = conversation.messages.filter((message) => {
				if (message.mine || !mids.has(message.mid)) return true;
				this.#outside.unsaved.drop(message);
				conversation.unread = Math.max(0, conversation.unread - 1);
				return false;
			});
		}
	}

	/** Opens a conversation again that was restored. @param {string} peer */
	reopen(peer) {
		this.#state.openPeer = "";
		this.open(peer);
	}

	/**
	 * Gives a message its place, behind all others, and returns it.
	 * @template {Message} Kind @param {Kind} message
	 */
	append(message) {
		const { peer, mine } = message;
		const { conversations, openPeer, visible, kept } = this.#state;
		const conversation = this.get(peer);
		const lastPlace = conversation.messages.at(-1)?.place ?? 0;
		conversation.hidden = false;
		message.place = conversation.last = this.#nextPlace(conversation);
		conversation.messages.push(message);
		if (conversation.messages.length > MESSAGES_MAX) {
			conversation.messages.shift();
			conversation.earlier = kept;
		}
		if (!mine) {
			conversation.unread += 1;
			conversation.typing = 0;
			if (peer === openPeer && !visible) conversation.newAfter ??= lastPlace;
		}
		this.#outside.unsaved.addMessage(message);
		this.#outside.unsaved.addConversation(conversation);
		// A map keeps the order in which its keys were put in.
		conversations.delete(peer);
		conversations.set(peer, conversation);
		return message;
	}

	/**
	 * Returns a place behind all others. Two tabs write one after the other, so times tell them
	 * apart.
	 * @param {Conversation} conversation
	 */
	#nextPlace({ last }) {
		return Math.max(last + 1, this.#outside.now() * 1000);
	}

	/** Returns `true` if not all messages up to this one were seen yet. @param {Message} message */
	markSeen({ place }) {
		const conversation = this.current;
		if (!this.#state.visible || !conversation || place <= conversation.seen) return false;
		const { messages, seen, unread } = conversation;
		const passed = messages.filter((one) => !one.mine && one.place > seen && one.place <= place);
		const isLast = place === messages.at(-1)?.place;
		conversation.unread = isLast ? 0 : Math.max(0, unread - passed.length);
		conversation.seen = place;
		this.#outside.unsaved.addConversation(conversation);
		return true;
	}

	/** Returns the id in the list that differs from this one by case only. @param {string} peer */
	alike(peer) {
		const all = this.#state.conversations;
		const lower = peer.toLowerCase();
		return all.has(peer) ? "" : [...all.keys()].find((one) => one.toLowerCase() === lower) ?? "";
	}

	/** Returns the conversation with a peer, a new one if there is none. @param {string} peer */
	get(peer) {
		return this.#state.conversations.get(peer) ?? this.#create(peer);
	}

	/** @param {string} peer */
	#create(peer) {
		const { conversations, connection } = this.#state;
		if (conversations.size === CONVERSATIONS_MAX) this.#dropLeastRecent();
		const conversation = newConversation(peer);
		// The storage may not have answered yet.
		const sign = this.#outside.pinOf(peer);
		if (sign) conversation.keys.pin = newLedger(sign);
		conversation.last = this.#nextPlace(conversation);
		conversations.set(peer, conversation);
		this.#outside.unsaved.addConversation(conversation);
		if (connection === "joined") this.#outside.say({ type: "watch", ids: [peer] });
		return conversation;
	}

	/** Strangers go first, so they cannot push out a peer that we have written to. */
	#dropLeastRecent() {
		const { conversations, openPeer } = this.#state;
		const candidates = [...conversations.values()].filter(({ peer }) => peer !== openPeer);
		const dropped = candidates.find(({ accepted, blocked }) => !accepted && !blocked)
			?? candidates.find(({ blocked }) => !blocked) ?? candidates[0];
		this.#drop(dropped);
	}

	/** @param {Conversation} conversation */
	#drop(conversation) {
		const { peer } = conversation;
		this.#forgetMessages(conversation);
		this.#outside.unpin(peer);
		this.#state.conversations.delete(peer);
		if (this.#state.connection === "joined") this.#outside.say({ type: "unwatch", ids: [peer] });
	}

	/**
	 * Deletes the open conversation. A blocked peer has to stay in the list, and is hidden there.
	 * @param {Conversation} conversation
	 */
	remove(conversation) {
		this.close();
		if (!conversation.blocked) return this.#drop(conversation);
		conversation.hidden = true;
		conversation.draft = "";
		this.clear(conversation);
	}

	/** @param {Conversation} conversation */
	#forgetMessages(conversation) {
		this.#outside.outgoing.drop(conversation.peer);
		this.#outside.unsaved.clear(conversation);
	}

	/** Forgets all messages, also those that wait to be sent. @param {Conversation} conversation */
	clear(conversation) {
		this.#forgetMessages(conversation);
		conversation.messages = [];
		conversation.earlier = conversation.loading = false;
		conversation.unread = 0;
		conversation.newAfter = undefined;
		this.#outside.unsaved.addConversation(conversation);
	}

	forget() {
		this.#state.conversations.clear();
		this.#state.openPeer = "";
	}
}

/** @param {Conversation} conversation */
function firstPlace({ messages }) {
	return messages[0]?.place ?? Infinity;
}

/**
 * Joins the keys of this visit with the kept ones, whose identity stays pinned.
 * @param {PeerKeys} keys @param {PeerKeys} older
 */
function joinKeys(keys, older) {
	const numbered = Math.max(keys.numbered, older.numbered);
	const messaged = Math.max(keys.messaged, older.messaged);
	if (!older.pin) return { ...keys, numbered, messaged };
	const isSame = !keys.pin || keys.pin.sign === older.pin.sign;
	const { other, otherCard } = isSame ? keys : { other: keys.pin, otherCard: keys.card };
	return {
		...older,
		...(other && { other, otherCard }),
		...(isSame && keys.card && { card: keys.card }),
		verified: older.verified || isSame && keys.verified,
		numbered,
		messaged,
	};
}
