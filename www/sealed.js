/**
 * Sealed bodies: the content of a message or signal, which only its recipient can read, and only
 * the owner of the card beside it can have written.
 *
 * **Invariants**
 * - Kind, ids and identities are sealed in, so a body opens in no other place.
 * - The length of a body tells the length of its content only roughly.
 *
 * It does not know whose card may be trusted, nor which contents have come before.
 */

import { BoundedMap } from "./bounded.js";
import { decoded, encoded, utf8 } from "./bytes.js";
import { checkCard, isWhole } from "./card.js";
import { open, seal } from "./hpke.js";

/** The shortest text in a box. Most messages fit into it, and all signals. */
const TEXT_BYTES_MIN = 256;

/** Bytes by which AES-GCM makes a text longer. */
const TAG_BYTES = 16;

/** Bytes of a body beside card and box. */
const FRAME_BYTES = 133;

/** The deepest `body` of a content. */
const DEPTH_MAX = 64;

/** The longest card: the server keeps no longer one. */
const CARD_LENGTH_MAX = 2048;

/** Peers that write at the same time, and the cards that they change while they do. */
const CARDS_MAX = 32;

/** Ids and cards whose signature was right. @type {BoundedMap<string, true>} */
const verified = new BoundedMap(CARDS_MAX);

/**
 * Rounds to a length of Padmé, which are at most 12% apart.
 * @param {number} bytes @param {(steps: number) => number} round
 */
function rounded(bytes, round) {
	const exponent = 31 - Math.clz32(bytes);
	const step = 2 ** (exponent - 32 + Math.clz32(exponent));
	return round(bytes / step) * step;
}

/** @param {number} bytes */
export const padded = (bytes) => rounded(Math.max(bytes, TEXT_BYTES_MIN), Math.ceil);

/** Returns the bytes of a sealed body. @param {number} contentBytes @param {number} cardBytes */
export const sealedBytes = (contentBytes, cardBytes) =>
	FRAME_BYTES + cardBytes + Math.ceil((padded(contentBytes) + TAG_BYTES) * 4 / 3);

/**
 * Returns the bytes of the longest content whose body has at most so many bytes, or -1.
 * @param {number} bytes @param {number} cardBytes
 */
export function contentBytesMax(bytes, cardBytes) {
	const most = Math.floor((bytes - FRAME_BYTES - cardBytes) * 3 / 4) - TAG_BYTES;
	return most < TEXT_BYTES_MIN ? -1 : rounded(most, Math.floor);
}

/** Returns whether a body is sealed, in this version or another one. @param {unknown} body */
export const isSealed = (body) => Object.hasOwn(Object(body), "sealed");

/** @param {string} kind @param {string} from @param {string} to @param {string[]} signs */
const infoOf = (kind, from, to, ...signs) =>
	utf8(["sotto sealed 1", kind, from, to, ...signs].join("\n"));

/** @param {BodyToSeal} body @returns {Promise<SealedBody>} */
export async function sealBody({ kind, from, to, card, pair, recipient, content, ephemeral }) {
	const json = utf8(JSON.stringify(content));
	const text = new Uint8Array(padded(json.length)).fill(0x20);
	text.set(json);
	const { enc, box } = await seal({
		info: infoOf(kind, from, to, card.sign, recipient.sign),
		text,
		sender: pair,
		/** @type {any} */
		recipient: decoded(recipient.seal, 32),
		ephemeral,
	});
	return { sealed: 1, card, for: recipient.seal, enc: encoded(enc), box: encoded(box) };
}

/**
 * Opens a body. Rejects with a word for the reason, and with the card if that is valid.
 * @param {BodyToOpen} opening @returns {Promise<{ card: Card, content: Content }>}
 */
export async function openBody({ kind, from, to, body, sign, pairOf }) {
	const { sealed, card, for: seal } = body;
	if (sealed !== 1) throw Error("version");
	const text = JSON.stringify(card);
	const key = `${from}\n${text}`;
	if (!text || text.length > CARD_LENGTH_MAX) throw Error("card");
	if (!verified.has(key) && !await checkCard(from, card)) throw Error("card");
	verified.set(key, true);
	try {
		const recipient = decoded(seal, 32) && await pairOf(seal);
		if (!recipient) throw Error("for");
		const enc = decoded(body.enc, 32);
		const box = decoded(body.box);
		if (!enc || !box) throw Error("base64");
		const opened = await open({
			info: infoOf(kind, from, to, card.sign, sign),
			enc,
			box,
			recipient,
			/** @type {any} */
			sender: decoded(card.seal, 32),
		});
		return { card, content: contentOf(kind, opened) };
	} catch (error) {
		throw Object.assign(Object(error), { card });
	}
}

/** @param {string} kind @param {Bytes} text */
function contentOf(kind, text) {
	/** @type {any} of a value that is no object, no part has a number */
	let content;
	try {
		const json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text);
		content = { ...JSON.parse(json) };
	} catch {
		throw Error("json");
	}
	const { number, after = 0, got = 0, read = 0, body } = content;
	if (!number || ![number, after, got, read].every(isWhole)
		|| kind === "message" && body === undefined) throw Error("content");
	if (isDeeper(body, DEPTH_MAX)) throw Error("depth");
	return content;
}

/** @param {any} value @param {number} levels @returns {boolean} */
const isDeeper = (value, levels) => Object(value) === value
	&& (!levels || Object.values(value).some((child) => isDeeper(child, levels - 1)));
