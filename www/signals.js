/**
 * Presence, and the signals beside the messages: of typing and of reading.
 *
 * **Invariants**
 * - Strangers and blocked peers learn nothing about us, and no peer learns it against a setting.
 * - We tell ourselves nothing.
 * - Without a connection no peer is shown as present or typing.
 *
 * It does not know the fates of messages.
 */

/** A peer is told this often at most that we are typing. */
export const TYPING_MS_EVERY = 3000;

/** A peer has stopped typing if no signal comes for this long. */
export const TYPING_MS_SHOWN = 6000;

export class Signals {
	#state;
	#outside;

	/** @param {Readonly<State>} state @param {SignalsOutside} outside */
	constructor(state, outside) {
		this.#state = state;
		this.#outside = outside;
	}

	/** @param {Conversation} conversation @param {"read" | "typing"} setting */
	#mayTell({ peer, accepted, blocked }, setting) {
		const { settings, connection, id } = this.#state;
		const isOther = accepted && !blocked && peer !== id;
		return settings[setting] && isOther && connection === "joined";
	}

	/** @param {Conversation} conversation */
	tellTyping(conversation) {
		const now = this.#outside.now();
		if (now - conversation.typedAt < TYPING_MS_EVERY) return;
		if (!this.#mayTell(conversation, "typing")) return;
		conversation.typedAt = now;
		this.#outside.trust.signal(conversation, { typing: true }, { typing: true });
	}

	/**
	 * Tells the peer the last message of theirs that we have seen.
	 * @param {Conversation} conversation
	 */
	tellRead(conversation) {
		if (!this.#mayTell(conversation, "read")) return;
		const { messages, seen, keys } = conversation;
		// Of a peer that seals, only sealed messages have a name that it trusts.
		const { mid, number } = messages.findLast(({ mine, place, foreign, number }) => {
			return !mine && place <= seen && !foreign && (number || !keys.pin);
		}) ?? {};
		if (!mid || mid === conversation.readTold) return;
		const isTold = this.#outside.trust.signal(conversation, { read: number }, { read: mid });
		if (isTold) conversation.readTold = mid;
	}

	/** @param {SignalLine} line */
	received(line) {
		const conversation = this.#state.conversations.get(line.from);
		const signalled = conversation && this.#outside.trust.signalled(conversation, line);
		if (!signalled) return;
		const { typing, read, lost } = signalled.content;
		if (Array.isArray(lost)) this.#outside.lost(conversation.peer, lost, signalled.isForeign);
		if (signalled.isForeign) return;
		if (typeof typing === "boolean") this.#setTyping(conversation, typing);
		if (read === undefined) return;
		const message = conversation.messages.findLast(({ mine, mid, number }) => {
			return mine && (conversation.keys.pin ? number : mid) === read;
		});
		if (!message || message.place <= conversation.readTo) return;
		conversation.readTo = message.place;
		this.#outside.unsaved.addConversation(conversation);
	}

	/** @param {Conversation} conversation @param {boolean} isTyping */
	#setTyping(conversation, isTyping) {
		const until = isTyping ? this.#outside.now() + TYPING_MS_SHOWN : 0;
		conversation.typing = until;
		if (!isTyping) return;
		this.#outside.later(() => {
			if (conversation.typing !== until) return;
			conversation.typing = 0;
			this.#outside.changed();
		}, TYPING_MS_SHOWN);
	}

	/** Returns the conversation if its peer has just come online. @param {PresenceLine} line */
	presence({ id, online }) {
		const conversation = this.#state.conversations.get(id);
		if (!conversation) return undefined;
		const hasCome = online && conversation.presence !== "online";
		conversation.presence = online ? "online" : "away";
		if (!online) conversation.typing = 0;
		return hasCome ? conversation : undefined;
	}

	/**
	 * Tells it again: signals to a peer that is away are lost.
	 * @param {Conversation} conversation
	 */
	peerReturned(conversation) {
		conversation.readTold = undefined;
		this.tellRead(conversation);
	}

	connected() {
		for (const conversation of this.#state.conversations.values()) {
			conversation.readTold = undefined;
		}
	}

	disconnected() {
		for (const conversation of this.#state.conversations.values()) {
			conversation.presence = "";
			conversation.typing = 0;
		}
	}
}
