/**
 * The JavaScript client as a client under test: `client.mjs URL ID STORE_FILE`, see README.md.
 *
 * Node 20 needs `--experimental-websocket`.
 */

import { existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";

import { connect } from "../../../www/client.js";

const [url, id, path] = process.argv.slice(2);

/** Prints at once: a pipe is written synchronously. @param {object} event */
function tell(event) {
	writeSync(1, `${JSON.stringify(event)}\n`);
}

/** @param {string} line */
function isWhole(line) {
	return line.startsWith("[") && line.endsWith("]") && line.length > 2;
}

/** A `localStorage` in a file: changes as lines, which survive `kill -9`. */
class FileStore {
	/** @type {Map<string, string>} */
	#items = new Map();
	#file;

	/** @param {string} path */
	constructor(path) {
		const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
		// A torn line was never promised to anybody; the one behind it begins anew.
		for (const line of lines.filter(isWhole)) {
			const [key, value] = JSON.parse(line);
			if (value === null) this.#items.delete(key);
			else this.#items.set(key, value);
		}
		this.#file = openSync(path, "a");
		if (lines.at(-1)) writeSync(this.#file, "\n");
	}

	get length() {
		return this.#items.size;
	}

	/** @param {number} index */
	key(index) {
		return [...this.#items.keys()][index] ?? null;
	}

	/** @param {string} key */
	getItem(key) {
		return this.#items.get(key) ?? null;
	}

	/** @param {string} key @param {string} value */
	setItem(key, value) {
		writeSync(this.#file, `${JSON.stringify([key, value])}\n`);
		this.#items.set(key, value);
	}

	/** @param {string} key */
	removeItem(key) {
		if (!this.#items.delete(key)) return;
		writeSync(this.#file, `${JSON.stringify([key, null])}\n`);
	}
}

/** @param {{ delivered: Promise<unknown> }} sent @param {unknown} body */
function follow(sent, body) {
	sent.delivered.then(
		() => tell({ event: "delivered", body }),
		(error) => tell({ event: "failed", code: error.code, body }),
	);
}

const me = connect(url, { id, store: new FileStore(path) });
me.onstate = (state) => tell({ event: "state", state });
me.onmessage = ({ from, body }) => tell({ event: "message", from, body });
for (const sent of me.pending ?? []) follow(sent, sent.body);
for await (const line of createInterface({ input: process.stdin })) {
	const { to, body } = JSON.parse(line);
	const sent = me.send(to, body);
	tell({ event: "accepted", body });
	follow(sent, body);
}
me.close();
