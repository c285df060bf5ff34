/**
 * The storage: messages, conversations and known mids of each id that was ours in this browser.
 *
 * **Invariants**
 * - A batch is kept as a whole or not at all, and every later look-up sees it.
 * - The database is open, being opened, or opened by the next transaction.
 *
 * It does not know the meaning of a message.
 */

import { scoped } from "./scope.js";
import { newKeys } from "./trust.js";

const NAME = scoped("sotto");
const VERSION = 1;
const STORES = ["conversations", "messages", "mids"];

/** States that may still change. */
const OPEN_STATES = ["sending", "waiting", "sent", "doubtful"];

export class MessageHistory {
	#factory;
	#midsMax;
	/** @type {IDBDatabase | null} */
	#database = null;
	/** One attempt at a time, however long it takes. @type {Promise<IDBDatabase> | null} */
	#opening = null;
	/** The number of the last kept mid, by id. @type {Map<string, number>} */
	#numbers = new Map();

	/**
	 * @param {() => IDBFactory | undefined} factory returns nothing where the browser keeps nothing
	 * @param {number} midsMax the most mids that are kept of one id
	 */
	constructor(factory, midsMax) {
		this.#factory = factory;
		this.#midsMax = midsMax;
	}

	async #open() {
		this.#opening ??= openDatabase(this.#factory()).finally(() => (this.#opening = null));
		const database = await this.#opening;
		this.#database = database;
		// The browser has closed it. Or another tab wants to delete it, or has a newer page.
		database.onclose = database.onversionchange = () => this.#close(database);
		return database;
	}

	/**
	 * Closes the database, so that the next transaction opens it again.
	 * @param {IDBDatabase} old
	 */
	#close(old) {
		old.close();
		if (this.#database === old) this.#database = null;
	}

	/**
	 * Resolves to the result of one transaction. After a failure the database is opened again: the
	 * browser may have closed it without a word, as WebKit does in the background.
	 * @template Result @param {IDBTransactionMode} mode @param {IDBTransactionDurability} durability
	 * @param {(transaction: IDBTransaction, stores: IDBObjectStore[]) => Promise<Result>} work
	 */
	async #transact(mode, durability, work) {
		// Nothing is waited for while the page goes.
		const database = this.#database ?? (await this.#open());
		/** @type {IDBTransaction | undefined} */
		let started;
		try {
			const transaction = (started = database.transaction(STORES, mode, { durability }));
			return await work(transaction, STORES.map((name) => transaction.objectStore(name)));
		} catch (error) {
			abort(started);
			this.#close(database);
			throw error;
		}
	}

	/** @param {string} id @returns {Promise<Kept>} */
	load(id) {
		return this.#transact("readonly", "default", async (_, [conversations, messages, mids]) => {
			/** @type {[KeptConversation[], OutgoingMessage[], { mid: string, number: number }[]]} */
			const [rows, open, known] = await Promise.all([
				done(conversations.getAll(startingWith(id))),
				done(messages.index("open").getAll(id)),
				done(mids.getAll(startingWith(id))),
			]);
			const kept = await Promise.all(rows.map(async (row) => {
				return { ...keptFields(row), tail: await lastBefore(messages, id, row.peer, Infinity, 1) };
			}));
			kept.sort((a, b) => a.last - b.last);
			open.sort((a, b) => a.place - b.place);
			this.#numbers.set(id, known.at(-1)?.number ?? 0);
			return { conversations: kept, open: open.map(bare), mids: known.map(({ mid }) => mid) };
		});
	}

	/**
	 * Returns the last messages before a place, and whether there are even older ones.
	 * @param {string} id @param {string} peer @param {number} before @param {number} count
	 */
	page(id, peer, before, count) {
		return this.#transact("readonly", "default", async (_, [, messages]) => {
			const found = await lastBefore(messages, id, peer, before, count + 1);
			return { messages: found.slice(-count), earlier: found.length > count };
		});
	}

	/** @param {Batch} batch of an id that was loaded */
	put(batch) {
		const { id, cleared } = batch;
		// Kept means written to the disk: a message told as delivered has to survive a crash. A draft
		// or a place of reading may be lost with the last seconds.
		const durability = batch.messages.size + batch.acks.size ? "strict" : "relaxed";
		return this.#transact("readwrite", durability, async (transaction, stores) => {
			const [conversations, messages, mids] = stores;
			for (const peer of cleared) {
				messages.delete(startingWith(id, peer));
				conversations.delete([id, peer]);
			}
			for (const message of batch.messages) {
				const open = OPEN_STATES.includes(message.state) ? { open: id } : {};
				messages.put({ ...message, id, ...open });
			}
			for (const conversation of batch.conversations) {
				conversations.put({ ...keptFields(conversation), id });
			}
			this.#putMids(mids, id, batch.mids);
			// A transaction that is committed now is kept even if the page goes at once.
			transaction.commit();
			await finished(transaction);
		});
	}

	/** @param {IDBObjectStore} store @param {string} id @param {string[]} mids */
	#putMids(store, id, mids) {
		if (!mids.length) return;
		let number = this.#numbers.get(id) ?? 0;
		for (const mid of mids) {
			number += 1;
			store.put({ id, number, mid });
		}
		this.#numbers.set(id, number);
		store.delete(IDBKeyRange.bound([id], [id, number - this.#midsMax]));
	}

	/** Leaves nothing of this id. @param {string} id */
	forget(id) {
		return this.#transact("readwrite", "strict", async (transaction, stores) => {
			for (const store of stores) store.delete(startingWith(id));
			await finished(transaction);
		});
	}
}

