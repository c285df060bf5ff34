/**
 * Identities and cards. An identity signs the seal key of an id, and a card says so.
 *
 * **Invariants**
 * - No public key is given to WebCrypto before it was looked at: in WebKitGTK the check of a
 *   signature with some such keys ends the page's process.
 *
 * It does not know where secrets are kept, or which identity is whose.
 */

import { decoded, encoded, joined, utf8 } from "./bytes.js";
import { hkdf, hkdfKey, importSecret } from "./hpke.js";

const ED25519 = "Ed25519";
const SEED_BYTES = 16;
const CHECK_BYTES = 4;
const CODE_LETTERS = 32;
const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
/** The server's hold counts as no longer than this. */
const HOLD_S_MAX = 7 * DAY_S;
/** Crockford's alphabet: without I, L, O and U. */
const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** The prime of Curve25519, and the order of its base point. */
const P = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
/** `d` of the curve. */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/**
 * A coordinate below is refused: only one made on purpose is, and WebKitGTK with libgcrypt 1.10
 * stumbles over those.
 */
const SHORT = 2n ** 192n;

/** Returns 16 random bytes from which an identity can be made. @returns {Promise<Uint8Array>} */
export async function newSeed() {
	const seed = crypto.getRandomValues(new Uint8Array(SEED_BYTES));
	// WebKitGTK imports no secret that begins with a zero byte.
	return (await derive(seed, "sotto identity 1\n"))[0] ? seed : newSeed();
}

/** @param {Uint8Array} seed @param {string} info */
async function derive(seed, info) {
	return hkdf(await hkdfKey(joined(seed)), new Uint8Array(32), utf8(info), 32);
}

/**
 * Returns the identity of a seed, and the key with which its id is joined.
 * @param {Uint8Array} seed @param {string} id @returns {Promise<IdentityKeys>}
 */
export async function identityOf(seed, id) {
	const { key: signer, x } = await importSecret(ED25519, await derive(seed, "sotto identity 1\n"));
	const key = encoded(await derive(seed, `sotto key 1\n${id}`));
	return { sign: encoded(x), key, signer };
}

/**
 * @param {IdentityKeys} identity @param {string} id @param {string} seal @param {number} until
 * @returns {Promise<Card>}
 */
export async function makeCard({ sign, signer }, id, seal, until) {
	const by = await crypto.subtle.sign(ED25519, signer, signedText(id, { sign, seal, until }));
	return { v: 1, sign, seal, until, by: encoded(new Uint8Array(by)) };
}

/** @param {string} id @param {Pick<Card, "sign" | "seal" | "until">} card */
function signedText(id, { sign, seal, until }) {
	return utf8(`sotto card 1\n${id}\n${sign}\n${seal}\n${until}`);
}

/**
 * Returns `true` for a card that its identity has signed for this id. Its time is not looked at.
 * @param {string} id @param {unknown} card @returns {Promise<boolean>}
 */
export async function checkCard(id, card) {
	const { v, sign, seal, until, by } = /** @type {Card} */ (own(card) ?? {});
	const [point, pair, signature] = [decoded(sign, 32), decoded(seal, 32), decoded(by, 64)];
	if (v !== 1 || !point || !pair || !signature || !isWhole(until)) return false;
	// A lax verifier takes a second form of each signature (RFC 8032, 5.1.7).
	if (!isPoint(point) || numberFrom(signature.subarray(32).toReversed()) >= ORDER) return false;
	const key = await crypto.subtle.importKey("raw", point, ED25519, false, ["verify"]);
	return crypto.subtle.verify(ED25519, key, signature, signedText(id, { sign, seal, until }));
}

/**
 * Returns a value if it is an object, and no list.
 * @param {unknown} value @returns {object | undefined}
 */
export function own(value) {
	return value instanceof Object && !Array.isArray(value) ? value : undefined;
}

/** Returns `true` for a whole number that JSON holds exactly. @param {unknown} value */
export function isWhole(value, least = 0) {
	return Number.isSafeInteger(value) && /** @type {number} */ (value) >= least;
}

