/**
 * The sends that were said, until their fate is known.
 *
 * **Invariants**
 * - A send is in `unanswered` from when it was said until its answer, and from then in `sent` until
 *   its fate.
 *
 * It does not know which sends wait to be said, or what is done about a fate.
 */

import { BoundedMap } from "./bounded.js";
import { SENDS_MAX } from "./protocol.js";

/** The most sends that wait for a fate. Older ones get none: no queue is that long. */
const SENT_MAX = 65536;

/** @template {{ peer: string, ownership?: string }} Send */
export class Sends {
	/** By ref. @type {Map<string, Send>} */
	unanswered = new Map();
	/** Taken by the server, by mid. @type {BoundedMap<string, Send>} */
	sent = new BoundedMap(SENT_MAX);
	/**
	 * Fates of unknown mids, which unanswered sends may turn out to have.
	 * @type {BoundedMap<string, { peer: string, fate: Fate }>}
	 */
	#early = new BoundedMap(SENDS_MAX);

	/** Returns `true` if the next send has to wait for an answer. */
	get isFull() {
		return this.unanswered.size >= SENDS_MAX;
	}

	/**
	 * Returns the send that an answer is to, with its fate if that came before the answer. With a
	 * mid the server has taken it.
	 * @param {string} ref @param {string} [mid]
	 */
	answered(ref, mid = "") {
		const send = this.unanswered.get(ref);
		this.unanswered.delete(ref);
		if (send && mid) this.sent.set(mid, send);
		const early = this.#early.get(mid);
		if (!this.unanswered.size) this.#early.clear();
		return { send, fate: early?.peer === send?.peer ? early?.fate : undefined };
	}

	/**
	 * Returns the sends that have got a fate. A fate may come twice, and before the answer: right
	 * after `joined`, if the server took a send just before the connection broke. Peers may make
	 * mids up, so only the mids of sends to them count.
	 * @param {string} peer @param {string[]} mids @param {Fate} fate
	 */
	fated(peer, mids, fate) {
		const isAwaited = [...this.unanswered.values()].some((send) => send.peer === peer);
		/** @type {Send[]} */
		const fated = [];
		for (const mid of mids) {
			const send = this.sent.get(mid);
			if (send?.peer === peer) {
				this.sent.delete(mid);
				fated.push(send);
			} else if (isAwaited && !send) {
				this.#early.set(mid, { peer, fate });
			}
		}
		return fated;
	}

	clear() {
		for (const map of [this.unanswered, this.sent, this.#early]) map.clear();
	}
}

/**
 * Returns `true` if the server has forgotten a send that was said. A later `joined` does not tell:
 * the first one, without `resumed`, may be lost with its connection.
 * @param {{ ownership?: string }} send
 * @param {string} ownership the present one of our id; empty if the server does not tell it
 * @param {boolean} isForgotten holds for sends to servers that do not tell the ownership
 */
export function isLostUnder({ ownership: under }, ownership, isForgotten) {
	return ownership && under ? under !== ownership : isForgotten;
}
