/**
 * The save pump: gives the unsaved changes of the store to the storage, and the store all that is
 * kept. A storage that fails, or does not answer, is asked again until it comes back.
 *
 * **Invariants**
 * - One batch is being kept at a time. Changes that come meanwhile are kept together.
 * - No change of an id is kept before the store has all that is kept of it.
 * - A message is acknowledged when it is kept, or when the reader is told that nothing is.
 *
 * It does not know the content of a change.
 */

/** The page goes on without a storage that has not answered by then. */
export const LOAD_MS_MAX = 3000;

/** From then on messages are acknowledged though they are not kept, and the reader is told so. */
export const GIVE_UP_MS = 10_000;

/** The delays between attempts double, so a storage that is full is not asked all the time. */
const RETRY_MS_FIRST = 100;
const RETRY_MS_MAX = 20_000;

/** Errors that come again until the page is loaded again. */
const FINAL = ["SecurityError", "VersionError"];

export class SavePump {
	#store;
	#history;
	#clock;
	#loads = 0;
	/** The id of which the store has all that is kept. */
	#loadedId = "";
	/** @type {Batch | null} */
	#batch = null;
	/** A batch of an id that was forgotten meanwhile. @type {Batch | null} */
	#dropped = null;
	/** Ends when there is nothing left to keep. */
	#saving = Promise.resolve();

	/** @param {Store} store @param {MessageHistory} history @param {Clock} clock */
	constructor(store, history, clock) {
		this.#store = store;
		this.#history = history;
		this.#clock = clock;
	}

	/** Gives the store all that is kept of an id, however late it comes. @param {string} id */
	async load(id) {
		const store = this.#store;
		const load = ++this.#loads;
		const isWanted = () => load === this.#loads && id === store.state.id;
		const timer = this.#clock.setTimer(() => store.goOn(id), LOAD_MS_MAX);
		let kept;
		// An id that is loaded again takes the changes of this tab along.
		do {
			// What another id has to keep may be refused for long; reading goes on.
			if (!this.#batch || this.#batch.id === id) await this.save();
			if (isWanted()) kept = await this.#persist(() => this.#history.load(id), isWanted);
		} while (kept && isWanted() && id === this.#loadedId && store.hasUnsaved);
		this.#clock.clearTimer(timer);
		if (!isWanted()) return;
		this.#loadedId = id;
		store.restored(id, kept ?? undefined);
	}

	/**
	 * Resolves to messages before a place, or to `null` if there is no way to them.
	 * @param {string} id @param {string} peer @param {number} before @param {number} count
	 */
	page(id, peer, before, count) {
		const isWanted = () => id === this.#store.state.id;
		return this.#persist(() => this.#history.page(id, peer, before, count), isWanted);
	}

	/** Leaves nothing of this id. @param {string} id */
	forget(id) {
		if (this.#batch?.id === id) this.#dropped = this.#batch;
		return this.#persist(() => this.#history.forget(id));
	}

	/** Keeps the changes of the store, if there are any. */
	save() {
		const { id, kept } = this.#store.state;
		// What is kept of an id that was left is read again when it comes back.
		if (id !== this.#loadedId) this.#loadedId = "";
		if (!kept) this.#acknowledge();
		if (!this.#batch) this.#saving = this.#saveAll();
		return this.#saving;
	}

	async #saveAll() {
		const store = this.#store;
		while ((this.#batch = this.#take())) {
			const batch = this.#batch;
			// Only a write shows that writing works again.
			const isWanted = () => batch !== this.#dropped;
			const put = await this.#persist(() => this.#history.put(batch), isWanted);
			if (put !== null) store.keptAgain();
			store.saved(batch);
		}
	}

	#take() {
		const store = this.#store;
		return store.state.id === this.#loadedId ? store.takeUnsaved() : null;
	}

	/** Saves while the page goes, which waits neither for this nor for a batch on its way. */
	saveNow() {
		// An older batch that is tried again would undo this one, if it clears conversations.
		const batch = this.#batch?.cleared.size ? null : this.#take();
		const put = () => this.#history.put(/** @type {Batch} */ (batch));
		if (batch) put().catch(() => this.#persist(put)).then(() => this.#store.saved(batch));
	}

	/**
	 * Resolves to the result of `work`, which is tried until it succeeds or is not wanted any more, or
	 * to `null` if the browser keeps nothing.
	 * @template Result @param {() => Promise<Result>} work @param {() => boolean} [isWanted]
	 */
	async #persist(work, isWanted = () => true) {
		const timer = this.#clock.setTimer(() => isWanted() && this.#giveUp(), GIVE_UP_MS);
		/** @type {Result | null} */
		let result = null;
		for (let ms = RETRY_MS_FIRST; isWanted(); ms = Math.min(RETRY_MS_MAX, ms * 2)) {
			try {
				result = await work();
				break;
			} catch (error) {
				if (isFinal(error)) {
					this.#giveUp();
					break;
				}
			}
			await new Promise((resolve) => this.#clock.setTimer(() => resolve(null), ms));
		}
		this.#clock.clearTimer(timer);
		return result;
	}

	#giveUp() {
		this.#store.unkept();
		this.#acknowledge();
	}

	/** Acknowledges messages that may never be kept: the page can do no more than show them. */
	#acknowledge() {
		const store = this.#store;
		if (this.#batch) {
			store.saved(this.#batch);
			this.#batch.acks.clear();
		}
		store.acknowledge();
	}
}

/** @param {unknown} error */
function isFinal(error) {
	return !(error instanceof DOMException) || FINAL.includes(error.name);
}
