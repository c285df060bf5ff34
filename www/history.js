/**
 * What the browser keeps: messages, conversations and the mids that are known, of each id that we have had here.
 *
 * Invariant: what is put together is kept together, or not at all; what is asked for later sees it.
 *
 * Not known here: what a message means, and the rest of the page.
 */

/** @typedef {import("./store.js").Message} Message */
/** @typedef {import("./store.js").Conversation} Conversation */
/**
 * @typedef {{ conversations: (Partial<Conversation> & { tail: Message[] })[], open: Message[], mids: string[] }} Kept
 *   `conversations`: the longest quiet first, each with its last message, if it has any; `open`: what we wrote and
 *   does not have its last state, in the order in which it was written
 */

const NAME = "sotto";
const VERSION = 1;

/** States that change still. */
const OPEN_STATES = ["sending", "sent", "doubtful"];

/** What is known of a conversation beside its messages; the rest is of one connection, or one look. */
const CONVERSATION_FIELDS = ["peer", "last", "unread", "seen", "readTo", "draft", "accepted", "blocked"];

/** Rejects where the browser keeps nothing. @param {IDBFactory} indexedDB @param {number} mids so many are kept */
export async function openHistory(indexedDB, midsMax) {
  const opening = indexedDB.open(NAME, VERSION);
  opening.onupgradeneeded = () => create(opening.result);
  const database = await done(opening);
  // Another tab wants to delete it, or has a newer page.
  database.onversionchange = () => database.close();

  /** All that is known of an id, but for most of its messages. @param {string} id @returns {Promise<Kept>} */
  async function load(id) {
    const stores = database.transaction(["conversations", "messages", "mids"]);
    const [rows, open, mids] = await Promise.all([
      done(stores.objectStore("conversations").getAll(all(id))),
      done(stores.objectStore("messages").index("open").getAll(id)),
      done(stores.objectStore("mids").getAll(all(id))),
    ]);
    const tails = await Promise.all(rows.map(({ peer }) => last(stores, id, peer, Infinity, 1)));
    const conversations = rows.map((row, index) => ({ ...pick(row, CONVERSATION_FIELDS), tail: tails[index].map(bare) }));
    conversations.sort((a, b) => a.last - b.last);
    open.sort((a, b) => a.place - b.place);
    return { conversations, open: open.map(bare), mids: mids.map(({ mid }) => mid) };
  }

  /** The last messages before a place, and whether there are more. @param {string} id @param {string} peer */
  async function page(id, peer, before, count) {
    const found = await last(database.transaction("messages"), id, peer, before, count + 1);
    return { messages: found.slice(-count).map(bare), earlier: found.length > count };
  }

  /** @param {import("./store.js").Unsaved & { id: string }} batch */
  async function put({ id, messages, conversations, cleared, mids: newMids }) {
    const transaction = database.transaction(["conversations", "messages", "mids"], "readwrite");
    const [ofConversations, ofMessages, ofMids] =
      ["conversations", "messages", "mids"].map((name) => transaction.objectStore(name));
    for (const peer of cleared) {
      ofMessages.delete(all(id, peer));
      ofConversations.delete([id, peer]);
    }
    for (const message of messages) {
      const open = OPEN_STATES.includes(message.state) ? { open: id } : {};
      ofMessages.put({ ...message, id, ...open });
    }
    for (const conversation of conversations) ofConversations.put({ ...pick(conversation, CONVERSATION_FIELDS), id });
    await putMids(ofMids, id, newMids);
    // Said at once, it is kept even if the page goes now.
    transaction.commit();
    await finished(transaction);
  }

  async function putMids(ofMids, id, newMids) {
    if (!newMids.length) return;
    const cursor = await done(ofMids.openKeyCursor(all(id), "prev"));
    let number = cursor ? cursor.key[1] : 0;
    for (const mid of newMids) {
      number += 1;
      ofMids.put({ id, number, mid });
    }
    ofMids.delete(IDBKeyRange.bound([id], [id, number - midsMax]));
  }

  /** Leaves nothing of this id. @param {string} id */
  async function forget(id) {
    const names = ["conversations", "messages", "mids"];
    const transaction = database.transaction(names, "readwrite");
    for (const name of names) transaction.objectStore(name).delete(all(id));
    await finished(transaction);
  }

  return { load, page, put, forget };
}

/** @param {IDBDatabase} database */
function create(database) {
  database.createObjectStore("conversations", { keyPath: ["id", "peer"] });
  database.createObjectStore("mids", { keyPath: ["id", "number"] });
  // Only open messages have the property, so the index is as small as they are few.
  database.createObjectStore("messages", { keyPath: ["id", "peer", "place"] }).createIndex("open", "open");
}

/** The last messages before a place, in their order. @param {IDBTransaction} transaction @returns {Promise<any[]>} */
function last(transaction, id, peer, before, count) {
  const range = IDBKeyRange.bound([id, peer], [id, peer, before], false, true);
  const request = transaction.objectStore("messages").openCursor(range, "prev");
  const found = [];
  return new Promise((resolve, reject) => {
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (cursor) found.unshift(cursor.value);
      if (cursor && found.length < count) cursor.continue();
      else resolve(found);
    };
  });
}

/** Every key that begins so: an array sorts behind any number or text. @param {string[]} start */
function all(...start) {
  return IDBKeyRange.bound(start, [...start, []]);
}

/** A message as it was. @returns {Message} */
function bare({ id, open, ...message }) {
  return message;
}

/** @param {object} object @param {string[]} names */
function pick(object, names) {
  return Object.fromEntries(names.map((name) => [name, object[name]]));
}

/** @param {IDBRequest} request @returns {Promise<any>} */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    // A tab with an older page holds it; it works without.
    request.onblocked = () => reject(new Error("blocked"));
  });
}

/** @param {IDBTransaction} transaction */
function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
