/**
 * Our id and its connection.
 *
 * **Invariants**
 * - A connection is wanted only after the storage was asked about the id.
 * - After "replaced" none is wanted until the reader asks for the id here.
 *
 * It does not know conversations, or the socket.
 */

import { CLOSE_GOING_AWAY, CLOSE_TRY_LATER } from "./protocol.js";

/** A connection that is back within this time was hardly away: its loss is not shown. */
export const QUIET_MS = 2000;

/** @type {Record<number, Outage>} by close code */
const OUTAGES = { [CLOSE_GOING_AWAY]: "restarting", [CLOSE_TRY_LATER]: "busy" };

export class Identity {
	#state;
	#outside;
	#losses = 0;

	/** @param {StateOfIdentity} state @param {IdentityOutside} outside */
	constructor(state, outside) {
		this.#state = state;
		this.#outside = outside;
	}

	get wanted() {
		const { connection, ready } = this.#state;
		return ready && connection !== "none" && connection !== "replaced";
	}

	/** Returns `true` if the reader may claim this id now. @param {string} id */
	mayJoin(id) {
		const { connection } = this.#state;
		// While one id waits for its answer, the reader may try another.
		const isOther = connection === "joining" && id !== this.#state.id;
		return id !== "" && (connection === "none" || isOther);
	}

	/** @param {Connection} connection @param {string} [id] */
	enter(connection, id = this.#state.id) {
		const ready = connection === "joined";
		// A refusal does not make an id a stranger's.
		const ours = ready || connection === "lost" || (this.#state.ours && id === this.#state.id);
		Object.assign(this.#state, { connection, id, ours, ready, outage: "", quiet: false });
	}

	/** Returns `true` if the storage still has to answer for this id. @param {string} id */
	isPreparing(id) {
		const { connection, ready } = this.#state;
		return id === this.#state.id && !ready && (connection === "joining" || connection === "lost");
	}

	prepared() {
		this.#state.ready = true;
	}

	/** @param {number} code the close code */
	lost(code) {
		const state = this.#state;
		const outage = OUTAGES[code];
		const wasJoined = state.connection === "joined";
		// A failed attempt does not replace the reason for the loss.
		if (outage || wasJoined) state.outage = outage ?? "";
		else if (state.connection === "joining") state.outage ||= "unreachable";
		// If the browser reports no network, the loss is certain and shown at once.
		if (wasJoined && state.online) this.#startQuietPeriod();
		if (state.connection !== "joining") state.connection = "lost";
	}

	#startQuietPeriod() {
		const loss = ++this.#losses;
		this.#state.quiet = true;
		this.#outside.later(() => {
			if (loss !== this.#losses) return;
			this.#state.quiet = false;
			this.#outside.changed();
		}, QUIET_MS);
	}

	/** @param {Outage} outage the reason why the server took no connection */
	setOutage(outage) {
		if (this.wanted && this.#state.connection !== "joined") this.#state.outage = outage;
	}
}