/**
 * Returns `true` for the one form of a point of the curve (RFC 8032, 5.1.3) that is not of small
 * order, and has no short coordinate.
 * @param {Uint8Array} bytes
 */
function isPoint(bytes) {
	const all = numberFrom(bytes.toReversed());
	const y = BigInt.asUintN(255, all);
	if (y < SHORT || y >= P) return false;
	const square = y * y % P;
	const [u, v] = [square - 1n, (D * square + 1n) % P];
	const x = root(u, v);
	// A point of order 8 is one of which the double has y = 0.
	const isOfOrder8 = (D * square % P * square + 2n * square - 1n) % P === 0n;
	if (x === undefined || isOfOrder8) return false;
	return ((x & 1n) === all >> 255n ? x : P - x) >= SHORT;
}

/** Returns a square root of u/v, if there is one. @param {bigint} u @param {bigint} v */
function root(u, v) {
	const candidate = u * v ** 3n % P * power(u * v ** 7n % P, (P - 5n) / 8n) % P;
	const square = v * candidate % P * candidate % P;
	if (square === u) return candidate;
	return square === P - u ? candidate * power(2n, (P - 1n) / 4n) % P : undefined;
}

/** @param {bigint} base @param {bigint} exponent */
function power(base, exponent) {
	let result = 1n;
	for (; exponent; exponent >>= 1n) {
		if (exponent & 1n) result = result * base % P;
		base = base * base % P;
	}
	return result;
}

/**
 * Returns `true` until a day past the card's time.
 * @param {Card} card @param {number} now in seconds
 */
export function maySealTo({ until }, now) {
	return now <= until + DAY_S;
}

/**
 * Returns the times of a seal key, in seconds from when it was made.
 * @param {unknown} hold the server's, in seconds
 */
export function lifetimes(hold) {
	const counted = isWhole(hold) ? Math.min(Number(hold), HOLD_S_MAX) : 0;
	const rotateAfter = Math.max(HOUR_S, Math.floor(counted / 8));
	return { rotateAfter, untilAfter: rotateAfter + HOUR_S + counted };
}

/** Returns a number from its bytes. @param {Uint8Array} bytes big end first */
function numberFrom(bytes) {
	return [...bytes].reduce((sum, byte) => sum << 8n | BigInt(byte), 0n);
}

/**
 * Returns the safety number of an identity: six groups of five digits.
 * @param {string} id @param {string} sign
 */
export async function numberOf(id, sign) {
	const hash = await crypto.subtle.digest("SHA-512", utf8(`sotto number 1\n${id}\n${sign}`));
	return [0, 5, 10, 15, 20, 25].map((at) => {
		return String(numberFrom(new Uint8Array(hash, at, 5)) % 100_000n).padStart(5, "0");
	}).join(" ");
}

/** Returns the recovery code of an id. @param {Uint8Array} seed @param {string} id */
export async function codeOf(seed, id) {
	const text = joined(utf8(`sotto code 1\n${id}\n`), seed);
	const check = new Uint8Array(await crypto.subtle.digest("SHA-256", text), 0, CHECK_BYTES);
	const digits = numberFrom(joined(seed, check)).toString(32).padStart(CODE_LETTERS, "0");
	const letters = digits.replace(/./g, (digit) => LETTERS[parseInt(digit, 32)]);
	return letters.replace(/.{4}(?=.)/g, "$&-");
}

/**
 * Returns the seed of a recovery code, if it is one of this id.
 * @param {string} text @param {string} id
 */
export async function seedOf(text, id) {
	const code = text.toUpperCase().replace(/[-\s]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
	const letters = code.slice(0, CODE_LETTERS);
	const bits = [...letters].reduce((sum, one) => sum << 5n | BigInt(LETTERS.indexOf(one)), 0n);
	const byteAt = (/** @type {number} */ at) => Number(bits >> BigInt(152 - 8 * at) & 255n);
	const seed = new Uint8Array(SEED_BYTES).map((_, at) => byteAt(at));
	// All else that can be wrong makes another code.
	return (await codeOf(seed, id)).replaceAll("-", "") === code ? seed : undefined;
}