/** @param {IDBFactory} [factory] */
async function openDatabase(factory) {
	if (!factory) throw new TypeError("no storage");
	const opening = factory.open(NAME, VERSION);
	opening.onupgradeneeded = () => createStores(opening.result);
	return done(opening);
}

/** Leaves no half of a batch behind. @param {IDBTransaction} [transaction] */
function abort(transaction) {
	try {
		transaction?.abort();
	} catch {
		// It has ended already.
	}
}

/** @param {IDBDatabase} database */
function createStores(database) {
	database.createObjectStore("conversations", { keyPath: ["id", "peer"] });
	database.createObjectStore("mids", { keyPath: ["id", "number"] });
	const messages = database.createObjectStore("messages", { keyPath: ["id", "peer", "place"] });
	// Only open messages have this property, so the index stays as small as they are few.
	messages.createIndex("open", "open");
}

/**
 * Returns the last messages before a place, in their order.
 * @param {IDBObjectStore} store @param {string} id @param {string} peer @param {number} before
 * @param {number} count @returns {Promise<Message[]>}
 */
function lastBefore(store, id, peer, before, count) {
	const range = IDBKeyRange.bound([id, peer], [id, peer, before], false, true);
	if (count === Infinity) return done(store.getAll(range)).then((found) => found.map(bare));
	const request = store.openCursor(range, "prev");
	/** @type {Message[]} */
	const found = [];
	return new Promise((resolve, reject) => {
		request.onerror = () => reject(request.error ?? aborted());
		request.onsuccess = () => {
			const cursor = request.result;
			if (cursor) found.unshift(bare(cursor.value));
			if (cursor && found.length < count) cursor.continue();
			else resolve(found);
		};
	});
}

/** Returns the range of keys with this start: arrays sort behind texts. @param {string[]} start */
function startingWith(...start) {
	return IDBKeyRange.bound(start, [...start, []]);
}

/** @template {Message} Kind @param {Kind & StoredFields} message @returns {Kind} */
function bare(message) {
	delete message.id;
	delete message.open;
	return message;
}

/** @param {KeptConversation} conversation @returns {KeptConversation} */
function keptFields(conversation) {
	const { peer, last, unread, seen, readTo, draft, accepted, blocked, hidden } = conversation;
	// An earlier page has kept it without keys.
	const { keys = newKeys() } = conversation;
	return { peer, last, unread, seen, readTo, draft, accepted, blocked, hidden, keys };
}

/** @template Result @param {IDBRequest<Result>} request @returns {Promise<Result>} */
function done(request) {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function finished(transaction) {
	return new Promise((resolve, reject) => {
		transaction.oncomplete = () => resolve();
		transaction.onabort = () => reject(transaction.error ?? aborted());
	});
}

/** A transaction that ends without an error can be tried again. */
function aborted() {
	return new DOMException("aborted", "AbortError");
}
