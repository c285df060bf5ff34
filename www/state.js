/**
 * The first values of the page's state. Its types are told in `tests/page/types.js`, like all types
 * that the modules exchange.
 *
 * **Invariants**
 * - Each field is written by one class. The others get it read-only, which the type check holds.
 *
 * It does not know when a value changes.
 */

export const SETTINGS_DEFAULT = {
	read: true, typing: true, notify: false, notifyText: false, sound: false,
};

/** @param {Partial<Settings>} [settings] @returns {State} */
export function newState(settings) {
	return {
		connection: "none", id: "", ready: false, outage: "", quiet: false,
		openPeer: "", conversations: new Map(),
		search: null, outdated: false, notifying: "",
		kept: true, alert: null, online: true, visible: true,
		settings: { ...SETTINGS_DEFAULT, ...settings },
	};
}

/** @param {string} peer @returns {Conversation} */
export function newConversation(peer) {
	return {
		peer, messages: [], earlier: false, loading: false, last: 0, unread: 0, seen: 0, readTo: 0,
		presence: "", typing: 0, typedAt: 0, draft: "", accepted: false, blocked: false,
	};
}
