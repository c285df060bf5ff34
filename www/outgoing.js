/**
 * The messages we wrote, until their fate is known: delivered or failed.
 *
 * **Invariants**
 * - A message is "sending" or "waiting" exactly while it is in `unanswered` of `#sends` (the server
 *   may have it), `#waiting` (not said yet) or `#parked` (its peer is not back yet).
 * - A message is "sent" or "doubtful" exactly while it is in `sent` of `#sends`.
 * - A message that waits for its peer is said when the peer is back, and after each `join`.
 * - Messages to a peer go to the server in the order in which they were written.
 * - A message is repeated only under the ownership of our id under which it was said. A sealed one
 *   has a number, by which its recipient knows it again, so it may go anew under a later one.
 * - A message that was sealed for one identity goes to no other, nor as plain text.
 *
 * It does not know conversations, the socket or the storage.
 */

import { lineBytes, listParts, MESSAGE_BYTES_DEFAULT, sendLine } from "./protocol.js";
import { contentBytesMax } from "./sealed.js";
import { isLostUnder, Sends } from "./sends.js";

/**
 * After a restart of the server all peers come back, but not at once. A peer that is not back after
 * the longest delay of a page (20 s) and a bit is offline.
 */
export const RETURN_GRACE_MS = 25_000;

/** As long as any number of a message will be for 200 years, in microseconds since 1970. */
const ANY_NUMBER = 8e15;

/** A message that could not be opened is sealed anew within this time. */
const RESEAL_MS_MAX = 86_400_000;

export class Outgoing {
	#outside;
	/** Given to the socket. @type {Sends<OutgoingMessage>} */
	#sends = new Sends();
	/** Not given to the socket yet. @type {OutgoingMessage[]} */
	#waiting = [];
	/**
	 * Written before the server forgot their peers, which may return.
	 * @type {Set<OutgoingMessage>}
	 */
	#mayReturn = new Set();
	/**
	 * Refused or expired, until the peer is back; by peer.
	 * @type {Map<string, OutgoingMessage[]>}
	 */
	#parked = new Map();
	#joined = false;
	/** The present one of our id, by its name; empty if the server does not tell it. */
	#ownership = "";
	/** The server knows nothing of an earlier visit. */
	#isForgotten = false;
	#messageBytesMax = MESSAGE_BYTES_DEFAULT;

	/** @param {OutgoingOutside} outside */
	constructor(outside) {
		this.#outside = outside;
	}

