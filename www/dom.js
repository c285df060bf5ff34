/**
 * Helpers for the view. Text that people wrote becomes text nodes, never HTML.
 */

/** The elements that are always on the page. */
export function findElements() {
	return {
		...byId(HTMLInputElement, "ownId", "chatWith", "read", "typing", "notify", "notifyText", "sound"),
		...byId(HTMLTextAreaElement, "message"),
		...byId(HTMLFormElement, "joinForm", "openForm", "composer"),
		...byId(HTMLDialogElement, "settings", "about", "ask"),
		...byId(HTMLElement, "notice", "alert", "dismiss", "joinScreen", "joinStatus", "chat", "me", "status",
			"copyLink", "share", "openSettings", "list", "listEmpty", "noneOpen", "conversation", "back",
			"peer", "presence", "more", "log", "below", "stranger", "strangerText", "accept", "block",
			"blocked", "blockedText", "unblock", "counter", "elsewhere", "elsewhereText", "useHere",
			"useAnotherHere", "announcer", "keptText", "useAnother", "forget", "aboutPeer", "clear", "aboutBlock",
			"question", "yes"),
	};
}

/**
 * @template {HTMLElement} Kind @template {string} Id
 * @param {new () => Kind} kind @param {Id[]} ids @returns {Record<Id, Kind>}
 */
export function byId(kind, ...ids) {
	const elements = /** @type {Record<Id, Kind>} */ ({});
	for (const id of ids) {
		const element = document.getElementById(id);
		if (!(element instanceof kind)) throw new TypeError(`#${id} is no ${kind.name}`);
		elements[id] = element;
	}
	return elements;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {string} className @param {(Node | string)[]} children
 */
export function make(tag, className, ...children) {
	const element = document.createElement(tag);
	element.className = className;
	element.append(...children);
	return element;
}

/**
 * Leaves the same text alone, or a screen reader would read it again.
 * @param {HTMLElement} element @param {string} text @param {string} [look] for the style sheet
 */
export function setText(element, text, look = "") {
	if (element.textContent !== text) element.textContent = text;
	if (element.dataset.look !== look) element.dataset.look = look;
}

/** @param {HTMLElement} button @param {() => void} gesture */
export function onClick(button, gesture) {
	button.addEventListener("click", () => gesture());
}

/** @param {HTMLFormElement} form @param {() => void} gesture */
export function onSubmit(form, gesture) {
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		gesture();
	});
}

/** @param {Element | null} element @returns {element is HTMLElement} */
export function isShown(element) {
	return element instanceof HTMLElement && element.getClientRects().length > 0;
}

/** Returns `true` if the reader types with thumbs. */
export function usesTouch() {
	return matchMedia("(pointer: coarse) and (hover: none)").matches;
}
