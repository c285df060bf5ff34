/**
 * Bytes as text, and text as bytes: UTF-8, and base64url without padding (RFC 4648, 5).
 *
 * It does not know the meaning of the bytes.
 */

/** @param {string} text */
export const utf8 = (text) => new TextEncoder().encode(text);

/** Returns short pieces as one, texts as UTF-8. @param {(string | Bytes)[]} pieces */
export const joined = (...pieces) => Uint8Array.from(
	pieces.flatMap((piece) => [...typeof piece === "string" ? utf8(piece) : piece]),
);

/** @param {Bytes} bytes */
export function encoded(bytes) {
	let text = "";
	for (const byte of bytes) text += String.fromCharCode(byte);
	return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/**
 * Returns the bytes, or `null` unless this is the one text that encodes them.
 * @param {any} text unknown, from JSON @param {number} [length] in bytes
 */
export function decoded(text, length) {
	try {
		const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
		const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
		return encoded(bytes) === text && (length ?? bytes.length) === bytes.length ? bytes : null;
	} catch {
		return null;
	}
}
