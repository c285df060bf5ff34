/**
 * The messages that arrive: each is shown once, in its place, and acknowledged when it is kept.
 *
 * **Invariants**
 * - No message is shown twice: the mids of messages to us are known, or their numbers if they have
 *   one.
 * - A message that could not be opened has a row, too, and its sender is asked for it once.
 *
 * It does not know how a message is opened, or the meaning of a number.
 */

import { BoundedMap } from "./bounded.js";
import { contentOf } from "./protocol.js";

/**
 * The latest mids of messages to us, which are known again. The server repeats a message if our
 * `ack` of it was lost, and with it all later ones. So a forgotten mid comes again only if the
 * server holds this many newer messages for us: 11 MiB by its count of 176 bytes or more each, and
 * its `--held` is 512 KiB.
 */
export const KNOWN_MAX = 65536;

/** The most messages that a peer is asked to send again at once. */
const LOST_MAX = 64;

/** A message is asked for within this time: its sender would not seal an older one again. */
const ASKED_MS_MAX = 86_400_000;

export class Arrivals {
	#state;
	#outside;
	/** The mid of each, by its number or else its mid. @type {BoundedMap<string, string>} */
	#known = new BoundedMap(KNOWN_MAX);
	/** Messages of the present text that could not be opened, by peer. @type {Map<string, Lost>} */
	#lost = new Map();

	/** @param {Readonly<State>} state @param {ArrivalsOutside} outside */
	constructor(state, outside) {
		this.#state = state;
		this.#outside = outside;
	}

	/** Takes up kept names, and returns the mids of those that came again. @param {string[]} names */
	restore(names) {
		const again = new Set(names.map((name) => this.#known.get(name) ?? ""));
		for (const name of names) this.#known.set(name, name);
		return again;
	}

	/** Returns `true` for a message that came before. @param {string} mid */
	knows(mid) {
		return this.#known.has(mid);
	}

	forget() {
		this.#known.clear();
		this.#lost.clear();
	}

	/**
	 * Returns the message, if it is new. A known mid comes again if the server did not get our `ack`
	 * of it, a known number if it forgot that it had the message.
	 * @param {MessageLine} line
	 */
	arrive(line) {
		const { from: peer, mid, at, opened } = line;
		const { content, number } = opened ? { content: null } : contentOf(line.body);
		const name = number ? `${peer} ${number}` : mid;
		const { unsaved, outgoing, conversations, trust } = this.#outside;
		const isKnown = this.#known.has(name);
		this.#known.set(name, this.#known.get(name) ?? mid);
		unsaved.addAck(peer, mid);
		if (isKnown) return undefined;
		unsaved.addMid(name);
		// A note to ourselves is in its conversation since it was written.
		if (peer === this.#state.id && outgoing.isOurs(line)) return undefined;
		const conversation = conversations.get(peer);
		const fields = trust.arrive(conversation, opened ? line : { ...line, body: content });
		if (!fields) return undefined;
		if (fields.unreadable) this.#noteLost(conversation, mid, opened?.card);
		return this.#fillIn(conversation, fields, opened?.content?.was) ?? conversations.append({
			peer, place: 0, mine: false, at, state: "received", mid, ...fields,
		});
	}

	/**
	 * Puts a message in the place of its first copy, which could not be opened.
	 * @param {Conversation} conversation @param {ArrivedFields} fields @param {string} [was]
	 */
	#fillIn({ messages }, fields, was) {
		const row = messages.findLast(({ mid }) => was !== undefined && mid === was);
		if (!row || row.mine || !row.unreadable) return undefined;
		Object.assign(row, fields, { unreadable: undefined });
		this.#outside.unsaved.addMessage(row);
		return row;
	}

	/**
	 * The peer will be asked to send this message again, if it is no stranger.
	 * @param {Conversation} conversation @param {string} mid @param {Card} [card] that came with it
	 */
	#noteLost({ peer, accepted, blocked }, mid, card) {
		if (!card || !accepted || blocked) return;
		const { mids = [] } = this.#lost.get(peer) ?? {};
		this.#lost.set(peer, { card, mids: [...mids, mid] });
	}

	/** Asks for the messages of a text that could not be opened. */
	askAgain() {
		for (const [peer, { card, mids }] of this.#lost) {
			const conversation = this.#state.conversations.get(peer);
			while (conversation && mids.length) {
				this.#outside.trust.askAgain(conversation, card, mids.splice(0, LOST_MAX));
			}
		}
		this.#lost.clear();
	}

	/**
	 * Asks for all unreadable messages of a peer, which may not have heard an earlier request.
	 * @param {Conversation} conversation
	 */
	askAnew({ peer, messages, keys, accepted, blocked }) {
		const since = this.#outside.now() - ASKED_MS_MAX;
		const lost = messages.filter((message) => {
			return !message.mine && message.unreadable && message.at > since;
		});
		if (!lost.length || !keys.card || !accepted || blocked) return;
		this.#lost.set(peer, { card: keys.card, mids: lost.map(({ mid = "" }) => mid) });
		this.askAgain();
	}

	/**
	 * A peer could not open these messages of ours. Older ones are searched in the storage.
	 * @param {string} peer @param {unknown[]} mids
	 * @param {boolean} isForeign the peer has another identity than the pinned one
	 */
	async sealAgain(peer, mids, isForeign) {
		const { messages = [], earlier, accepted, blocked } = this.#state.conversations.get(peer) ?? {};
		if (!accepted || blocked) return;
		const lost = new Set(mids.slice(0, LOST_MAX));
		const find = (/** @type {Message[]} */ list) => list.filter(({ mid }) => lost.has(mid));
		const found = find(messages);
		this.#sealAll(found, isForeign);
		if (!earlier || found.length === lost.size) return;
		this.#sealAll(find(await this.#outside.search(peer)), isForeign);
		this.#outside.changed();
	}

	/** @param {Message[]} messages @param {boolean} isForeign */
	#sealAll(messages, isForeign) {
		for (const message of messages) {
			const { mid, number } = message;
			if (message.mine && mid && number) this.#outside.outgoing.sealAgain(message, mid, isForeign);
		}
	}
}
