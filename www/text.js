/**
 * Finds links and emoji in a text, and shortens it to one line.
 *
 * It does not know the DOM, or the author of the text.
 */

import { isForged } from "./skeleton.js";

/** Links with these schemes are clickable. Others can harm the reader, as `javascript:` does. */
const LINK_PROTOCOLS = ["http:", "https:", "mailto:"];

/** A link ends at these, or at a character that turns text around to disguise its target. */
const STOP = String.raw`[^\s<>"“”«»\x60。｡．、，！？；：「」『』（）【】《》〈〉\p{Bidi_Control}]`;

/** Addresses with a scheme, those that begin with `www.`, and those of e-mail. */
const LINK = new RegExp(
	String.raw`\b(?:https?://|mailto:)${STOP}+|(?<![\w./@-])www\.${STOP}+`
	+ String.raw`|(?<![\w.+/-])[\w.+-]{1,64}@(?:[a-z\d-]{1,63}\.){1,9}[a-z]{2,24}(?![\w-])`, "giu",
);

/** Punctuation of the sentence around the link. */
const LINK_END = ".,;:!?'*_~’›";

const FLAG = String.raw`\p{RI}\p{RI}`;
const KEYCAP = String.raw`[\d#*]\ufe0f?\u20e3`;
const EMOJI = String.raw`\p{Emoji}(?:\p{EMod}|\ufe0f)?`;

/** One to six emoji and nothing else; with skin tones, joined ones and flags. */
const EMOJI_ONLY = new RegExp(
	String.raw`^(?:\s*(?:${FLAG}|${KEYCAP}|(?![\d#*])${EMOJI}(?:\u200d${EMOJI})*)){1,6}\s*$`, "u",
);

/** The lines of a message that are shown at first: two screens of a phone. */
const LINES_SHOWN = 30;

/** The longest line, in the list or read out by a screen reader. */
const LINE_CHARACTERS = 200;

/**
 * Divides a text into plain parts and links, which together are the text. `host` is the true host
 * of a link that looks like another one.
 * @param {string} text @returns {{ text: string, href?: string, host?: string }[]}
 */
export function partsOf(text) {
	const parts = [];
	let end = 0;
	for (const { 0: match, index } of text.matchAll(LINK)) {
		const shown = trimLink(match);
		const link = linkOf(shown);
		if (!link) continue;
		if (index > end) parts.push({ text: text.slice(end, index) });
		parts.push({ text: shown, ...link });
		end = index + shown.length;
	}
	if (end < text.length) parts.push({ text: text.slice(end) });
	return parts;
}

/**
 * Leaves punctuation to the sentence, also a bracket that the link did not open.
 * @param {string} link
 */
function trimLink(link) {
	/** @type {Record<string, number>} */
	const unopened = {};
	for (const [open, close] of ["()", "[]", "{}"]) {
		unopened[close] = link.split(close).length - link.split(open).length;
	}
	for (let end = link.length; end; end -= 1) {
		const last = link[end - 1];
		if (unopened[last] > 0) unopened[last] -= 1;
		else if (!LINK_END.includes(last)) return link.slice(0, end);
	}
	return "";
}

/** Returns the target, if this is a link. @param {string} shown */
function linkOf(shown) {
	const isMail = /^(?!.*:)[^/]+@/.test(shown);
	const isBare = !isMail && /^www\./i.test(shown);
	try {
		const url = new URL((isMail ? "mailto:" : isBare ? "https://" : "") + shown);
		const { protocol, hostname, pathname, username } = url;
		const target = protocol === "mailto:" ? pathname : hostname;
		if (!LINK_PROTOCOLS.includes(protocol) || !target) return undefined;
		if (isBare && hostname.split(".").length < 3) return undefined;
		// What stands before an @ in an address is no host, but may look like one.
		const [, host] = /^(?:\w+:\/\/)?([^/?#:]*)/.exec(shown) ?? [];
		return { href: url.href, ...((username || isForged(host)) && { host: hostname }) };
	} catch {
		return undefined;
	}
}

/** @param {string} text */
export function isEmojiOnly(text) {
	return EMOJI_ONLY.test(text);
}

/**
 * Returns a body in one short line.
 * @param {unknown} body @param {string} unsupported if it is no text
 */
export function lineOf(body, unsupported) {
	if (typeof body !== "string") return unsupported;
	const line = body.slice(0, LINE_CHARACTERS + 1).replace(/\s+/gu, " ").trim();
	if (line.length <= LINE_CHARACTERS) return line;
	return `${line.slice(0, LINE_CHARACTERS).toWellFormed?.() ?? line}…`;
}

/** Returns how much of a text is shown at first, in lines of 60 characters. @param {string} text */
export function shownLength(text) {
	let end = 0;
	for (let line = 0; line < LINES_SHOWN && end < text.length; line += 1) {
		const [shown] = /^[^\n]{0,60}\n?/u.exec(text.slice(end, end + 130)) ?? [""];
		end += shown.length;
	}
	return end;
}

/** Returns the character for an id's avatar. @param {string} id */
export function initialOf(id) {
	return (id.match(/[\p{L}\p{N}]\p{M}*/u)?.[0] ?? [...id][0] ?? "").toUpperCase();
}

/** Returns one of 360 hues, always the same for an id. @param {string} id */
export function hueOf(id) {
	let hash = 0;
	for (const character of id) hash = (hash * 31 + Number(character.codePointAt(0))) % 3600;
	return hash % 360;
}

/** @param {number} at @param {number} other milliseconds since 1970 */
export function isSameDay(at, other) {
	return new Date(at).toDateString() === new Date(other).toDateString();
}

/** @param {number} at @param {number} other milliseconds since 1970 */
export function isSameMinute(at, other) {
	return Math.floor(at / 60_000) === Math.floor(other / 60_000);
}
