/**
 * A pretend IndexedDB: as much of it as the page's storage needs, with faults that a test chooses.
 * Its rows outlive its connections, as those on a disk do.
 */

const types = [Number, String, Array];
const typeOf = (key) => types.findIndex((type) => Object(key) instanceof type);

/** Compares keys: numbers before texts before arrays (Indexed Database API 3.0, 2.4). */
function compare(a, b) {
  if (typeOf(a) !== typeOf(b)) return typeOf(a) - typeOf(b);
  if (!Array.isArray(a)) return a < b ? -1 : Number(a > b);
  for (const [index, part] of a.entries()) {
    const order = index < b.length ? compare(part, b[index]) : 1;
    if (order) return order;
  }
  return a.length - b.length;
}

globalThis.IDBKeyRange = {
  bound: (low, high, lowOpen = false, highOpen = false) => (key) => {
    const [fromLow, fromHigh] = [compare(key, low), compare(key, high)];
    return (lowOpen ? fromLow > 0 : fromLow >= 0) && (highOpen ? fromHigh < 0 : fromHigh <= 0);
  },
};

/** The database itself, and the faults of the disk and the browser. */
export class PlayedDatabase {
  /** Rows by store: each with its key. */
  stores = {};
  paths = {};
  /** What happened, as texts. */
  told = [];
  /** The ways in which the next calls of `open` go: an error's name, or a promise to wait for. */
  openings = [];
  /** The errors' names with which the next transactions that write end. */
  failures = [];
  connections = new Set();

  get factory() {
    return this.factoryOf(() => false);
  }

  /** Returns the factory of a page, which gets no answer once it is gone. */
  factoryOf(isGone) {
    return { open: () => this.#open(isGone) };
  }

  #open(isGone) {
    this.told.push("open");
    const request = {};
    const way = this.openings.shift();
    if (way === "SecurityError") throw new DOMException("", way);
    const answer = () => {
      if (isGone()) return;
      if (typeof way === "string") return fail(request, way);
      request.result = new Connection(this);
      if (!Object.keys(this.stores).length) request.onupgradeneeded();
      request.onsuccess();
    };
    (typeof way === "object" ? way : Promise.resolve()).then(() => setImmediate(answer));
    return request;
  }

  /** Closes all connections without having been asked, as a browser may. */
  die({ silently = false } = {}) {
    for (const connection of this.connections) {
      connection.isDead = true;
      connection.close();
      if (!silently) connection.onclose?.();
    }
  }

  rows(name) {
    return (this.stores[name] ?? []).map(({ value }) => value);
  }
}

class Connection {
  isDead = false;

  constructor(database) {
    this.database = database;
    database.connections.add(this);
  }

  createObjectStore(name, { keyPath }) {
    this.database.stores[name] = [];
    this.database.paths[name] = keyPath;
    return { createIndex() {} };
  }

  /** Transactions that have begun go on. */
  close() {
    this.database.connections.delete(this);
  }

  transaction(names, mode = "readonly", { durability = "default" } = {}) {
    if (!this.database.connections.has(this)) throw new DOMException("", "InvalidStateError");
    return new Transaction(this, mode, durability);
  }
}

class Transaction {
  error = null;
  #open = 0;
  #isOver = false;

  constructor(connection, mode, durability) {
    const { database } = connection;
    Object.assign(this, { connection, database, mode });
    database.told.push(mode === "readonly" ? mode : `${mode} ${durability}`);
    this.stores = { ...database.stores };
    this.failure = mode === "readwrite" ? database.failures.shift() : undefined;
    setImmediate(() => this.#endIfDone());
  }

  objectStore(name) {
    return new Store(this, name);
  }

  commit() {}

  abort(name = "AbortError") {
    if (this.#isOver) throw new DOMException("", "InvalidStateError");
    this.#isOver = true;
    this.error = new DOMException("", name);
    setImmediate(() => this.onabort?.());
  }

  /** Answers a request, and ends the transaction with the last one. */
  answer(result) {
    const request = { result };
    this.#open += 1;
    setImmediate(() => {
      this.#open -= 1;
      if (!this.#isOver) request.onsuccess?.();
      setImmediate(() => this.#endIfDone());
    });
    return request;
  }

  /** Another result of a request that was answered. */
  again(request, result) {
    request.result = result;
    this.#open += 1;
    setImmediate(() => {
      this.#open -= 1;
      request.onsuccess();
      setImmediate(() => this.#endIfDone());
    });
  }

  #endIfDone() {
    if (this.#isOver || this.#open) return;
    const { database, connection } = this;
    if (this.failure || connection.isDead) return this.abort(this.failure ?? "AbortError");
    this.#isOver = true;
    if (this.mode === "readwrite") database.stores = this.stores;
    this.oncomplete?.();
  }
}

class Store {
  #transaction;
  #name;

  constructor(transaction, name) {
    this.#transaction = transaction;
    this.#name = name;
  }

  get #rows() {
    return this.#transaction.stores[this.#name];
  }

  put(value) {
    const key = this.#transaction.database.paths[this.#name].map((field) => value[field]);
    const others = this.#rows.filter((row) => compare(row.key, key));
    const rows = [...others, { key, value: structuredClone(value) }];
    this.#transaction.stores[this.#name] = rows.sort((a, b) => compare(a.key, b.key));
    return this.#transaction.answer(key);
  }

  delete(query) {
    const isMeant = Array.isArray(query) ? (key) => !compare(key, query) : query;
    this.#transaction.stores[this.#name] = this.#rows.filter(({ key }) => !isMeant(key));
    return this.#transaction.answer();
  }

  getAll(range) {
    const rows = this.#rows.filter(({ key }) => range(key));
    return this.#transaction.answer(rows.map(({ value }) => structuredClone(value)));
  }

  index(field) {
    const values = (wanted) => this.#rows.filter(({ value }) => value[field] === wanted);
    return {
      getAll: (wanted) =>
        this.#transaction.answer(values(wanted).map(({ value }) => structuredClone(value))),
    };
  }

  /** From the last row to the first. */
  openCursor(range) {
    const rows = this.#rows.filter(({ key }) => range(key));
    const next = () => {
      const row = rows.pop();
      const go = () => this.#transaction.again(request, next());
      return row ? { value: structuredClone(row.value), continue: go } : null;
    };
    const request = this.#transaction.answer(next());
    return request;
  }
}

function fail(request, name) {
  request.error = new DOMException("", name);
  request.onerror();
}
