/**
 * The tab of this browser that has an id, by Web Locks (W3C). They need a secure context. Without
 * them each tab believes that it has the id, and the server tells the earlier one otherwise.
 *
 * **Invariants**
 * - The tab that has an id answers for it on a channel. So a lock alone is not taken for a tab: a
 *   page on its way out holds it for a moment, and a frozen one for as long as the browser likes.
 *
 * It does not know the meaning of having an id.
 */

import { scoped } from "./scope.js";

/** A tab that does not answer by then is frozen, and its lock is taken. Others answer in 10 ms. */
export const ANSWER_MS_MAX = 3000;

const WHOSE = "whose";
const MINE = "mine";

export class Tab {
	#outside;
	#release = () => {};
	/** The number of the last claim: an earlier one takes no lock any more. */
	#claims = 0;
	/** Ends the wait of the last claim. @type {AbortController | null} */
	#waiting = null;

	/** @param {TabOutside} outside */
	constructor(outside) {
		this.#outside = outside;
	}

	/**
	 * Resolves to `true` if this tab has the id now.
	 * @param {string} id @param {boolean} take also from another tab @returns {Promise<boolean>}
	 */
	async claim(id, take) {
		this.release();
		const claim = this.#claims;
		if (!this.#outside.locks) return true;
		if (take) return this.#hold(id, claim, { steal: true });
		return (await this.#hold(id, claim, { ifAvailable: true })) || this.#ask(id, claim);
	}

	/**
	 * Waits for the lock, until another tab answers that the id is its own.
	 * @param {string} id @param {number} claim
	 */
	async #ask(id, claim) {
		if (claim !== this.#claims) return false;
		const { clock, openChannel } = this.#outside;
		const waiting = this.#waiting = new AbortController();
		const channel = openChannel(scoped(`sotto ${id}`));
		let isAnswered = false;
		channel.onmessage = ({ data }) => {
			if (data !== MINE) return;
			isAnswered = true;
			waiting.abort();
		};
		channel.postMessage(WHOSE);
		clock.setTimer(() => waiting.abort(), ANSWER_MS_MAX);
		const isHeld = await this.#hold(id, claim, { signal: waiting.signal });
		channel.close();
		const isFrozen = !isHeld && !isAnswered && claim === this.#claims;
		return isFrozen ? this.#hold(id, claim, { steal: true }) : isHeld;
	}

	/**
	 * Resolves to `true` once the lock is held, or if there is no way to have one.
	 * @param {string} id @param {number} claim @param {LockOptions} options
	 * @returns {Promise<boolean>}
	 */
	#hold(id, claim, options) {
		return new Promise((resolve) => {
			let isHeld = false;
			/** @param {Lock | null} lock */
			const hold = (lock) => {
				isHeld = lock !== null && claim === this.#claims;
				resolve(isHeld);
				if (!isHeld) return;
				const channel = this.#answerFor(id);
				return new Promise((free) => {
					this.#release = () => {
						isHeld = false;
						channel.close();
						free(null);
					};
				});
			};
			const { locks, lost } = this.#outside;
			locks?.request(scoped(`sotto ${id}`), options, hold).catch(() => {
				if (isHeld) {
					this.release();
					lost();
				}
				// Refused for another reason than another tab, the lock might as well not exist.
				resolve(claim === this.#claims && !options.signal?.aborted);
			});
		});
	}

	/** Tells tabs that ask, now and later, that the id is ours. @param {string} id */
	#answerFor(id) {
		const channel = this.#outside.openChannel(scoped(`sotto ${id}`));
		channel.onmessage = ({ data }) => data === WHOSE && channel.postMessage(MINE);
		channel.postMessage(MINE);
		return channel;
	}

	release() {
		this.#claims += 1;
		this.#waiting?.abort();
		this.#release();
	}
}
