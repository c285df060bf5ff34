/**
 * Sealed bodies of messages and signals: each is sealed by itself, for its recipient's seal key.
 *
 * **Invariants**
 * - The sender, the recipient, both identities and the kind are part of what is sealed, so nothing
 *   can be given out as something else.
 * - The length of a sealed body tells the length of its content within 12 %.
 *
 * It does not know which peers are trusted, or what a content means.
 */

import { BoundedMap } from "./bounded.js";
import { decoded, encoded, utf8 } from "./bytes.js";
import { checkCard, isWhole, own } from "./card.js";
import { open, seal } from "./hpke.js";

const CONTENT_BYTES_MIN = 256;
const TAG_BYTES = 16;
/** The deepest body. */
const DEPTH_MAX = 64;
/** The JSON of a sealed body without its card and its box. */
const AROUND_BYTES = JSON.stringify({
	sealed: 1, card: 0, for: "0".repeat(43), enc: "0".repeat(43), box: "",
}).length - 1;

/** Cards that were found valid a moment ago, by id and text. @type {BoundedMap<string, true>} */
const valid = new BoundedMap(64);

/** Returns the length of a content once it is padded (Padmé). @param {number} length in bytes */
export function padded(length) {
	const least = Math.max(CONTENT_BYTES_MIN, length);
	return Math.ceil(least / step(least)) * step(least);
}

/** @param {number} length */
function step(length) {
	const exponent = Math.floor(Math.log2(length));
	return 2 ** (exponent - Math.floor(Math.log2(exponent)) - 1);
}

/**
 * Returns the length of a sealed body in JSON.
 * @param {number} contentBytes @param {number} cardBytes
 */
export function sealedBytes(contentBytes, cardBytes) {
	const box = Math.ceil((padded(contentBytes) + TAG_BYTES) * 4 / 3);
	return AROUND_BYTES + cardBytes + box;
}

/**
 * Returns the length of the longest content of which the sealed body is this long, at most;
 * negative if there is none.
 * @param {number} bytes @param {number} cardBytes
 */
export function contentBytesMax(bytes, cardBytes) {
	const plain = Math.floor((bytes - AROUND_BYTES - cardBytes) * 3 / 4) - TAG_BYTES;
	return plain < CONTENT_BYTES_MIN ? -1 : plain - plain % step(plain);
}

/**
 * @param {"message" | "signal"} kind @param {string} from @param {string} to
 * @param {string} sender the sender's identity @param {string} recipient the recipient's
 */
function infoOf(kind, from, to, sender, recipient) {
	return utf8(`sotto sealed 1\n${kind}\n${from}\n${to}\n${sender}\n${recipient}`);
}

/** @param {BodyToSeal} body @returns {Promise<SealedBody>} */
export async function sealBody({ kind, from, to, card, pair, recipient, content, ephemeral }) {
	const json = JSON.stringify(content);
	const { length } = utf8(json);
	const { enc, box } = await seal({
		info: infoOf(kind, from, to, card.sign, recipient.sign),
		text: utf8(json + " ".repeat(padded(length) - length)),
		sender: pair,
		recipient: decoded(recipient.seal, 32) ?? new Uint8Array(),
		ephemeral,
	});
	return { sealed: 1, card, for: recipient.seal, enc: encoded(enc), box: encoded(box) };
}

/** Returns `true` for a body that says it is sealed, in whatever version. @param {unknown} body */
export function isSealed(body) {
	return own(body) !== undefined && Object.hasOwn(/** @type {object} */ (body), "sealed");
}

/**
 * Opens a body. Rejects with an error that tells why not, and has the card that came with the body
 * if that is valid.
 * @param {BodyToOpen} opening @returns {Promise<{ card: Card, content: Content }>}
 */
export async function openBody({ kind, from, to, body, sign, pairOf }) {
	const { sealed, card, for: seal, enc, box } = /** @type {SealedBody} */ (own(body) ?? {});
	if (sealed !== 1) throw refusal("version");
	const [point, text] = [decoded(enc, 32), decoded(box)];
	if (!own(card)) throw refusal("shape");
	if (!await isValid(from, card)) throw refusal("signature");
	if (!point || !text) throw refusal("base64", card);
	const recipient = typeof seal === "string" ? pairOf(seal) : undefined;
	if (!recipient) throw refusal("for", card);
	const sender = /** @type {import("./bytes.js").Bytes} */ (decoded(card.seal, 32));
	const info = infoOf(kind, from, to, card.sign, sign);
	const opening = open({ info, enc: point, box: text, recipient, sender });
	const plain = await opening.catch(({ message }) => {
		throw refusal(message === "low_order" ? message : "open", card);
	});
	return { card, content: contentOf(plain, kind, card) };
}

/** @param {string} id @param {Card} card */
async function isValid(id, card) {
	const name = `${id}\n${JSON.stringify(card)}`;
	const isGood = valid.has(name) || await checkCard(id, card);
	if (isGood) valid.set(name, true);
	return isGood;
}

/**
 * @param {Uint8Array} plain
 * @param {"message" | "signal"} kind @param {Card} card @returns {Content}
 */
function contentOf(plain, kind, card) {
	/** @type {unknown} */
	let parsed;
	try {
		parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain));
	} catch {
		throw refusal("json", card);
	}
	const content = /** @type {Content} */ (own(parsed) ?? {});
	const { number, after = 0, got = 0, body } = content;
	const hasBody = kind === "signal" || Object.hasOwn(content, "body");
	const isGood = hasBody && isWhole(number, 1) && isWhole(after) && isWhole(got);
	if (!isGood) throw refusal("content", card);
	if (isDeeper(body, DEPTH_MAX)) throw refusal("depth", card);
	return content;
}

/** @param {unknown} value @param {number} depth @returns {boolean} */
function isDeeper(value, depth) {
	if (!(value instanceof Object)) return false;
	return depth === 0 || Object.values(value).some((one) => isDeeper(one, depth - 1));
}

/** @param {string} reason @param {Card} [card] */
function refusal(reason, card) {
	return Object.assign(new Error(reason), { card });
}
