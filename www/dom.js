/**
 * Helpers for the view. Text that people wrote becomes text nodes, never HTML.
 */

/** Returns the elements of index.html that have an id. */
export function findElements() {
	const elements = [...document.querySelectorAll("[id]")].map((element) => [element.id, element]);
	return /** @type {Elements} */ (Object.fromEntries(elements));
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
