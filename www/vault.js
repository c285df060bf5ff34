/**
 * The vault: the seal keys of each id that was ours in this browser, in a database of their own.
 *
 * **Invariants**
 * - A key is written to the disk before `put` resolves.
 *
 * It does not know when a key is replaced, or destroyed.
 */

import { scoped } from "./scope.js";

const NAME = scoped("sotto keys");
const STORE = "keys";

/** A storage that has not answered by then is done without. */
export const VAULT_MS_MAX = 3000;

export class Vault {
	#factory;
	#clock;
	/** A storage that did not answer is not waited for again, until it does. */
	#msMax = VAULT_MS_MAX;

	/**
	 * @param {() => IDBFactory | undefined} factory returns nothing where the browser keeps nothing
	 * @param {Clock} clock
	 */
	constructor(factory, clock) {
		this.#factory = factory;
		this.#clock = clock;
	}

	/** Returns the keys of an id; none if they cannot be read. @param {string} id */
	async load(id) {
		/** @type {KeptKey[]} */
		const none = [];
		return await this.#transact("readonly", (keys) => keys.getAll(rangeOf(id))) ?? none;
	}

	/** Keeps a key. @param {KeptKey} key */
	put(key) {
		return this.#transact("readwrite", (keys) => keys.put(key));
	}

	/** Destroys keys. @param {KeptKey[]} old */
	async destroy(old) {
		for (const { id, seal } of old) {
			await this.#transact("readwrite", (keys) => keys.delete([id, seal]));
		}
	}

	/** Destroys all keys of an id. @param {string} id */
	forget(id) {
		return this.#transact("readwrite", (keys) => keys.delete(rangeOf(id)));
	}

	/**
	 * Resolves to the result of one transaction, or to nothing if the storage fails or is too slow.
	 * @template Result @param {IDBTransactionMode} mode
	 * @param {(keys: IDBObjectStore) => IDBRequest<Result>} work
	 * @returns {Promise<Result | undefined>}
	 */
	#transact(mode, work) {
		return new Promise((resolve) => {
			const timer = this.#clock.setTimer(() => {
				this.#msMax = 0;
				resolve(undefined);
			}, this.#msMax);
			this.#open(mode, work).catch(() => undefined).then((result) => {
				this.#clock.clearTimer(timer);
				this.#msMax = VAULT_MS_MAX;
				resolve(result);
			});
		});
	}

	/**
	 * @template Result @param {IDBTransactionMode} mode
	 * @param {(keys: IDBObjectStore) => IDBRequest<Result>} work @returns {Promise<Result>}
	 */
	#open(mode, work) {
		return new Promise((resolve, reject) => {
			const opening = /** @type {IDBFactory} */ (this.#factory()).open(NAME, 1);
			opening.onupgradeneeded = () => {
				opening.result.createObjectStore(STORE, { keyPath: ["id", "seal"] });
			};
			opening.onerror = reject;
			opening.onsuccess = () => {
				const database = opening.result;
				// Another tab may want to delete it.
				database.onversionchange = () => database.close();
				try {
					const transaction = database.transaction(STORE, mode, { durability: "strict" });
					const request = work(transaction.objectStore(STORE));
					transaction.oncomplete = () => resolve(request.result);
					transaction.onabort = reject;
				} catch (error) {
					reject(error);
				} finally {
					// It is closed once the transaction has ended.
					database.close();
				}
			};
		});
	}
}

/** @param {string} id */
function rangeOf(id) {
	return IDBKeyRange.bound([id], [id, []]);
}
