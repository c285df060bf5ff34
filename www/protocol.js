/**
 * The wire protocol as far as clients need it: limits, close codes, lines, bodies.
 *
 * It does not know when a line is said.
 */

/** The sends that the server remembers, to answer them again and to tell their fate. */
export const SENDS_MAX = 128;

/** The ids that one connection may watch, and those that it may block. */
export const WATCHED_MAX = 256;

/** The longest message that the server takes by default, until `joined` tells. */
export const MESSAGE_BYTES_DEFAULT = 65536;

/** We have left, or ended the connection ourselves. */
export const CLOSE_NORMAL = 1000;

/** The server is being stopped. */
export const CLOSE_GOING_AWAY = 1001;

/** Browsers report this if a connection ended without a close frame. */
export const CLOSE_BROKEN = 1006;

/** We were too slow to read, or the server is short of memory. */
export const CLOSE_TRY_LATER = 1013;

/** The id was joined elsewhere with our key. */
export const CLOSE_REPLACED = 4001;

/** Ids or mids in one line. */
const LIST_MAX = 256;

/** The longest id or mid in JSON, with quotes and comma. */
const LIST_ITEM_BYTES = 67;

/** The longest line with a list, without the list itself. */
const LIST_LINE_BYTES = 128;

/** @param {{ peer: string, body: unknown, ref: string }} message @returns {SendLine} */
export function sendLine({ peer, body, ref }) {
	return { type: "send", to: peer, body, ref };
}

/**
 * Returns a body as programs send it, with a number by which its recipient knows it again.
 * @param {unknown} body @param {number} number
 */
export function numbered(body, number) {
	return typeof body === "string" ? { text: body, number } : { body, number };
}

/**
 * Returns the content of a body that arrived, and its number if it has one.
 * @param {unknown} body @returns {{ content: unknown, number?: number }}
 */
export function contentOf(body) {
	if (!(body instanceof Object)) return { content: body };
	const { number, text, ...rest } = /** @type {Record<string, unknown>} */ (body);
	if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 1) {
		return { content: body };
	}
	const others = Object.keys(rest);
	if (typeof text === "string" && !others.length) return { content: text, number };
	const isOther = text === undefined && others.length === 1 && others[0] === "body";
	return isOther ? { content: rest.body, number } : { content: body };
}

/** @param {string[]} values @param {number} bytesMax the longest line that the server takes */
export function listParts(values, bytesMax) {
	const fitting = Math.floor((bytesMax - LIST_LINE_BYTES) / LIST_ITEM_BYTES);
	const count = Math.max(1, Math.min(LIST_MAX, fitting));
	const parts = [];
	for (let from = 0; from < values.length; from += count) {
		parts.push(values.slice(from, from + count));
	}
	return parts;
}

/** Returns the length of a line, or a part of one, as JSON. @param {object} line */
export function lineBytes(line) {
	return byteLength(JSON.stringify(line));
}

/** Returns 128 random bits, which no one guesses and which never come twice. */
export function randomHex() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns the length of a text as UTF-8. @param {string} text */
export function byteLength(text) {
	return new TextEncoder().encode(text).length;
}
