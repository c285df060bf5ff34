/**
 * Ids: their syntax, and the form in which the server compares them.
 *
 * It does not know who has an id.
 */

import { byteLength } from "./protocol.js";

const ID_BYTES_MAX = 64;

/** The protocol's syntax, except for the length. */
const ID = /^(?!\p{M})(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{N}._@+-])+$/u;

/** Gives equal ids equal bytes, which the server compares. @param {string} text */
export function normalId(text) {
	return text.trim().normalize("NFC");
}

/** @param {string} id */
export function isId(id) {
	return id === id.normalize("NFC") && ID.test(id) && byteLength(id) <= ID_BYTES_MAX;
}
