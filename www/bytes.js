/**
 * Bytes and texts: base64url (RFC 4648, 5) without padding, in its one canonical form.
 *
 * It does not know what the bytes are for.
 */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** @param {string} text @returns {Bytes} */
export function utf8(text) {
	return new TextEncoder().encode(text);
}

/** @param {Uint8Array[]} parts @returns {Bytes} */
export function joined(...parts) {
	const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
	let at = 0;
	for (const part of parts) {
		all.set(part, at);
		at += part.length;
	}
	return all;
}

/** @param {Uint8Array} bytes */
export function encoded(bytes) {
	let binary = "";
	for (const byte of bytes) binary += String.fromCharCode(byte);
	return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Returns the bytes of a text, or nothing if it is no text in canonical form of so many bytes.
 * @param {unknown} text @param {number} [length] any, if it is left out
 * @returns {Bytes | undefined}
 */
export function decoded(text, length) {
	if (typeof text !== "string" || !/^[\w-]*$/.test(text)) return undefined;
	try {
		const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
		const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
		const isWhole = encoded(bytes) === text && (length ?? bytes.length) === bytes.length;
		return isWhole ? bytes : undefined;
	} catch {
		return undefined;
	}
}
