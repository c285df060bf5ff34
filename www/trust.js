/**
 * The identities of peers: which one is pinned, and the way that a message to a peer may go.
 *
 * **Invariants**
 * - A peer with a pinned identity gets no plain text, unless the reader has asked for it while the
 *   peer had no card.
 * - A pinned identity gives way to another one only by a decision of the reader.
 * - `card` is a card of the pinned identity, `otherCard` one of the other identity.
 *
 * It does not know cryptography: cards come verified, and messages opened.
 */

import { maySealTo } from "./card.js";
import { isMissing, newLedger, takeNumber, takeSignal } from "./ledger.js";
import { isId } from "./ids.js";

/** @type {Way} */
const PLAIN = { kind: "plain" };
/** @type {Way} */
const WAIT = { kind: "wait" };

export class Trust {
	#state;
	#outside;
	/** The server knows cards. */
	#hasLookup = false;
	/** Peers of which the server has not told the card yet. @type {Set<string>} */
	#asked = new Set();

	/** @param {Readonly<State>} state @param {TrustOutside} outside */
	constructor(state, outside) {
		this.#state = state;
		this.#outside = outside;
	}

	/** @param {JoinedLine} line */
	connected({ card = 0 }) {
		this.#hasLookup = card > 0;
		const { conversations, openPeer } = this.#state;
		this.lookUp(conversations.get(openPeer));
	}

