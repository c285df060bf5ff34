/**
 * The save pump: gives the unsaved changes of the store to the storage.
 *
 * **Invariants**
 * - One batch is being kept at a time. Changes that come meanwhile are kept together.
 *
 * It does not know the content of a change.
 */

export class SavePump {
	#store;
	#opening;
	/** @type {MessageHistory | null} */
	#history = null;
	#isSaving = false;

	/** @param {Store} store @param {Promise<MessageHistory | null>} opening */
	constructor(store, opening) {
		this.#store = store;
		this.#opening = opening;
		opening.then((history) => (this.#history = history));
	}

	async save() {
		if (this.#isSaving) return;
		this.#isSaving = true;
		const history = await this.#opening;
		const store = this.#store;
		for (let batch; (batch = store.takeUnsaved()); store.saved(batch)) {
			// A batch that cannot be kept is acknowledged, too: the page can do no more than show it.
			if (history && store.state.kept) await history.put(batch).catch(() => store.unkept());
		}
		this.#isSaving = false;
	}

	/** Saves while the page goes, which waits neither for this nor for a batch on its way. */
	saveNow() {
		const store = this.#store;
		const batch = this.#history && store.state.kept && store.takeUnsaved();
		if (batch) this.#history?.put(batch).then(() => store.saved(batch), () => store.unkept());
	}
}
