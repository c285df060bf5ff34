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
	async claim(id, take) {
		this.release();
		if (!this.#locks) return true;
		if (take) return this.#hold(id, { steal: true });
		// A free lock is granted however slow the machine is; only a lock in use is waited for.
		return (await this.#hold(id, { ifAvailable: true })) || this.#wait(id);
	}

	/** @param {string} id */
	async #wait(id) {
		const waiting = new AbortController();
		const timer = this.#clock.setTimer(() => waiting.abort(), WAIT_MS);
		const isHeld = await this.#hold(id, { signal: waiting.signal });
		this.#clock.clearTimer(timer);
		return isHeld;
	}

	/**
	 * Resolves to `true` once the lock is held, or if there is no way to have one.
	 * @param {string} id @param {LockOptions} options @returns {Promise<boolean>}
	 */
	#hold(id, options) {
		return new Promise((resolve) => {
			let isHeld = false;
			/** @param {Lock | null} lock */
			const hold = (lock) => {
				isHeld = lock !== null;
				resolve(isHeld);
				if (!lock) return;
				return new Promise((free) => {
					this.#release = () => {
						isHeld = false;
						free(null);
					};
				});
			};
			this.#locks?.request(`sotto ${id}`, options, hold).catch(() => {
				if (isHeld) this.#lost();
				// Refused for another reason than another tab, the lock might as well not exist.
				resolve(!options.signal?.aborted);
			});
		});
	}

	release() {
		this.#release();
	}
}
