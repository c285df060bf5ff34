/**
 * The connection to the server, opened again whenever it is lost. Texts become lines, lines texts.
 *
 * **Invariants**
 * - Between `start` and `stop` there is one WebSocket, or one delay that leads to the next.
 *   Otherwise there is neither.
 * - While there is a WebSocket one timer runs: it ends the wait for an answer, or the silence.
 *
 * It does not know the DOM, or the meaning of a line, so its caller decides when to stop trying.
 */

import { CLOSE_BROKEN, CLOSE_NORMAL } from "./protocol.js";

/** A server that was only restarted is back after the first delays. */
export const DELAY_MS_FIRST = 500;

/** No delay is longer: a person may be looking at the page and waiting. */
export const DELAY_MS_MAX = 20_000;

/**
 * An attempt without a connection by then, and a connection that is silent for this long while an
 * answer is awaited, is given up. Doubled with each one given up, until all answers have come: the
 * server may read a fast client 10 s late, and 64 KiB take 26 s over 20 kbit/s.
 */
export const ANSWER_MS_FIRST = 5000;
export const ANSWER_MS_MAX = 80_000;

/** A connection that was silent for this long is probed: a person may be waiting for messages. */
export const SILENCE_MS_MAX = 30_000;

export const SUBPROTOCOL = "sotto.v1";

/**
 * One delay at a time, drawn from nothing up to a bound that doubles ("full jitter"): so the
 * clients of a restarted server do not all come back in the same instant.
 */
export class Delay {
	#clock;
	#attempts = 0;
	/** @type {number | undefined} */
	#timer;
	#attempt = () => {};

	/** @param {Clock & { random: () => number }} clock `random` is from 0 to below 1 */
	constructor(clock) {
		this.#clock = clock;
	}

	/**
	 * Calls `attempt` after the next delay.
	 * @param {() => void} attempt @param {boolean} [long] after the longest: there is little hope
	 */
	wait(attempt, long = false) {
		const bound = Math.min(DELAY_MS_MAX, DELAY_MS_FIRST * 2 ** this.#attempts);
		const ms = long ? DELAY_MS_MAX : this.#clock.random() * bound;
		this.#attempts += 1;
		this.#attempt = attempt;
		this.#timer = this.#clock.setTimer(() => this.skip(), ms);
	}

	/** Ends the delay now, if there is one. */
	skip() {
		const attempt = this.#attempt;
		this.cancel();
		attempt();
	}

	cancel() {
		this.#clock.clearTimer(this.#timer);
		this.#attempt = () => {};
	}

	/** An attempt has succeeded: the next delay is a first one again. */
	reset() {
		this.#attempts = 0;
	}
}

export class Socket {
	#outside;
	#started = false;
	/** @type {WebSocket | null} */
	#webSocket = null;
	#isOpen = false;
	/** @type {number | undefined} */
	#timer;
	#isAwaiting = false;
	/** WebSockets given up in a row. */
	#givenUp = 0;

	/** @param {SocketOutside} outside */
	constructor(outside) {
		this.#outside = outside;
	}

	start() {
		if (this.#started) return;
		this.#started = true;
		this.#open();
	}

	stop() {
		const { delay } = this.#outside;
		this.#started = false;
		this.#givenUp = 0;
		delay.cancel();
		delay.reset();
		this.#release();
	}

	/** @param {ClientLine} line */
	say(line) {
		this.#webSocket?.send(JSON.stringify(line));
		// Further lines give the first one no more time.
		if (!this.#isAwaiting && this.#outside.awaitsAnswer()) this.#listen();
	}

	#open() {
		const { connect, opened, received } = this.#outside;
		const webSocket = connect();
		this.#webSocket = webSocket;
		webSocket.onopen = () => {
			this.#isOpen = true;
			opened();
			this.#listen();
		};
		webSocket.onmessage = ({ data }) => {
			// Messages may take long to open, and the server does not owe anything meanwhile.
			this.#outside.clock.clearTimer(this.#timer);
			this.#timer = this.#outside.clock.setTimer(() => this.#abandon(), ANSWER_MS_MAX);
			received(parseLines(data));
		};
		webSocket.onclose = ({ code }) => this.#lost(code);
		// The close tells enough, but some WebSockets of programs throw an error that is not heard.
		webSocket.onerror = () => {};
		this.#listen();
	}

	/** @param {number} code the close code @param {boolean} [long] before the next attempt */
	#lost(code, long) {
		const wasOpen = this.#isOpen;
		this.#release();
		// Before `closed`, which may lead to `stop`.
		this.#retry(long);
		this.#outside.closed(code, wasOpen);
	}

	/** @param {boolean} [long] */
	#retry(long) {
		this.#outside.delay.wait(() => this.#open(), long);
	}

	/** Lets go of the WebSocket: its end may come late, and must not be taken for its successor's. */
	#release() {
		this.#outside.clock.clearTimer(this.#timer);
		this.#isOpen = this.#isAwaiting = false;
		const webSocket = this.#webSocket;
		if (!webSocket) return;
		webSocket.onopen = webSocket.onmessage = webSocket.onclose = null;
		webSocket.close(CLOSE_NORMAL);
		this.#webSocket = null;
	}

	/** The lines of a text were applied, so it is known again whether an answer is awaited. */
	applied() {
		if (this.#webSocket) this.#listen();
		if (!this.#isAwaiting) this.#givenUp = 0;
	}

	/** Begins to wait for the next text of the server. */
	#listen() {
		const { clock, awaitsAnswer, probe } = this.#outside;
		clock.clearTimer(this.#timer);
		this.#isAwaiting = !this.#isOpen || awaitsAnswer();
		const [call, ms] = this.#isAwaiting
			? [() => this.#abandon(), this.#answerMs]
			: [probe, SILENCE_MS_MAX];
		this.#timer = clock.setTimer(call, ms);
	}

	get #answerMs() {
		// A person may be waiting for an attempt.
		const max = this.#isOpen ? ANSWER_MS_MAX : DELAY_MS_MAX;
		return Math.min(max, ANSWER_MS_FIRST * 2 ** this.#givenUp);
	}

	#abandon() {
		this.#givenUp += 1;
		this.#lost(CLOSE_BROKEN);
		this.#outside.delay.skip();
	}

	/** A person looks, or the network is back: ends a delay, or finds out a dead connection. */
	wake() {
		if (!this.#isOpen) this.#outside.delay.skip();
		// One that is awaited already finds it out, too.
		else if (!this.#isAwaiting) this.#outside.probe();
	}

	/**
	 * Takes the connection for broken, because there is no network: a browser may need minutes to
	 * notice. The server may be on the same machine, though, so attempts are made now and then.
	 */
	giveUp() {
		if (this.#webSocket) {
			this.#lost(CLOSE_BROKEN, true);
		} else if (this.#started) {
			this.#outside.delay.cancel();
			this.#retry(true);
		}
	}
}

/** Returns the objects in a text, one a line, and leaves other lines out. @param {string} text */
export function parseLines(text) {
	return text.split("\n").map(parseLine).filter((line) => line instanceof Object);
}

/** @param {string} line @returns {ServerLine | null} */
function parseLine(line) {
	try {
		return JSON.parse(line);
	} catch {
		return null;
	}
}
