/**
 * What outlives a program that uses the client: the key of its id, its messages without a fate, and
 * the names of those that it has handled.
 *
 * **Invariants**
 * - Each value is one small item of the store, so the cost of a message does not grow with their
 *   number.
 * - Items that belong together are written together, or not at all.
 *
 * It does not know when a message has its fate, or what a name consists of.
 */

import { BoundedMap } from "./bounded.js";
import { randomHex } from "./protocol.js";

/**
 * The messages that are known again, in parts that are kept one by one. The server offers those
 * again that were not acknowledged, and holds some 2,500 at most for an id by default.
 */
const KNOWN_PART = 256;
const KNOWN_PARTS_MAX = 64;

/** A store that keeps nothing. @type {ClientStore} */
export const NOWHERE = { getItem: () => null, setItem() {}, removeItem() {} };

/** Returns a promise of a fate, with the functions that settle it. @returns {OpenFate} */
export function newFate() {
	/** @type {OpenFate["resolve"]} */
	let resolve = () => {};
	/** @type {OpenFate["reject"]} */
	let reject = () => {};
	const delivered = new Promise((...functions) => ([resolve, reject] = functions));
	// A program need not look at it.
	delivered.catch(() => {});
	return { delivered, resolve, reject };
}

export class Memory {
	#store;
	#prefix;
	/** Messages without a fate, by place. @type {Map<number, ClientSend>} */
	#open = new Map();
	/** Their places lie from the first to below the second. */
	#range;
	/** The number of the part that is being filled. */
	#part;
	/** @type {string[]} */
	#names;
	/** @type {BoundedMap<string, true>} */
	#known = new BoundedMap(KNOWN_PART * KNOWN_PARTS_MAX);
	/** The items of a commit that the store has not taken as a whole. @type {[string, unknown][]} */
	#begun;
	/** Items that are written together later; `null` removes one. */
	#gathered = /** @type {Map<string, unknown> | null} */ (null);

	/** @param {ClientStore} store @param {string} prefix */
	constructor(store, prefix) {
		this.#store = store;
		this.#prefix = prefix;
		this.#begun = this.#read("commit") ?? [];
		this.#finish();
		this.#range = this.#read("range") ?? [0, 0];
		this.#part = this.#read("part") ?? 0;
		for (let part = Math.max(0, this.#part - KNOWN_PARTS_MAX); part < this.#part; part += 1) {
			for (const name of this.#read(`known ${part}`) ?? []) this.#known.set(name, true);
		}
		this.#names = this.#read(`known ${this.#part}`) ?? [];
		for (const name of this.#names) this.#known.set(name, true);
	}

	/** @param {string} name */
	#read(name) {
		return JSON.parse(this.#store.getItem(this.#prefix + name) ?? "null");
	}

	/** @param {string} name @param {unknown} [value] nothing removes it */
	#write(name, value) {
		if (this.#gathered) return void this.#gathered.set(name, structuredClone(value ?? null));
		this.#finish();
		this.#put(name, value);
	}

	/** @param {string} name @param {unknown} [value] */
	#put(name, value) {
		if (value === undefined) this.#store.removeItem(this.#prefix + name);
		else this.#store.setItem(this.#prefix + name, JSON.stringify(value));
	}

	/** From now on items are written together: all or none, whenever the program is killed. */
	gather() {
		this.#gathered = new Map();
	}

	/** Writes the gathered items. */
	commit() {
		const items = [...this.#gathered ?? []];
		this.#gathered = null;
		if (!items.length) return;
		this.#finish();
		this.#put("commit", items);
		this.#begun = items;
		this.#finish();
	}

	/** Ends a commit that was begun, before anything newer is written. */
	#finish() {
		if (!this.#begun.length) return;
		for (const [name, value] of this.#begun) this.#put(name, value ?? undefined);
		this.#put("commit");
		this.#begun = [];
	}

	/** Returns the key, made up at first. */
	key() {
		const key = this.#read("key") ?? randomHex();
		this.#write("key", key);
		return key;
	}

	get size() {
		return this.#open.size;
	}

	get open() {
		return [...this.#open.values()];
	}

	/**
	 * The ownership of the last connection by its name, and the time until which peers may be on
	 * their way back, in ms since 1970.
	 * @returns {[string, number]}
	 */
	get ownership() {
		return this.#read("ownership") ?? ["", 0];
	}

	set ownership(ownership) {
		if (`${ownership}` !== `${this.ownership}`) this.#write("ownership", ownership);
	}

	/** Returns the kept messages without a fate, in their order. */
	messages() {
		for (let [place, next] = this.#range; place < next; place += 1) {
			const message = this.#read(`out ${place}`);
			if (message) this.#open.set(place, { ...message, ...newFate() });
		}
		return this.open;
	}

	/** Keeps a new message, in the next place. @param {ClientSend} message */
	add(message) {
		const [first, place] = this.#range;
		this.#write("range", [first, place + 1]);
		this.#range = [first, place + 1];
		this.keep(Object.assign(message, { place }));
		this.#open.set(place, message);
	}

	/** @param {ClientSend} message */
	keep({ peer, body, ref, place, ownership, mid, at }) {
		this.#write(`out ${place}`, { peer, body, ref, place, ownership, mid, at });
	}

	/** A message has its fate. @param {ClientSend} message */
	drop({ place }) {
		this.#open.delete(place);
		this.#write(`out ${place}`);
		const [first = this.#range[1]] = this.#open.keys();
		if (first === this.#range[0]) return;
		this.#range = [first, this.#range[1]];
		this.#write("range", this.#range);
	}

	/** @param {string} name */
	knows(name) {
		return this.#known.has(name);
	}

	/** Knows a message again from now on. @param {string} name */
	remember(name) {
		if (this.#known.has(name)) return;
		// First of all: a store that fails must not have it handled again.
		this.#known.set(name, true);
		this.#names.push(name);
		this.#write(`known ${this.#part}`, this.#names);
		if (this.#names.length < KNOWN_PART) return;
		this.#names = [];
		this.#part += 1;
		this.#write("part", this.#part);
		this.#write(`known ${this.#part - KNOWN_PARTS_MAX - 1}`);
	}
}
