/**
 * The first values of the page's state. Its types are told in `tests/page/types.js`, like all types
 * that the modules exchange.
 *
 * **Invariants**
 * - Each field is written by one class. The others get it read-only, which the type check holds.
 *
 * It does not know when a value changes.
 */

import { newKeys } from "./trust.js";

export const SETTINGS_DEFAULT = {
	read: true, typing: true, notify: false, notifyText: false, sound: false, linkPassword: true,
};

/** @param {Partial<Settings>} [settings] @returns {State} */
export function newState(settings) {
	return {
		connection: "none", id: "", ours: false, ready: false, outage: "", quiet: false,
		openPeer: "", conversations: new Map(),
		search: null, outdated: false, notifying: "",
		kept: true, invite: "", isPrivate: false, alert: null, online: true, visible: true,
		seals: true,
		settings: { ...SETTINGS_DEFAULT, ...settings },
	};
}

/** @param {string} peer @returns {Conversation} */
export function newConversation(peer) {
	return {
		peer, messages: [], earlier: false, loading: false, last: 0, unread: 0, seen: 0, readTo: 0,
		presence: "", typing: 0, typedAt: 0, draft: "", accepted: false, blocked: false,
		hidden: false, keys: newKeys(), heard: "",
	};
}

/**
 * Returns the word for a peer's presence: "nobody" if there is no sign that the id was ever taken.
 * The server gives a mid to messages for an id that is here or held, and to no others. A card is
 * signed by a holder of the id.
 * @param {Conversation} conversation
 */
export function standing({ blocked, typing, presence, messages, readTo, keys }) {
	if (blocked) return "isBlocked";
	if (typing) return "typing";
	const isUnknown = !readTo && !keys.card && !messages.some(({ mid }) => mid);
	const isNobody = presence === "away" && isUnknown;
	return isNobody ? "nobody" : presence;
}
