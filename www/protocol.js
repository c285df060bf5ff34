/**
 * The wire protocol, as far as the page has to know it: limits, syntax, close codes, and how a line is built.
 *
 * Not known here: who says a line, and when.
 */

/** So many sends the server remembers: to know them again when they are repeated, and to tell what became of them. */
export const SENDS_MAX = 128;

/** Ids that one connection may watch; and ids that it may block. */
export const WATCHED_MAX = 256;

/** The server's default, until `joined` tells: bytes of the longest message it takes. */
export const MESSAGE_BYTES_DEFAULT = 65536;

/** The server is being stopped. */
export const CLOSE_GOING_AWAY = 1001;

/** What browsers report for a connection that ended without a close frame. */
export const CLOSE_BROKEN = 1006;

/** We were too slow to read, or the server is short of memory. */
export const CLOSE_TRY_LATER = 1013;

/** The id was joined elsewhere with our key. */
export const CLOSE_REPLACED = 4001;

/** Ids or mids in one line. */
const LIST_MAX = 256;

/** No id or mid is longer in JSON, with its quotes and comma. */
const LIST_ITEM_BYTES = 67;

/** No line with a list is longer, but for what is in the list. */
const LIST_LINE_BYTES = 128;

const ID_BYTES_MAX = 64;

/** The protocol's syntax, but for the length. */
const ID = /^(?!\p{M})(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{N}._@+-])+$/u;

/** The server compares bytes, so the same id has to be the same bytes. @param {string} text */
export function normalId(text) {
  return text.trim().normalize("NFC");
}

/** @param {string} id */
export function isId(id) {
  return ID.test(id) && byteLength(id) <= ID_BYTES_MAX;
}

/** @param {{ peer: string, body: unknown, ref?: string }} message */
export function sendLine({ peer, body, ref }) {
  return { type: "send", to: peer, body, ref };
}

/**
 * The lines that say `line` for all these values, in as many parts as the server's limits ask for.
 * @param {object} line @param {"ids" | "mids"} name @param {string[]} values @param {number} bytesMax
 */
export function listLines(line, name, values, bytesMax) {
  const fitting = Math.floor((bytesMax - LIST_LINE_BYTES) / LIST_ITEM_BYTES);
  const count = Math.max(1, Math.min(LIST_MAX, fitting));
  const lines = [];
  for (let from = 0; from < values.length; from += count) {
    lines.push({ ...line, [name]: values.slice(from, from + count) });
  }
  return lines;
}

/** Bytes of a line on the wire. @param {object} line */
export function lineBytes(line) {
  return byteLength(JSON.stringify(line));
}

/** @param {string} text */
function byteLength(text) {
  return new TextEncoder().encode(text).length;
}
