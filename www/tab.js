/**
 * The tab of this browser that has an id, by Web Locks (W3C). They need a secure context. Without
 * them each tab believes that it has the id, and the server tells the earlier one otherwise.
 *
 * It does not know the meaning of having an id.
 */

/** A page that is loaded again may meet the lock of its former self for a moment. */
const WAIT_MS = 300;

export class Tab {
	#locks;
	#lost;
	#clock;
	#release = () => {};

	/**
	 * @param {LockManager | undefined} locks
	 * @param {() => void} lost is called when another tab has taken the id
	 * @param {Clock} clock
	 */
	constructor(locks, lost, clock) {
		this.#locks = locks;
		this.#lost = lost;
		this.#clock = clock;
	}

	/**
	 * Resolves to `true` if this tab has the id now.
	 * @param {string} id @param {boolean} take also from another tab @returns {Promise<boolean>}
	 */
	claim(id, take) {
		this.release();
		const locks = this.#locks;
		if (!locks) return Promise.resolve(true);
		return new Promise((resolve) => {
			const waiting = new AbortController();
			const timer = this.#clock.setTimer(() => waiting.abort(), WAIT_MS);
			let isHeld = false;
			const hold = () => {
				this.#clock.clearTimer(timer);
				isHeld = true;
				resolve(true);
				return new Promise((free) => {
					this.#release = () => {
						isHeld = false;
						free(null);
					};
				});
			};
			const options = take ? { steal: true } : { signal: waiting.signal };
			locks.request(`sotto ${id}`, options, hold).catch(() => {
				if (isHeld) this.#lost();
				// Refused for another reason than another tab, the lock might as well not exist.
				resolve(!waiting.signal.aborted);
			});
		});
	}

	release() {
		this.#release();
	}
}
