/**
 * The memory of the browser between visits: ids, their keys, settings, the open conversation.
 *
 * **Invariants**
 * - Where the browser refuses, everything works, but in this tab only. There the values are in the
 *   entry of the tab's history, so the page that is loaded again has them.
 * - An id that was ours is remembered until its owner leaves it, also while the server refuses it.
 *
 * It does not know messages.
 */

import { normalId } from "./ids.js";
import { randomHex } from "./protocol.js";
import { scoped } from "./scope.js";
import { SETTINGS_DEFAULT } from "./state.js";

export class Remembered {
	/** Keys by id, also those that are not remembered yet. @type {Map<string, string>} */
	#keys = new Map();
	/** Secrets from a recovery code, until their id is joined. @type {Map<string, Restored>} */
	#restored = new Map();
	/** Seeds of identities by id, likewise. @type {Map<string, string>} */
	#seeds = new Map();
	/** The server's password, until it was good for a join. @type {string | undefined} */
	#password;

	/** Returns the id of the last visit. A tab that is loaded again goes on under its own. */
	get id() {
		return normalId(recall("sessionStorage", "id") || recall("localStorage", "id"));
	}

	/** Returns the peer of the conversation that was open in this tab. */
	get peer() {
		return normalId(recall("sessionStorage", "peer"));
	}

	/** @returns {Partial<Settings>} */
	get settings() {
		try {
			return JSON.parse(recall("localStorage", "settings"));
		} catch {
			return SETTINGS_DEFAULT;
		}
	}

	/** Returns the secret of an id, made up when the id is first claimed. @param {string} id */
	keyOf(id) {
		const key = this.#restored.get(id)?.key || recall("localStorage", `key ${id}`)
			|| this.#keys.get(id) || randomHex();
		this.#keys.set(id, key);
		return key;
	}

	/**
	 * Returns the seed of an id's identity as base64url; empty if there is none.
	 * @param {string} id
	 */
	seedOf(id) {
		return this.#restored.get(id)?.seed || recall("localStorage", `seed ${id}`)
			|| this.#seeds.get(id) || "";
	}

	/**
	 * Notes a seed, and the key that follows from it, for an id that has no key yet.
	 * @param {string} id @param {string} seed @param {string} key
	 */
	noteSeed(id, seed, key) {
		this.#seeds.set(id, seed);
		if (!recall("localStorage", `key ${id}`)) this.#keys.set(id, key);
	}

	/**
	 * Takes secrets in place of the remembered ones, for good once the id is joined with them.
	 * @param {string} id @param {Restored} restored
	 */
	restore(id, restored) {
		this.#restored.set(id, restored);
	}

	/**
	 * Returns the pinned identities by peer.
	 * @param {string} id @returns {Record<string, string>}
	 */
	pinsOf(id) {
		try {
			return JSON.parse(recall("localStorage", `pins ${id}`));
		} catch {
			return {};
		}
	}

	/**
	 * Notes the pinned identity of a peer, beside the storage of messages, which may fail or be late.
	 * @param {string} id @param {string} peer @param {string} [sign] nothing: none is pinned any more
	 */
	notePin(id, peer, sign) {
		const pins = JSON.stringify({ ...this.pinsOf(id), [peer]: sign });
		remember("localStorage", `pins ${id}`, pins === "{}" ? "" : pins);
	}

	/** The password that the server asks for; empty: none is known. */
	get password() {
		return this.#password ?? recall("localStorage", "password");
	}

	/** @param {string} password is kept once a join was granted with it */
	set password(password) {
		this.#password = password;
	}

	dropPassword() {
		this.#password = undefined;
		remember("localStorage", "password", "");
	}

	/** The token of a login elsewhere, for this tab; empty: there is none. */
	get token() {
		return recall("sessionStorage", "token");
	}

	set token(token) {
		remember("sessionStorage", "token", token);
	}

	/** @param {string} id */
	forgetKey(id) {
		for (const map of [this.#keys, this.#seeds, this.#restored]) map.delete(id);
		for (const name of ["key", "seed", "pins"]) remember("localStorage", `${name} ${id}`, "");
	}

	/** @param {State} state */
	update({ connection, id, openPeer, settings }) {
		const isJoined = connection === "joined";
		const all = JSON.stringify(settings);
		remember("localStorage", "settings", all === JSON.stringify(SETTINGS_DEFAULT) ? "" : all);
		// An id that was never ours is not remembered.
		if (isJoined) remember("localStorage", `key ${id}`, this.keyOf(id));
		if (isJoined) remember("localStorage", `seed ${id}`, this.seedOf(id));
		if (isJoined) this.#restored.delete(id);
		if (isJoined) remember("localStorage", "password", this.password);
		// Another id, or none after a refusal, is just a try.
		const hasLeft = connection === "none" && !id;
		if (!isJoined && !hasLeft) return;
		remember("localStorage", "id", id);
		remember("sessionStorage", "id", id);
		remember("sessionStorage", "peer", openPeer);
	}
}

/**
 * Returns a value of the storage, or else of this tab's history.
 * @param {"localStorage" | "sessionStorage"} storage @param {string} name
 */
function recall(storage, name) {
	try {
		return globalThis[storage].getItem(scoped(name)) ?? inTab(storage, name);
	} catch {
		return inTab(storage, name);
	}
}

/** @param {string} storage @param {string} name @returns {string} */
function inTab(storage, name) {
	return globalThis.history?.state?.[`${storage} ${name}`] ?? "";
}

/** @param {"localStorage" | "sessionStorage"} storage @param {string} name @param {string} value */
function remember(storage, name, value) {
	if (recall(storage, name) === value) return;
	try {
		if (value) globalThis[storage].setItem(scoped(name), value);
		else globalThis[storage].removeItem(scoped(name));
	} catch {
		const { history } = globalThis;
		history?.replaceState({ ...history.state, [`${storage} ${name}`]: value }, "");
	}
}
