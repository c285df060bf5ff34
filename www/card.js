/**
 * Identities and cards. An identity is an Ed25519 key for one id, made from a seed. It signs a
 * card, which names the X25519 key that messages are sealed to, and the time until which they are.
 *
 * **Invariants**
 * - The seed makes the identity and the key of a join, and neither of them tells the other.
 * - A public key is checked before it is used: verifying with some ends the page in WebKitGTK.
 *
 * It does not know whose identity may be trusted.
 */

import { decoded, encoded, joined, utf8 } from "./bytes.js";
import { derived, imported, material } from "./hpke.js";

const { subtle } = crypto;

/** The alphabet of a recovery code (Crockford's base32): a letter has 5 bits. */
const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const HOUR_S = 60 * 60;
const DAY_S = 24 * HOUR_S;

/** The prime of the field of Curve25519. */
const P = 2n ** 255n - 19n;

/** The order of the base point of Ed25519 (RFC 8032, 5.1). */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** The libgcrypt of WebKitGTK fails for some keys with a coordinate below 2 to this power. */
const COORDINATE_BITS_MIN = 192n;

/**
 * Returns whether this is a whole number from 0 to 2^53 - 1.
 * @param {any} value unknown, from JSON @returns {value is number}
 */
export const isWhole = (value) => Number.isSafeInteger(value) && value >= 0;

/** @param {Bytes} seed @param {string[]} info */
const secretOf = async (seed, ...info) => derived(await material(seed), info);

/** @param {Bytes} seed */
const identitySecret = (seed) => secretOf(seed, "sotto identity 1\n");

/** @returns {Promise<Bytes>} */
export async function newSeed() {
	const seed = crypto.getRandomValues(new Uint8Array(16));
	return (await identitySecret(seed))[0] ? seed : newSeed();
}

/** @param {Bytes} seed @param {string} id @returns {Promise<IdentityKeys>} */
export async function identityOf(seed, id) {
	const secret = await identitySecret(seed);
	const { key: signer, public: sign } = await imported(secret, "Ed25519", "sign", "p");
	const key = await secretOf(seed, "sotto key 1\n", id);
	return { sign: encoded(sign), key: encoded(key), signer };
}

/** Returns the recovery code. @param {Bytes} seed @param {string} id */
export async function codeOf(seed, id) {
	const check = await subtle.digest("SHA-256", joined("sotto code 1\n", id, "\n", seed));
	const letters = regrouped([...seed, ...new Uint8Array(check, 0, 4)], 8, 5);
	return letters.map((letter) => LETTERS[letter]).join("").replace(/.{4}(?!$)/g, "$&-");
}

/**
 * Reads a recovery code, and returns `null` unless it is one of this id.
 * @param {string} code @param {string} id
 */
export async function seedOf(code, id) {
	const text = code.toUpperCase().replace(/[\s-]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
	if (text.length !== 32) return null;
	const letters = [...text].map((letter) => LETTERS.indexOf(letter));
	const seed = Uint8Array.from(regrouped(letters, 5, 8).slice(0, 16));
	return (await codeOf(seed, id)).replace(/-/g, "") === text ? seed : null;
}

/** Returns the safety number. @param {string} id @param {string} sign */
export async function numberOf(id, sign) {
	const hash = await subtle.digest("SHA-512", utf8(`sotto number 1\n${id}\n${sign}`));
	const groups = regrouped([...new Uint8Array(hash)], 8, 40).slice(0, 6);
	return groups.map((group) => String(group % 100_000).padStart(5, "0")).join(" ");
}

/**
 * Divides bits into groups of another length, big end first.
 * @param {number[]} groups @param {number} length @param {number} newLength
 */
function regrouped(groups, length, newLength) {
	const bits = groups.map((group) => group.toString(2).padStart(length, "0")).join("");
	const newGroups = bits.match(RegExp(`.{${newLength}}`, "g")) ?? [];
	return newGroups.map((group) => parseInt(group, 2));
}

/** @param {string} id @param {Omit<Card, "v" | "by">} card */
const signedText = (id, { sign, seal, until }) =>
	utf8(`sotto card 1\n${id}\n${sign}\n${seal}\n${until}`);

/**
 * @param {IdentityKeys} identity @param {string} id @param {string} seal @param {number} until
 * @returns {Promise<Card>}
 */
export async function makeCard({ sign, signer }, id, seal, until) {
	const by = await subtle.sign("Ed25519", signer, signedText(id, { sign, seal, until }));
	return { v: 1, sign, seal, until, by: encoded(new Uint8Array(by)) };
}

/**
 * Returns whether this is a card that its identity has signed for this id, at any time.
 * @param {string} id @param {any} card unknown, from JSON
 * @returns {Promise<boolean>}
 */
export async function checkCard(id, card) {
	const sign = decoded(card?.sign, 32);
	const by = decoded(card?.by, 64);
	if (card?.v !== 1 || !isWhole(card.until) || !decoded(card.seal, 32)) return false;
	// Some engines take a signature in a second form, too (RFC 8032, 5.1.7).
	if (!by || !sign || !isSafe(sign) || numberOfBytes(by.subarray(32)) >= ORDER) return false;
	const key = await subtle.importKey("raw", sign, "Ed25519", false, ["verify"]);
	return subtle.verify("Ed25519", key, by, signedText(id, card));
}

/** Returns whether a message may be sealed to a card. @param {Card} card @param {number} nowS */
export const maySealTo = (card, nowS) => nowS <= card.until + DAY_S;

/**
 * Returns the age at which a seal key is replaced, its `until` counted from when it was made, and
 * the hold as it counts; all in seconds.
 * @param {unknown} hold the seconds for which the server holds a message
 */
export function lifetimes(hold) {
	const held = isWhole(hold) ? Math.min(hold, 7 * DAY_S) : 0;
	const rotateAfter = Math.max(HOUR_S, Math.floor(held / 8));
	return { rotateAfter, untilAfter: rotateAfter + HOUR_S + held, held };
}

/** @param {Uint8Array} bytes little end first */
function numberOfBytes(bytes) {
	return bytes.reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n);
}

/** Returns a power in the field. @param {bigint} base @param {bigint} exponent @returns {bigint} */
const power = (base, exponent) => exponent
	? power(base * base % P, exponent >> 1n) * (exponent & 1n ? base : 1n) % P
	: 1n;

/**
 * Returns whether an Ed25519 key is a point of the curve (RFC 8032, 5.1.3) with y below P, of an
 * order above 8, and with coordinates that no engine fails for.
 * @param {Bytes} key
 */
function isSafe(key) {
	const number = numberOfBytes(key);
	const y = BigInt.asUintN(255, number);
	const yy = y * y % P;
	// x² = u/v, where d = -121665/121666.
	const u = 121666n * (yy + P - 1n);
	const v = 121666n + 121665n * (P - yy);
	let x = u * v ** 3n * power(u * v ** 7n % P, (P - 5n) / 8n) % P;
	const isRoot = () => (v * x * x - u) % P === 0n;
	if (!isRoot()) x = x * power(2n, (P - 1n) / 4n) % P;
	return y < P && isRoot()
		&& [x, P - x, y].every((coordinate) => coordinate >> COORDINATE_BITS_MIN)
		// A point of order 8 doubled has y = 0, so its x² is -y².
		&& (x * x + yy) % P !== 0n;
}
