/**
 * Look-alikes: texts that a reader may take for another one. A small part of Unicode TS 39, with
 * the letters that ids and host names are forged with.
 *
 * It does not know links, or the looks of the page.
 */

/** Letters, each followed by the Latin one that it looks like. */
const ALIKE = "аaсcԁdеeһhіiјjӏlкkоoрpԛqѕsѵvԝwхxуyгrАAВBЕEКKМMНHОOРPСCТTХXУYЅSІlЈJӀlԌGԚQԜW"
	+ "αaγyιiκkνvοoρpσoυuΑAΒBΕEΖZΗHΙlΚKΜMΝNΟOΡPΤTΥYΧXոnսuօoհhցgզqաwՏSՕOɑaɡgıiɩiᴏoIl1l0o";

const LATIN = new Map([...ALIKE.matchAll(/(.)(.)/gu)].map(([, letter, latin]) => [letter, latin]));

const LETTERS = ["Latin", "Cyrillic", "Greek", "Armenian", "Hebrew", "Arabic", "Cherokee"]
	.map((script) => new RegExp(`\\p{Script=${script}}`, "u"));

/** Chinese, Japanese and Korean are written together with Latin letters. */
const EAST_ASIAN = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Bopomofo}\p{sc=Hangul}]/u;

/** Equal for texts that look alike. @param {string} text */
export function skeleton(text) {
	const seen = toLatin(toLatin(text.normalize("NFKD")).toLowerCase());
	return seen.replaceAll("rn", "m").replaceAll("vv", "w");
}

/** @param {string} text */
function toLatin(text) {
	return Array.from(text, (letter) => LATIN.get(letter) ?? letter).join("");
}

/** Returns `true` if no language mixes such letters. @param {string} text */
export function isMixed(text) {
	const [first, second] = LETTERS.filter((letter) => letter.test(text));
	return Boolean(second) || Boolean(first) && first !== LETTERS[0] && EAST_ASIAN.test(text);
}

/**
 * Returns `true` if a host in other letters looks like one in Latin letters.
 * @param {string} host as the reader sees it
 */
export function isForged(host) {
	const labels = host.split(".");
	const isLatin = (/** @type {string} */ label) => /^[\w-]*$/.test(label);
	const wholly = isLatin(labels.at(-1) ?? "");
	return labels.some((label) => isMixed(label)
		|| wholly && !isLatin(label) && isLatin(skeleton(label)));
}

/**
 * Returns the reason to doubt each of these ids that mixes letters, or looks like ours or like one
 * that the reader has accepted.
 * @param {Conversation[]} conversations @param {string} own @returns {Map<string, Reason>}
 */
export function doubtsOf(conversations, own) {
	const known = [own, ...conversations.filter(({ accepted }) => accepted).map(({ peer }) => peer)];
	const looks = new Map(known.map((id) => [skeleton(id), id]));
	/** @type {Map<string, Reason>} */
	const doubts = new Map();
	for (const { peer } of conversations) {
		const to = looks.get(skeleton(peer)) ?? peer;
		if (to !== peer) doubts.set(peer, { code: "alike", to });
		else if (isMixed(peer)) doubts.set(peer, { code: "mixed" });
	}
	return doubts;
}
