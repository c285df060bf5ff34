/**
 * The storage: messages, conversations and known mids of each id that was ours in this browser.
 *
 * **Invariants**
 * - A batch is kept as a whole or not at all, and every later look-up sees it.
 *
 * It does not know the meaning of a message.
 */

const NAME = "sotto";
const VERSION = 1;
const STORES = ["conversations", "messages", "mids"];

/** States that may still change. */
const OPEN_STATES = ["sending", "sent", "doubtful"];

/**
 * Opens the storage. Rejects if the browser keeps nothing.
 * @param {IDBFactory} indexedDB @param {number} midsMax the most mids that are kept of one id
 */
export async function openHistory(indexedDB, midsMax) {
	const opening = indexedDB.open(NAME, VERSION);
	opening.onupgradeneeded = () => createStores(opening.result);
	/** @type {Promise<never>} */
	const blocked = new Promise((_, reject) => {
		// A tab with an older page has the database open. This tab works without it.
		opening.onblocked = () => reject(new Error("blocked"));
	});
	const database = await Promise.race([done(opening), blocked]);
	// Another tab wants to delete the database, or has a newer page.
	database.onversionchange = () => database.close();
	return new MessageHistory(database, midsMax);
}

export class MessageHistory {
	#database;
	#midsMax;

	/** @param {IDBDatabase} database @param {number} midsMax */
	constructor(database, midsMax) {
		this.#database = database;
		this.#midsMax = midsMax;
	}

	/** @param {string} id @returns {Promise<Kept>} */
	async load(id) {
		const transaction = this.#database.transaction(STORES);
		const [conversations, messages, mids] = STORES.map((name) => transaction.objectStore(name));
		/** @type {[KeptConversation[], OutgoingMessage[], { mid: string }[]]} */
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
		return { conversations: kept, open: open.map(bare), mids: known.map(({ mid }) => mid) };
	}

	/**
	 * Returns the last messages before a place, and whether there are even older ones.
	 * @param {string} id @param {string} peer @param {number} before @param {number} count
	 */
	async page(id, peer, before, count) {
		const messages = this.#database.transaction("messages").objectStore("messages");
		const found = await lastBefore(messages, id, peer, before, count + 1);
		return { messages: found.slice(-count), earlier: found.length > count };
	}

	/** @param {Batch} batch */
	async put(batch) {
		const { id, cleared } = batch;
		const transaction = this.#database.transaction(STORES, "readwrite");
		const [conversations, messages, mids] = STORES.map((name) => transaction.objectStore(name));
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
		await this.#putMids(mids, id, batch.mids);
		// A transaction that is committed now is kept even if the page goes at once.
		transaction.commit();
		await finished(transaction);
	}

	/** @param {IDBObjectStore} store @param {string} id @param {string[]} mids */
	async #putMids(store, id, mids) {
		if (!mids.length) return;
		const cursor = await done(store.openKeyCursor(startingWith(id), "prev"));
		let number = 0;
		if (cursor) [, number] = /** @type {[string, number]} */ (cursor.key);
		for (const mid of mids) {
			number += 1;
			store.put({ id, number, mid });
		}
		store.delete(IDBKeyRange.bound([id], [id, number - this.#midsMax]));
	}

	/** Leaves nothing of this id. @param {string} id */
	async forget(id) {
		const transaction = this.#database.transaction(STORES, "readwrite");
		for (const name of STORES) transaction.objectStore(name).delete(startingWith(id));
		await finished(transaction);
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
		request.onerror = () => reject(request.error);
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
function keptFields({ peer, last, unread, seen, readTo, draft, accepted, blocked }) {
	return { peer, last, unread, seen, readTo, draft, accepted, blocked };
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
		transaction.onabort = () => reject(transaction.error);
	});
}
