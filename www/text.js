/**
 * What is seen in a text: links, emoji, and how it looks in one line.
 *
 * Not known here: the DOM, and who wrote it.
 */

/** Only these are made clickable: what else a URL can do (`javascript:`), nobody should do to a reader. */
const LINK_PROTOCOLS = ["http:", "https:", "mailto:"];

/** Ends at white space, quotes, and what turns the direction of text around to disguise where a link leads. */
const LINK = /\b(?:https?:\/\/|mailto:)[^\s<>"\p{Bidi_Control}]+/giu;

/** Belongs to the sentence around the link rather than to the link. */
const LINK_END = /[.,;:!?'*_~’”»›。，]+$/u;

/** A few emoji and nothing else; with skin tones, joined ones and flags. */
const EMOJI_ONLY =
  /^(?:\s*(?:\p{RI}\p{RI}|[\d#*]\ufe0f?\u20e3|(?![\d#*])\p{Emoji}(?:\p{EMod}|\ufe0f)?(?:\u200d\p{Emoji}(?:\p{EMod}|\ufe0f)?)*)){1,6}\s*$/u;

/** Enough for a line in the list, and for a voice that reads. */
const LINE_CHARACTERS = 200;

/**
 * The text in parts: plain ones, and links with where they lead. Together they are the text as it was.
 * @param {string} text @returns {{ text: string, href?: string }[]}
 */
export function partsOf(text) {
  const parts = [];
  let end = 0;
  for (const { 0: match, index } of text.matchAll(LINK)) {
    const shown = trimLink(match);
    const href = linkTarget(shown);
    if (!href) continue;
    if (index > end) parts.push({ text: text.slice(end, index) });
    parts.push({ text: shown, href });
    end = index + shown.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  return parts;
}

/** A bracket that was opened in the link is closed in it. @param {string} link */
function trimLink(link) {
  const count = (text, character) => text.split(character).length - 1;
  for (;;) {
    const shorter = link.replace(LINK_END, "");
    const unopened = shorter.endsWith(")") && count(shorter, ")") > count(shorter, "(");
    if (!unopened) return shorter;
    link = shorter.slice(0, -1);
  }
}

/** @param {string} link */
function linkTarget(link) {
  try {
    const url = new URL(link);
    const leads = url.protocol === "mailto:" ? url.pathname : url.hostname;
    return LINK_PROTOCOLS.includes(url.protocol) && leads ? url.href : "";
  } catch {
    return "";
  }
}

/** @param {string} text */
export function isEmojiOnly(text) {
  return EMOJI_ONLY.test(text);
}

/** A body in one short line. @param {unknown} body @param {string} unsupported what stands for a body that is no text */
export function lineOf(body, unsupported) {
  if (typeof body !== "string") return unsupported;
  const line = body.slice(0, LINE_CHARACTERS + 1).replace(/\s+/gu, " ").trim();
  return line.length > LINE_CHARACTERS ? `${line.slice(0, LINE_CHARACTERS).toWellFormed?.() ?? line}…` : line;
}

/** What stands for an id where there is room for one character. @param {string} id */
export function initialOf(id) {
  return (id.match(/[\p{L}\p{N}]\p{M}*/u)?.[0] ?? [...id][0] ?? "").toUpperCase();
}

/** One of 360 colours, always the same for an id. @param {string} id */
export function hueOf(id) {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + character.codePointAt(0)) % 3600;
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
