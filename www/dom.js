/**
 * Small helpers for the parts of the view. What people wrote becomes text nodes, never HTML.
 */

/** @param {string} tag @param {string} className @param {(Node | string)[]} children where strings become text nodes */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** Leaves the same text alone, or a screen reader would read it again. `look` is for the style sheet. */
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