	disconnected() {
		this.#asked.clear();
		for (const conversation of this.#state.conversations.values()) conversation.heard = "";
	}

	/** Returns `true` if the server has to answer a `lookup`. */
	get awaitsAnswer() {
		return this.#asked.size > 0;
	}

	// ---- the way to a peer

	/**
	 * Returns the way that a message to a peer has to go now.
	 * @param {string} peer @returns {Way}
	 */
	wayTo(peer) {
		const conversation = this.#state.conversations.get(peer);
		if (!conversation) return WAIT;
		const { keys: { pin, other, card, plain } } = conversation;
		const seals = this.#outside.ownCard() !== undefined;
		if (other) return refused("changed", peer);
		if (!pin && (!seals || !this.#hasLookup || !isId(peer))) return PLAIN;
		if (!seals) return plain ? PLAIN : refused("unsealed", peer);
		const isGood = card !== undefined && maySealTo(card, this.#outside.now() / 1000);
		// The server may have a newer one.
		if (pin && !isGood && conversation.heard === "card") conversation.heard = "";
		this.lookUp(conversation);
		const { heard } = conversation;
		if (heard === "none" && pin && !plain) return refused("unsealed", peer);
		if (heard === "none") return PLAIN;
		if (heard !== "card" && this.#hasLookup) return WAIT;
		return card && isGood ? { kind: "sealed", card } : refused("unsealed", peer);
	}

	/**
	 * Asks the server for the peer's card, once in a connection.
	 * @param {Conversation} [conversation]
	 */
	lookUp(conversation) {
		const isDue = conversation?.heard === "" && this.#hasLookup && isId(conversation.peer);
		if (!isDue || this.#state.connection !== "joined") return;
		if (!this.#outside.ownCard()) return;
		conversation.heard = "asked";
		this.#asked.add(conversation.peer);
		this.#outside.say({ type: "lookup", id: conversation.peer });
	}

	/** No client had the peer's id, but one may have it now. @param {Conversation} conversation */
	expect(conversation) {
		if (conversation.heard === "unclaimed") conversation.heard = "";
	}

	/**
	 * A peer that has come may have another card, or one at last.
	 * @param {Conversation} conversation @param {boolean} wasAway it was away until now
	 */
	peerReturned(conversation, wasAway) {
		const { heard, peer } = conversation;
		if (heard === "asked" || heard === "card" && !wasAway) return;
		conversation.heard = "";
		if (peer === this.#state.openPeer) this.lookUp(conversation);
	}

	/**
	 * Returns the numbers of a message to this peer: its own, and the one before.
	 * @param {string} peer
	 */
	numberMessage(peer) {
		const { conversations } = this.#state;
		const conversation = /** @type {Conversation} */ (conversations.get(peer));
		const { keys } = conversation;
		const after = keys.messaged;
		keys.messaged = this.#number(keys);
		this.#outside.unsaved.addConversation(conversation);
		return { number: keys.messaged, after };
	}

	/** @param {PeerKeys} keys */
	#number(keys) {
		keys.numbered = Math.max(keys.numbered + 1, this.#outside.now() * 1000);
		return keys.numbered;
	}

	/**
	 * Says a signal on the way that messages go. Returns `false` if there is none now.
	 * @param {Conversation} conversation @param {Signal} sealed @param {object} plain
	 */
	signal(conversation, sealed, plain) {
		const { peer: to, keys } = conversation;
		const way = this.wayTo(to);
		if (way.kind === "plain") this.#outside.say({ type: "signal", to, body: plain });
		if (way.kind === "sealed") {
			this.#saySealed(to, way.card, { number: this.#number(keys), ...sealed });
		}
		return way.kind === "plain" || way.kind === "sealed";
	}

	/** @param {string} to @param {Card} card @param {Content} content */
	#saySealed(to, card, content) {
		this.#outside.say({ type: "signal", to, body: null }, { kind: "signal", card, content });
	}

	// ---- lines of the server

	/**
	 * The server has answered a `lookup`. Returns the conversation.
	 * @param {CardLine} line
	 */
	heard({ id, claimed, card }) {
		const conversation = this.#state.conversations.get(id);
		this.#asked.delete(id);
		if (!conversation) return undefined;
		const isOutdated = card && !maySealTo(card, this.#outside.now() / 1000);
		conversation.heard = !claimed ? "unclaimed" : card && !isOutdated ? "card" : "none";
		if (card) this.#meet(conversation, card);
		// The server has the present one, also if an earlier one was to last longer.
		const { keys } = conversation;
		if (card && keys.pin?.sign === card.sign) keys.card = card;
		return conversation;
	}

	/**
	 * Returns the fields that an arrived message gets by the way it came, or `null` if it came before.
	 * @param {Conversation} conversation @param {MessageLine} line
	 * @returns {ArrivedFields | null}
	 */
	arrive(conversation, { body, opened }) {
		const { pin } = conversation.keys;
		if (!opened) return { body, ...(pin && { plain: true }) };
		const { card, content } = opened;
		if (!card || !content) return { body: null, unreadable: true };
		const ledger = this.#meet(conversation, card);
		const { number, after = 0 } = content;
		const { got } = ledger;
		this.#goOnAfter(conversation, content.got);
		this.#outside.unsaved.addConversation(conversation);
		if (!takeNumber(ledger, number, after)) return null;
		return {
			body: content.body, number, after,
			...(got > 0 && isMissing(ledger, after) && after > 0 && { gap: true }),
			...(number < got && { late: true }),
			...(ledger !== conversation.keys.pin && { foreign: true }),
		};
	}

	/**
	 * Numbers our messages above those that the peer has, also if our clock was ahead then.
	 * @param {Conversation} conversation @param {number} [got] the highest one that the peer has
	 */
	#goOnAfter({ keys }, got = 0) {
		// A peer that makes one up harms itself, but numbers have an end.
		if (got < this.#outside.now() * 2000) keys.numbered = Math.max(keys.numbered, got);
	}

	/**
	 * Returns the content of a signal that counts: a peer with a pinned identity has to seal it.
	 * @param {Conversation} conversation @param {SignalLine} line
	 * @returns {{ content: Signal, isForeign: boolean } | null}
	 */
	signalled(conversation, { body, opened }) {
		if (!opened) {
			const isPlain = !conversation.keys.pin && body instanceof Object;
			return isPlain ? { content: /** @type {Signal} */ (body), isForeign: false } : null;
		}
		const { card, content } = opened;
		if (!card || !content) return null;
		const ledger = this.#meet(conversation, card);
		if (!takeSignal(ledger, content.number)) return null;
		return { content, isForeign: ledger !== conversation.keys.pin };
	}

	/**
	 * Asks a peer to send messages again that could not be opened here.
	 * @param {Conversation} conversation @param {Card} card that came with them
	 * @param {string[]} mids
	 */
	askAgain({ peer, keys }, card, mids) {
		if (keys.pin && keys.pin.sign !== card.sign) return;
		if (!this.#outside.ownCard() || !maySealTo(card, this.#outside.now() / 1000)) return;
		this.#saySealed(peer, card, { number: this.#number(keys), lost: mids });
	}

	/**
	 * Returns the numbers of an identity, which is pinned if the peer had none.
	 * @param {Conversation} conversation @param {Card} card
	 */
	#meet(conversation, card) {
		const { keys } = conversation;
		const { sign } = card;
		if (!keys.pin) this.#pin(conversation, newLedger(sign));
		this.#outside.unsaved.addConversation(conversation);
		if (keys.pin?.sign !== sign) return this.#meetOther(conversation, card);
		Object.assign(keys, { card: later(card, keys.card), plain: false });
		const isGood = maySealTo(card, this.#outside.now() / 1000);
		if (conversation.heard === "none" && isGood) conversation.heard = "card";
		return /** @type {Ledger} */ (keys.pin);
	}

	/** @param {Conversation} conversation @param {Ledger} ledger */
	#pin({ peer, keys }, ledger) {
		Object.assign(keys, { pin: ledger, card: undefined, verified: false, plain: false });
		this.#outside.notePin(peer, ledger.sign);
	}

	/** @param {Conversation} conversation @param {Card} card */
	#meetOther({ peer, keys }, card) {
		if (!keys.other) {
			keys.other = newLedger(card.sign);
			this.#outside.stop(peer, { code: "changed", to: peer });
		}
		// The question is about the first one: its number may have been read out already.
		if (keys.other.sign !== card.sign) return newLedger(card.sign);
		keys.otherCard = later(card, keys.otherCard);
		return keys.other;
	}

	// ---- decisions of the reader

	/**
	 * Pins the identity of an invite link.
	 * @param {Conversation} conversation @param {string} sign
	 */
	invited(conversation, sign) {
		const { keys, peer } = conversation;
		if (!keys.pin) this.#pin(conversation, newLedger(sign));
		if (keys.pin?.sign === sign) {
			keys.verified = true;
		} else if (keys.other?.sign !== sign) {
			Object.assign(keys, { other: newLedger(sign), otherCard: undefined });
			this.#outside.stop(peer, { code: "changed", to: peer });
		}
		this.#outside.unsaved.addConversation(conversation);
	}

	/**
	 * Answers the question about another identity: it is the peer's, or the pinned one is to stay.
	 * @param {Conversation} conversation @param {boolean} isPeers
	 */
	decide(conversation, isPeers) {
		const { keys } = conversation;
		const { other, otherCard } = keys;
		if (other && isPeers) {
			this.#pin(conversation, other);
			keys.card = otherCard;
			conversation.heard = "";
		}
		Object.assign(keys, { other: undefined, otherCard: undefined });
		this.#outside.unsaved.addConversation(conversation);
		this.lookUp(conversation);
	}

	/**
	 * Two people have compared the numbers.
	 * @param {Conversation} conversation @param {boolean} verified
	 */
	verify(conversation, verified) {
		conversation.keys.verified = verified;
		this.#outside.unsaved.addConversation(conversation);
	}

	/**
	 * The reader writes plain text to a peer that has no card any more.
	 * @param {Conversation} conversation
	 */
	allowPlain(conversation) {
		conversation.keys.plain = true;
		this.#outside.unsaved.addConversation(conversation);
	}
}

/** @returns {PeerKeys} */
export function newKeys() {
	return { verified: false, plain: false, numbered: 0, messaged: 0 };
}

/**
 * Returns the word for the safety of a conversation: empty until it is known.
 * @param {Pick<Conversation, "keys" | "heard">} conversation @param {boolean} seals we have a card
 * @returns {Safety}
 */
export function safetyOf({ keys, heard }, seals) {
	if (keys.other) return "changed";
	if (!keys.pin) return !seals || heard === "none" ? "plain" : "";
	if (keys.plain && heard !== "card") return "plain";
	if (!seals || heard === "none") return "gone";
	return keys.verified ? "verified" : "sealed";
}

/**
 * Returns the reason to doubt each of these peers that has the same identity as an earlier one.
 * @param {Conversation[]} conversations @returns {Map<string, Reason>}
 */
export function sharedKeys(conversations) {
	/** @type {Map<string, string>} */
	const peers = new Map();
	/** @type {Map<string, Reason>} */
	const doubts = new Map();
	for (const { peer, keys: { pin } } of conversations) {
		const to = pin && peers.get(pin.sign);
		if (to) doubts.set(peer, { code: "same_key", to });
		else if (pin) peers.set(pin.sign, peer);
	}
	return doubts;
}

/** @param {Card} card @param {Card} [known] */
function later(card, known) {
	return known && known.until > card.until ? known : card;
}

/** @param {string} code @param {string} to @returns {Way} */
function refused(code, to) {
	return { kind: "refused", reason: { code, to } };
}
