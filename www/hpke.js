/**
 * HPKE (RFC 9180) in its mode Auth, for one text: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
 * AES-128-GCM. WebCrypto does the arithmetic.
 *
 * **Invariants**
 * - No secret begins with a zero byte: WebKitGTK does not import such.
 * - An HMAC key is never empty, which WebCrypto refuses: HPKE's empty salt is 32 zero bytes.
 *
 * It does not know what is sealed.
 */

import { decoded, joined, utf8 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const X25519 = "X25519";
/** The beginning of a secret in PKCS#8 (RFC 8410), up to its 32 bytes. */
export const PKCS8_BYTES = 16;
const PKCS8 = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20];

/** WebKitGTK fails to make a key now and then: 5 times in 1,000. */
const ATTEMPTS_MAX = 5;

const MODE_AUTH = 2;
const VERSION = utf8("HPKE-v1");
const KEM = joined(utf8("KEM"), Uint8Array.of(0, 32));
const SUITE = joined(utf8("HPKE"), Uint8Array.of(0, 32, 0, 1, 0, 1));
const NO_SALT = new Uint8Array(32);
const NONE = new Uint8Array();

/** Makes a pair. @param {number} [attempts] @returns {Promise<Pair>} */
export async function newPair(attempts = ATTEMPTS_MAX) {
	try {
		const made = /** @type {CryptoKeyPair} */ (
			await crypto.subtle.generateKey(X25519, true, ["deriveBits"]));
		const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", made.privateKey));
		const secret = pkcs8.slice(PKCS8_BYTES);
		if (secret[0] !== 0) return await pairOf(secret);
	} catch (error) {
		if (attempts === 1) throw error;
	}
	return newPair(Math.max(1, attempts - 1));
}

/** Returns the pair with a secret. @param {Uint8Array} secret @returns {Promise<Pair>} */
export async function pairOf(secret) {
	const { key, x } = await importSecret(X25519, secret);
	return { secret: joined(secret), public: x, key };
}

/**
 * Imports the secret of a curve, and returns it with its public part.
 * @param {"X25519" | "Ed25519"} curve @param {Uint8Array} secret
 */
export async function importSecret(curve, secret) {
	const pkcs8 = joined(Uint8Array.from(PKCS8), secret);
	if (curve === "Ed25519") pkcs8[11] = 0x70;
	const usages = /** @type {KeyUsage[]} */ (curve === X25519 ? ["deriveBits"] : ["sign"]);
	const key = await crypto.subtle.importKey("pkcs8", pkcs8, curve, true, usages);
	const { x } = await crypto.subtle.exportKey("jwk", key);
	return { key, x: /** @type {Bytes} */ (decoded(x, 32)) };
}

/**
 * Seals a text for a recipient, who can tell that its sender has the sender's secret.
 * @param {{ info: Bytes, text: Bytes, sender: Pair, recipient: Bytes, ephemeral?: Pair }} sealing
 */
export async function seal({ info, text, sender, recipient, ephemeral }) {
	const { key, public: enc } = ephemeral ?? await newPair();
	const to = await importPublic(recipient);
	const secrets = await Promise.all([agree(key, to), agree(sender.key, to)]);
	const { aes, iv } = await schedule(secrets, joined(enc, recipient, sender.public), info);
	const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, aes, text);
	return { enc, box: new Uint8Array(box) };
}

/**
 * Opens a text; rejects if it is not exactly what the sender has sealed for the recipient.
 * @param {{ info: Bytes, enc: Bytes, box: Bytes, recipient: Pair, sender: Bytes }} opening
 */
export async function open({ info, enc, box, recipient, sender }) {
	const [ephemeral, from] = await Promise.all([importPublic(enc), importPublic(sender)]);
	const secrets = await Promise.all([agree(recipient.key, ephemeral), agree(recipient.key, from)]);
	const { aes, iv } = await schedule(secrets, joined(enc, recipient.public, sender), info);
	return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, aes, box));
}

/** @param {Bytes} bytes */
function importPublic(bytes) {
	return crypto.subtle.importKey("raw", bytes, X25519, false, []);
}

/**
 * Returns the shared secret of two keys (RFC 7748, 6.1).
 * @param {CryptoKey} key @param {CryptoKey} other
 */
async function agree(key, other) {
	const bits = await crypto.subtle.deriveBits({ name: X25519, public: other }, key, 256);
	const secret = new Uint8Array(bits);
	// Only a key of low order leads there.
	if (secret.every((byte) => byte === 0)) throw new Error("low_order");
	return secret;
}

/**
 * Returns key and nonce of the one text that is sealed (RFC 9180, 4.1 and 5.1).
 * @param {Bytes[]} secrets @param {Bytes} kemContext @param {Bytes} info
 */
async function schedule(secrets, kemContext, info) {
	const eae = await hkdfKey(joined(VERSION, KEM, utf8("eae_prk"), ...secrets));
	const [shared, psk, infoHash] = await Promise.all([
		expand(eae, NO_SALT, KEM, "shared_secret", kemContext, 32),
		extract(SUITE, "psk_id_hash", NONE),
		extract(SUITE, "info_hash", info),
	]);
	const context = joined(Uint8Array.of(MODE_AUTH), psk, infoHash);
	const secret = await hkdfKey(joined(VERSION, SUITE, utf8("secret")));
	const [aes, iv] = await Promise.all([
		expand(secret, shared, SUITE, "key", context, 16).then((bytes) => {
			return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
		}),
		expand(secret, shared, SUITE, "base_nonce", context, 12),
	]);
	return { aes, iv };
}

/** @param {Bytes} suite @param {string} label @param {Bytes} input */
async function extract(suite, label, input) {
	const hmac = { name: "HMAC", hash: "SHA-256" };
	const key = await crypto.subtle.importKey("raw", NO_SALT, hmac, false, ["sign"]);
	const text = joined(VERSION, suite, utf8(label), input);
	return new Uint8Array(await crypto.subtle.sign("HMAC", key, text));
}

/** @param {Bytes} input */
export function hkdfKey(input) {
	return crypto.subtle.importKey("raw", input, "HKDF", false, ["deriveBits"]);
}

/**
 * Extracts and expands with labels, in one call.
 * @param {CryptoKey} key @param {Bytes} salt @param {Bytes} suite @param {string} label
 * @param {Bytes} context @param {number} length in bytes
 */
function expand(key, salt, suite, label, context, length) {
	const info = joined(Uint8Array.of(0, length), VERSION, suite, utf8(label), context);
	return hkdf(key, salt, info, length);
}

/**
 * HKDF-SHA256 (RFC 5869).
 * @param {CryptoKey} key @param {Bytes} salt @param {Bytes} info @param {number} length in bytes
 */
export async function hkdf(key, salt, info, length) {
	const how = { name: "HKDF", hash: "SHA-256", salt, info };
	return new Uint8Array(await crypto.subtle.deriveBits(how, key, length * 8));
}