	/** Divides ids or mids into parts that fit into a line each. @param {string[]} list */
	parts(list) {
		return listParts(list, this.#messageBytesMax);
	}

	/** @param {OutgoingMessage} message "sending", with a new ref */
	add(message) {
		// Sent again, it has nothing to do with its earlier fate.
		const { mid = "" } = message;
		if (this.#sends.sent.get(mid) === message) this.#sends.sent.delete(mid);
		this.#waiting.push(message);
		this.sayWaiting();
	}

	/** @param {OutgoingMessage[]} messages without a fate, in the order in which they were written */
	restore(messages) {
		/** @type {OutgoingMessage[]} */
		const unsaid = [];
		for (const message of messages) {
			const isLost = message.said && isLostUnder(message, this.#ownership, this.#isForgotten);
			if (isLost && this.#mayRepeat(message)) this.#renew(message);
			else if (isLost) this.#doubt(message);
			const { state, ref, mid = "" } = message;
			if (state === "sent" || state === "doubtful") this.#sends.sent.set(mid, message);
			else if (state !== "failed" && message.said) this.#sends.unanswered.set(ref, message);
			else if (state !== "failed") unsaid.push(message);
		}
		this.#waiting = [...unsaid, ...this.#waiting];
	}

	/**
	 * Returns `true` if messages may be lost: the server has forgotten us.
	 * @param {JoinedLine} line
	 */
	connected({ resumed, max_message, ownership = "" }) {
		this.#joined = true;
		this.#ownership = ownership;
		this.#messageBytesMax = max_message;
		// The peers may have been back while we were not here.
		for (const peer of [...this.#parked.keys()]) this.#unpark(peer);
		const said = [...this.#sends.sent.values(), ...this.#sends.unanswered.values()];
		const lost = said.filter((message) => {
			return message.state !== "doubtful" && isLostUnder(message, this.#ownership, !resumed);
		});
		if (resumed && !lost.length) return false;
		this.#isForgotten = true;
		for (const message of lost) this.#sends.unanswered.delete(message.ref);
		const doubtful = lost.filter((message) => !this.#mayRepeat(message));
		for (const message of doubtful) this.#doubt(message);
		this.#repeatLost(lost.filter((message) => this.#mayRepeat(message)));
		for (const message of this.#waiting) this.#mayReturn.add(message);
		return doubtful.length > 0;
	}

	/**
	 * Returns `true` if a double of the message would not be shown.
	 * @param {OutgoingMessage} message
	 */
	#mayRepeat({ number, cleared }) {
		return number !== undefined && !cleared;
	}

	/** @param {OutgoingMessage[]} messages that the server has forgotten */
	#repeatLost(messages) {
		for (const message of messages) {
			this.#sends.sent.delete(message.mid ?? "");
			this.#renew(message);
		}
		this.#waiting = [...messages, ...this.#waiting].sort((a, b) => a.place - b.place);
	}

	/** Has a message sealed and said anew. @param {OutgoingMessage} message */
	#renew(message) {
		const ref = this.#outside.newRef();
		this.#update(message, { state: "sending", ref, sealed: undefined, said: false });
	}

	/**
	 * The server has forgotten a message. Repeated unasked, one that was not answered might be shown
	 * twice: the server does not know its ref any more.
	 * @param {OutgoingMessage} message
	 */
	#doubt(message) {
		const isSent = message.state === "sent" || message.state === "doubtful";
		const failed = { state: /** @type {const} */ ("failed"), reason: { code: "forgotten" } };
		this.#update(message, isSent ? { state: "doubtful" } : failed);
	}

	/** A peer that has not returned by now is offline. */
	endReturnGrace() {
		this.#mayReturn.clear();
		for (const [to, messages] of [...this.#parked]) {
			this.#parked.delete(to);
			for (const message of messages) this.#miss(message, { code: "offline", to });
		}
	}

	/** @param {string} peer */
	peerReturned(peer) {
		this.#unpark(peer);
		this.sayWaiting();
	}

	/** Refused messages need new refs. @param {string} peer */
	#unpark(peer) {
		const messages = this.#parked.get(peer) ?? [];
		this.#parked.delete(peer);
		for (const message of messages) {
			this.#update(message, { ref: this.#outside.newRef(), sealed: undefined });
		}
		this.#waiting = [...messages, ...this.#waiting];
	}

	/** Keeps a message until its peer is back. @param {OutgoingMessage} message */
	#park(message) {
		if (message.cleared) return;
		this.#update(message, { said: false });
		const parked = [...(this.#parked.get(message.peer) ?? []), message];
		// Its refusal may come after a later message was written.
		this.#parked.set(message.peer, parked.sort((a, b) => a.place - b.place));
	}

	/**
	 * The peer is not there for a message, which waits if the peer is expected.
	 * @param {OutgoingMessage} message @param {Reason} reason
	 */
	#miss(message, reason) {
		const { peer, state } = message;
		if (state === "waiting" || this.#parked.has(peer) || this.#outside.isExpected(peer)) {
			this.#update(message, { state: "waiting" });
			this.#park(message);
		} else {
			this.#update(message, { state: "failed", reason });
		}
	}

	/** The writer has thought better of a message that waits. @param {OutgoingMessage} message */
	withdraw(message) {
		const { peer, ref, state } = message;
		// One that is on its way again cannot be called back.
		if (!["waiting", "sending"].includes(state) || this.#sends.unanswered.has(ref)) return;
		/** @param {OutgoingMessage} one */
		const stays = (one) => one !== message;
		this.#waiting = this.#waiting.filter(stays);
		const parked = (this.#parked.get(peer) ?? []).filter(stays);
		if (parked.length) this.#parked.set(peer, parked);
		else this.#parked.delete(peer);
		this.#update(message, { state: "withdrawn" });
	}

	/** Withdraws all messages that wait for a peer. @param {string} peer */
	withdrawAll(peer) {
		const waiting = [...this.#waiting, ...(this.#parked.get(peer) ?? [])];
		for (const message of waiting) if (message.peer === peer) this.withdraw(message);
	}

	/** Returns `true` if the server has to answer a message. */
	get awaitsAnswer() {
		return this.#sends.unanswered.size > 0;
	}

	repeatUnanswered() {
		/** @type {OutgoingMessage[]} */
		const unsealed = [];
		for (const message of this.#sends.unanswered.values()) {
			const { number, sealed, peer, ref, plain } = message;
			if (sealed) {
				this.#outside.say(sendLine({ peer, ref, body: sealed }));
			} else if (number !== undefined) {
				// It was not said in the end.
				this.#sends.unanswered.delete(ref);
				unsealed.push(message);
			} else if (this.#outside.isPinned(peer) && !plain) {
				this.#sends.unanswered.delete(ref);
				this.#doubt(message);
			} else {
				this.#outside.say(sendLine(message));
			}
		}
		this.#waiting = [...unsealed, ...this.#waiting];
		this.sayWaiting();
	}

	/** No client has the id of this peer, so messages to it are not said. @param {string} peer */
	unclaimed(peer) {
		for (const message of this.#take(peer)) this.#refuse(message, { code: "offline", to: peer });
	}

	/** Nothing more goes to this peer. @param {string} peer @param {Reason} reason */
	stop(peer, reason) {
		const messages = [...this.#take(peer), ...(this.#parked.get(peer) ?? [])];
		this.#parked.delete(peer);
		for (const message of messages) this.#update(message, { state: "failed", reason });
	}

	/** Takes the messages to a peer that were not said yet. @param {string} peer */
	#take(peer) {
		const taken = this.#waiting.filter((message) => message.peer === peer);
		this.#waiting = this.#waiting.filter((message) => message.peer !== peer);
		return taken;
	}

	/**
	 * The peer could not open a message: it goes once more, or has failed if the peer has other keys.
	 * @param {OutgoingMessage} message @param {string} mid by which the peer knows it
	 * @param {boolean} isForeign the peer has another identity than the pinned one
	 */
	sealAgain(message, mid, isForeign) {
		const { peer, place, was, state } = message;
		if (!["sent", "delivered", "doubtful"].includes(state)) return;
		this.#sends.sent.delete(message.mid ?? "");
		const isOld = this.#outside.now() - place / 1000 > RESEAL_MS_MAX;
		if (isForeign || was || isOld) {
			this.#update(message, { state: "failed", reason: { code: "other_keys", to: peer } });
		} else {
			this.#update(message, { was: mid });
			this.#renew(message);
			this.add(message);
		}
	}

	disconnected() {
		this.#joined = false;
	}

	/** @param {SentLine} line */
	sent({ ref, mid, at }) {
		this.#answer(ref, { state: "sent", mid, at });
	}

	/** Returns `true` if the error answers a send. @param {ErrorLine} line */
	refused({ code, ref = "", to, text }) {
		const isAnswer = this.#sends.unanswered.has(ref);
		if (isAnswer) this.#answer(ref, { state: "failed", reason: { code, to, text } });
		return isAnswer;
	}

	/** @param {DeliveredLine} line */
	delivered({ from, mids }) {
		this.#applyFate(from, mids, "delivered");
	}

	/** @param {ExpiredLine} line */
	expired({ to, mids }) {
		this.#applyFate(to, mids, "expired");
		this.sayWaiting();
	}

	/** @param {string} ref @param {Outcome} outcome */
	#answer(ref, outcome) {
		const { reason, mid = "" } = outcome;
		const { send, fate } = this.#sends.answered(ref, mid);
		// From now on its mid names it.
		if (send && !reason) this.#update(send, { ...outcome, sealed: undefined });
		if (send && reason) this.#refuse(send, reason);
		else if (send && fate) this.#applyFate(send.peer, [mid], fate);
		this.sayWaiting();
	}

	/** @param {OutgoingMessage} message @param {Reason} reason */
	#refuse(message, reason) {
		const isOffline = reason.code === "offline";
		if (isOffline && this.#mayReturn.has(message)) this.#park(message);
		else if (isOffline) this.#miss(message, reason);
		else this.#update(message, { state: "failed", reason });
	}

	/** @param {string} peer @param {string[]} mids @param {Fate} fate */
	#applyFate(peer, mids, fate) {
		for (const message of this.#sends.fated(peer, mids, fate)) {
			// An expired message has not arrived, so it may go again.
			this.#update(message, { state: fate === "expired" ? "waiting" : "delivered" });
			if (fate === "expired") this.#park(message);
		}
		// If we were away, the peer may be back already.
		if (fate === "expired" && this.#outside.isOnline(peer)) this.#unpark(peer);
	}

	sayWaiting() {
		/** @type {OutgoingMessage[]} */
		const kept = [];
		while (this.#joined && !this.#sends.isFull) {
			const message = this.#waiting.shift();
			if (!message) break;
			// Written before `joined`, it may be longer than the server takes, and end each connection.
			const bytes = this.bytesLeft(message);
			const parked = this.#parked.get(message.peer);
			const way = this.#outside.wayTo(message.peer);
			if (parked) {
				this.#update(message, { state: parked[0].state });
				this.#park(message);
			} else if (way.kind === "wait") {
				kept.push(message);
			} else if (way.kind === "refused") {
				this.#update(message, { state: "failed", reason: way.reason });
			} else if (bytes < 0) {
				this.#update(message, { state: "failed", reason: { code: "long", bytes: -bytes } });
			} else {
				this.#say(message, way);
			}
		}
		this.#waiting = [...kept, ...this.#waiting];
	}

	/** @param {OutgoingMessage} message @param {OpenWay} way */
	#say(message, way) {
		const { peer, ref, sealedFor } = message;
		const sign = way.kind === "sealed" ? way.card.sign : undefined;
		if (sealedFor && sealedFor !== sign) {
			const reason = { code: sign ? "changed" : "unsealed", to: peer };
			return this.#update(message, { state: "failed", reason });
		}
		this.#sends.unanswered.set(ref, message);
		const said = { said: true, ownership: this.#ownership };
		if (way.kind === "plain") {
			const plain = this.#outside.isPinned(peer) || undefined;
			this.#update(message, { ...said, number: undefined, plain });
			return this.#outside.say(sendLine(message));
		}
		const numbers = message.number === undefined && this.#outside.numberMessage(peer);
		this.#update(message, { ...said, ...numbers, sealedFor: sign });
		this.#outside.say(sendLine({ peer, ref, body: null }), {
			kind: "message",
			card: way.card,
			content: this.#contentOf(message),
			done: (sealed) => this.#update(message, { sealed }),
			failed: () => this.#answer(ref, { reason: { code: "unsealed", to: peer } }),
		});
	}

	/** @param {OutgoingMessage} message @returns {Content} */
	#contentOf({ peer, body, number = ANY_NUMBER, after = ANY_NUMBER, was }) {
		return { number, after, got: this.#outside.gotFrom(peer), body, ...(was && { was }) };
	}

	/** @param {Pick<OutgoingMessage, "peer" | "body" | "ref">} message */
	bytesLeft(message) {
		const { peer, ref } = message;
		const way = this.#outside.wayTo(peer);
		if (way.kind !== "sealed") return this.#messageBytesMax - lineBytes(sendLine(message));
		const left = this.#messageBytesMax - lineBytes(sendLine({ peer, body: 0, ref })) + 1;
		const content = { ...this.#contentOf(/** @type {OutgoingMessage} */ (message)), got: ANY_NUMBER };
		return contentBytesMax(left, this.#outside.ownCardBytes()) - lineBytes(content);
	}

	/** Drops unsent messages. The fates of sent ones are not kept. @param {string} peer */
	drop(peer) {
		this.#waiting = this.#waiting.filter((message) => message.peer !== peer);
		this.#parked.delete(peer);
		for (const message of [...this.#sends.unanswered.values(), ...this.#sends.sent.values()]) {
			if (message.peer === peer) message.cleared = true;
		}
	}

	forget() {
		for (const map of [this.#sends, this.#mayReturn, this.#parked]) map.clear();
		this.#waiting = [];
		this.#joined = this.#isForgotten = false;
		this.#ownership = "";
	}

	/**
	 * Returns `true` if an arrived message is one of ours to this peer.
	 * @param {MessageLine} line
	 */
	isOurs({ from, mid, body, opened }) {
		if (this.#sends.sent.get(mid)?.peer === from) return true;
		// It may come before its answer, which has the mid.
		const number = opened?.content?.number;
		return [...this.#sends.unanswered.values()].some((one) => {
			return one.peer === from && (number ? one.number === number : one.body === body);
		});
	}

	/**
	 * Returns the message that a stored copy is of, if it has no fate yet.
	 * @param {Message} stored
	 */
	find(stored) {
		if (!stored.mine) return undefined;
		const { ref, mid = "" } = stored;
		const unsaid = [...this.#waiting, ...[...this.#parked.values()].flat()];
		return this.#sends.unanswered.get(ref) ?? this.#sends.sent.get(mid)
			?? unsaid.find((message) => message.ref === ref);
	}

	/** @param {OutgoingMessage} message @param {Outcome} changes */
	#update(message, changes) {
		Object.assign(message, changes);
		this.#outside.unsaved.addMessage(message);
	}
}
