/**
 * One message in the log: its bubble, a head above it, and a note with its time and fate.
 *
 * It does not know the other rows, or the scroll position.
 */

import { make, onClick } from "./dom.js";
import { isEmojiOnly, isSameDay, isSameMinute, partsOf, shownLength } from "./text.js";
import { reasonText } from "./words.js";

export class Row {
	#outside;
	#note = make("p", "note");
	#shown = "";

	/** @param {Message} message @param {boolean} linksWork @param {LogOutside} outside */
	constructor(message, linksWork, outside) {
		const { mine, peer } = message;
		this.#outside = outside;
		this.message = message;
		const author = make("bdi", "spoken", mine ? outside.words.own : peer);
		const body = this.#createBody(linksWork || mine);
		this.bubble = make("div", "bubble", author, " ", body, this.#note);
		this.element = make("article", mine ? "mine" : "theirs", this.bubble);
		this.#addToggle(body, linksWork || mine);
	}

	/** @param {boolean} linksWork */
	#createBody(linksWork) {
		const { body } = this.message;
		if (typeof body !== "string") {
			const json = make("pre", "", JSON.stringify(body, null, 1));
			json.dir = "auto";
			const summary = make("summary", "", this.#outside.words.unsupported);
			return make("details", "body unsupported", summary, json);
		}
		const nodes = nodesOf(body, shownLength(body), linksWork);
		const text = make("p", isEmojiOnly(body) ? "body emoji" : "body", ...nodes);
		text.dir = "auto";
		return text;
	}

	/** Lets the reader see all of a long text. @param {HTMLElement} text @param {boolean} linksWork */
	#addToggle(text, linksWork) {
		const { words } = this.#outside;
		const { body } = this.message;
		if (typeof body !== "string" || shownLength(body) === body.length) return;
		const toggle = make("button", "secondary toggle", words.showAll);
		toggle.ariaExpanded = "false";
		onClick(toggle, () => {
			const isAll = toggle.ariaExpanded === "false";
			toggle.ariaExpanded = String(isAll);
			toggle.textContent = isAll ? words.showLess : words.showAll;
			text.replaceChildren(...nodesOf(body, isAll ? Infinity : shownLength(body), linksWork));
			if (!isAll) this.element.scrollIntoView({ block: "nearest" });
			// The log may not be at its end any more.
			this.element.parentElement?.dispatchEvent(new Event("scroll"));
		});
		text.after(toggle);
	}

	/**
	 * Shows the day above its first message, and a line above the first new one.
	 * @param {Message | undefined} previous @param {number} [newAfter]
	 */
	renderHead(previous, newAfter = Infinity) {
		const { element, message } = this;
		const { words, dates } = this.#outside;
		for (const old of element.querySelectorAll(".day, .new")) old.remove();
		const isFirstNew = message.place > newAfter && !(previous && previous.place > newAfter);
		const isNewDay = !previous || !isSameDay(previous.at, message.at);
		const goesOn = !isNewDay && !isFirstNew && previous.mine === message.mine
			&& isSameMinute(previous.at, message.at);
		element.classList.toggle("goes-on", goesOn);
		if (isFirstNew) element.prepend(make("p", "new", words.newHere));
		if (isNewDay) element.prepend(make("p", "day", dates.day(message.at)));
	}

	/** Shows time and state, with a button to retry or to withdraw. @param {number} readTo */
	renderNote(readTo) {
		const { message, element } = this;
		const { words, dates, retry, withdraw } = this.#outside;
		const isRead = message.state === "delivered" && message.place <= readTo;
		const state = isRead ? "read" : message.state;
		const shown = `${state} ${message.at}`;
		if (this.#shown === shown) return;
		this.#shown = shown;
		element.dataset.state = state;
		const reason = message.mine && message.reason;
		const why = reason ? `: ${reasonText(words, reason)}` : "";
		const since = state === "waiting" ? words.waits(message.peer, dates.brief(message.at)) : "";
		const text = words.states[state] + why + since;
		this.#note.replaceChildren(dates.time(message.at), " ");
		if (text) this.#note.append(make("span", "state", text), " ");
		if (!message.mine || !["failed", "doubtful", "waiting", "withdrawn"].includes(state)) return;
		const [word, act] = state === "waiting" ? [words.withdraw, withdraw] : [words.retry, retry];
		const button = make("button", "secondary", word);
		onClick(button, () => act(message));
		this.#note.append(button);
	}
}

/**
 * Returns the text up to an end. A link that is cut there is no link.
 * @param {string} body @param {number} left characters @param {boolean} linksWork
 */
function nodesOf(body, left, linksWork) {
	return partsOf(body).map(({ text, href }) => {
		const shown = text.slice(0, Math.max(0, left));
		left -= text.length;
		return href && linksWork && shown === text ? link(text, href) : shown;
	});
}

/** @param {string} text @param {string} href */
function link(text, href) {
	const element = make("a", "", text);
	element.href = href;
	element.rel = "noopener noreferrer nofollow";
	element.target = "_blank";
	return element;
}
