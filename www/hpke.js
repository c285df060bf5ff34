/**
 * HPKE (RFC 9180) with WebCrypto: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, in the mode
 * that authenticates the sender, for one text without associated data.
 *
 * **Invariants**
 * - No secret begins with a zero byte, because WebKitGTK does not import such a secret.
 * - A shared secret of zeros, which everybody can compute, is refused.
 * - Nothing is computed while the module loads: over plain HTTP there is no WebCrypto.
 *
 * It does not know the meaning of a text or of a key.
 */

import { decoded, joined } from "./bytes.js";

const { subtle } = crypto;

/** "HPKE-v1" and `suite_id` (RFC 9180, 4.1 and 5.1). The space is the byte 32: the KEM's number. */
const KEM = "HPKE-v1KEM\0 ";
const HPKE = "HPKE-v1HPKE\0 \0\x01\0\x01";

/** `mode_auth` (RFC 9180, 5). */
const MODE = "\x02";

/**
 * As many zeros as a hash has bytes, which is the same as no salt to HKDF and to HMAC. WebKit
 * refuses an empty HMAC key.
 */
const NO_SALT = new Uint8Array(32);

/**
 * The HMAC key without salt, the key of the HKDF that derives key and nonce, and `psk_id_hash`.
 * @type {[CryptoKey, CryptoKey, Bytes] | undefined}
 */
let constants;

/** Returns a key for HKDF. @param {(string | Bytes)[]} pieces */
export const material = (...pieces) => subtle.importKey(
	"raw", joined(...pieces), "HKDF", false, ["deriveBits", "deriveKey"],
);

/** @param {Bytes} salt @param {(string | Bytes)[]} info */
const hkdf = (salt, ...info) => ({ name: "HKDF", hash: "SHA-256", salt, info: joined(...info) });

/**
 * Returns bytes of HKDF-SHA256.
 * @param {CryptoKey} key @param {(string | Bytes)[]} info @param {number} [length] in bytes
 * @param {Bytes} [salt]
 */
export const derived = async (key, info, length = 32, salt = NO_SALT) => new Uint8Array(
	await subtle.deriveBits(hkdf(salt, ...info), key, 8 * length),
);

/**
 * Returns the key of a secret of 32 bytes, and its public key.
 * @param {Bytes} secret @param {"X25519" | "Ed25519"} name
 * @param {KeyUsage} use @param {string} oidEnd the last byte of the algorithm's object identifier
 * @returns {Promise<{ key: CryptoKey, public: Bytes }>}
 */
export async function imported(secret, name, use, oidEnd) {
	// PKCS#8 (RFC 8410, 7): ASN.1 whose bytes are ASCII.
	const text = joined(`0.\x02\x01\x000\x05\x06\x03+e${oidEnd}\x04"\x04 `, secret);
	const key = await subtle.importKey("pkcs8", text, name, true, [use]);
	const { x } = await subtle.exportKey("jwk", key);
	/** @type {any} */
	const bytes = decoded(x);
	return { key, public: bytes };
}

/** @param {Bytes} secret of 32 bytes @returns {Promise<Pair>} */
export const pairOf = async (secret) => ({
	secret, ...await imported(secret, "X25519", "deriveBits", "n"),
});

/** @returns {Promise<Pair>} */
export async function newPair() {
	// Any 32 bytes are a secret (RFC 7748, 5), and WebKitGTK's generateKey() fails now and then.
	const secret = crypto.getRandomValues(new Uint8Array(32));
	return secret[0] ? pairOf(secret) : newPair();
}

/**
 * Returns the public key and the box that only the recipient can open.
 * @param {{ info: Bytes, text: Bytes, sender: Pair, recipient: Bytes, ephemeral?: Pair }} given
 */
export async function seal({ info, text, sender, recipient, ephemeral }) {
	const { key, public: enc } = ephemeral ?? await newPair();
	const secrets = [key, sender.key].map((own) => secretOf(own, recipient));
	const cipher = await cipherOf(info, secrets, [enc, recipient, sender.public]);
	return { enc, box: new Uint8Array(await subtle.encrypt(...cipher, text)) };
}

/**
 * Returns the text, and rejects unless this sender has sealed it to this recipient.
 * @param {{ info: Bytes, enc: Bytes, box: Bytes, recipient: Pair, sender: Bytes }} given
 */
export async function open({ info, enc, box, recipient, sender }) {
	const secrets = [enc, sender].map((peer) => secretOf(recipient.key, peer));
	const cipher = await cipherOf(info, secrets, [enc, recipient.public, sender]);
	return new Uint8Array(await subtle.decrypt(...cipher, box).catch(() => {
		throw Error("open");
	}));
}

/** Returns a shared secret (RFC 7748, 6.1). @param {CryptoKey} key @param {Bytes} peer */
async function secretOf(key, peer) {
	try {
		const imported = await subtle.importKey("raw", peer, "X25519", false, []);
		const parameters = { name: "X25519", public: imported };
		const secret = new Uint8Array(await subtle.deriveBits(parameters, key, 256));
		if (secret.some(Boolean)) return secret;
	} catch {
		// Most engines refuse zeros themselves, and Firefox already the key.
	}
	throw Error("low_order");
}

/**
 * Returns cipher and key for one text (RFC 9180, 4.1 and 5.1).
 * @param {Bytes} info @param {Promise<Bytes>[]} secrets of the ephemeral key and of the sender's
 * @param {Bytes[]} keys `kem_context`
 * @returns {Promise<[AesGcmParams, CryptoKey]>}
 */
async function cipherOf(info, secrets, keys) {
	const prk = await material(KEM, "eae_prk", ...await Promise.all(secrets));
	const [hmac, secret, pskIdHash] = constants ??= await newConstants();
	const shared = await derived(prk, ["\0 ", KEM, "shared_secret", ...keys]);
	const context = [MODE, pskIdHash, await hash(hmac, "info_hash", info)];
	const [key, iv] = await Promise.all([
		subtle.deriveKey(
			hkdf(shared, "\0\x10", HPKE, "key", ...context),
			secret, { name: "AES-GCM", length: 128 }, false, ["encrypt", "decrypt"],
		),
		derived(secret, ["\0\f", HPKE, "base_nonce", ...context], 12, shared),
	]);
	return [{ name: "AES-GCM", iv }, key];
}

/** @returns {Promise<[CryptoKey, CryptoKey, Bytes]>} */
async function newConstants() {
	const algorithm = { name: "HMAC", hash: "SHA-256" };
	const hmac = await subtle.importKey("raw", NO_SALT, algorithm, false, ["sign"]);
	return [hmac, await material(HPKE, "secret"), await hash(hmac, "psk_id_hash")];
}

/** Extracts without salt. @param {CryptoKey} hmac @param {(string | Bytes)[]} pieces */
const hash = async (hmac, ...pieces) => new Uint8Array(
	await subtle.sign("HMAC", hmac, joined(HPKE, ...pieces)),
);
