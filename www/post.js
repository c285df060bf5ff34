/**
 * The post: seals messages on their way from the store to the socket, and opens those that come.
 *
 * **Invariants**
 * - Each way is one chain of promises, so no line overtakes an earlier one.
 * - A line goes into the connection for which it was said, or nowhere. A line that was received
 *   on a connection that has ended is dropped: the server repeats messages and fates.
 *
 * It does not know which messages are sealed, or the meaning of their contents.
 */

import { checkCard } from "./card.js";
import { isSealed, openBody, sealBody } from "./sealed.js";

/**
 * Lines that are opened at once. With 500 at once the longest task of a slow phone took 1.2 s, with
 * parts of 16 it takes 0.9 s: the rest is not in the opening.
 */
const OPENED_AT_ONCE = 16;

export class Post {
	#outside;
	/** The number of the present connection. */
	#connection = 0;
	#out = Promise.resolve();
	/** The lines in that chain. */
	#sealing = 0;
	#in = Promise.resolve();

	/** @param {PostOutside} outside */
	constructor(outside) {
		this.#outside = outside;
	}

	/** A connection is there, and the keys may be on their way. */
	opened() {
		const { keyring, store } = this.#outside;
		this.ended();
		this.#then(async () => {
			await keyring.renew();
			return () => store.wanted && store.opened();
		});
	}

	/** The connection has ended. */
	ended() {
		this.#connection += 1;
	}

	/** @param {ServerLine[]} lines all lines of one text */
	received(lines) {
		this.#then(async () => {
			/** @type {ServerLine[]} */
			const opened = [];
			for (let from = 0; from < lines.length; from += OPENED_AT_ONCE) {
				const part = lines.slice(from, from + OPENED_AT_ONCE);
				opened.push(...await Promise.all(part.map((line) => this.#open(line))));
			}
			return () => {
				const { store, socket } = this.#outside;
				try {
					store.received(opened);
				} finally {
					// Otherwise the end of the connection would never be noticed.
					socket.applied();
				}
				const joined = lines.find(({ type }) => type === "joined");
				if (joined?.type === "joined") this.#outside.keyring.renew(joined.hold);
			};
		});
	}

	/** @param {() => Promise<() => void>} prepare resolves to the step that waits for its turn */
	#then(prepare) {
		const connection = this.#connection;
		const prepared = prepare();
		this.#in = this.#in.then(async () => {
			const step = await prepared;
			if (connection === this.#connection) step();
		}).catch(report);
	}

	/** @param {ClientLine} line @param {Sealing} [sealing] */
	say(line, sealing) {
		// After a `leave` nothing else counts, and the connection ends at once.
		if (line.type === "leave" || !sealing && !this.#sealing) return this.#outside.socket.say(line);
		const connection = this.#connection;
		const sealed = sealing && this.#seal(/** @type {SendLine} */ (line), sealing);
		this.#sealing += 1;
		this.#out = this.#out.then(async () => {
			const body = await sealed;
			this.#sealing -= 1;
			if (connection !== this.#connection) return;
			if (sealing && !body) sealing.failed?.();
			else if (body) sealing?.done?.(body);
			if (sealing?.done) this.#outside.store.sealed();
			if (sealing && !body) return;
			this.#outside.socket.say(body ? { .../** @type {SendLine} */ (line), body } : line);
		}).catch(report);
	}

	/** @param {SendLine | TellLine} line @param {Sealing} sealing */
	async #seal({ to }, { kind, card, content }) {
		const { keyring, store } = this.#outside;
		const { pair, card: own } = keyring;
		if (!pair || !own) return undefined;
		const sealing = sealBody({
			kind, from: store.state.id, to, card: own, pair, recipient: card, content,
		});
		return sealing.catch(() => undefined);
	}

	/** @param {ServerLine} line @returns {Promise<ServerLine>} */
	async #open(line) {
		const { keyring, store } = this.#outside;
		if (line.type === "card") {
			const { id, card } = line;
			const isValid = card && keyring.card && await checkCard(id, card).catch(() => false);
			return isValid ? line : { ...line, card: undefined };
		}
		if (line.type !== "message" && line.type !== "signal" || !isSealed(line.body)) return line;
		const { type: kind, from, body } = line;
		if (line.type === "message" && store.knows(line.mid)) return line;
		const { sign } = keyring;
		const to = store.state.id;
		const opening = openBody({ kind, from, to, body, sign, pairOf: (seal) => keyring.pairOf(seal) });
		return { ...line, opened: await opening.catch(({ card }) => ({ card })) };
	}
}

/** An error is one of ours, and must not end the chain. @param {unknown} error */
function report(error) {
	queueMicrotask(() => {
		throw error;
	});
}
