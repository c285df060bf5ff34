/**
 * One message in the log: its bubble, a head above it, and a note with its time and fate.
 *
 * It does not know the other rows, or the scroll position.
 */

import { make, onClick } from "./dom.js";
import { isEmojiOnly, isSameDay, isSameMinute, partsOf } from "./text.js";
import { reasonText } from "./words.js";

export class Row {
	#outside;
	#note = make("p", "note");
	#body;
	#shown = "";

	/** @param {Message} message @param {boolean} linksWork @param {LogOutside} outside */
	constructor(message, linksWork, outside) {
		const { mine, peer } = message;
		this.#outside = outside;
		this.message = message;
		const author = make("bdi", "spoken", mine ? outside.words.own : peer);
		this.#body = this.#createBody(linksWork || mine);
		this.bubble = make("div", "bubble", author, " ", this.#body, this.#note);
		this.element = make("article", mine ? "mine" : "theirs", this.bubble);
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
		const nodes = partsOf(body).flatMap(({ text, href, host }) => {
			const shown = href && linksWork ? link(text, href) : text;
			if (!host) return [shown];
			return [shown, make("span", "doubt", ` (${this.#outside.words.leadsTo(host)})`)];
		});
		const text = make("p", isEmojiOnly(body) ? "body emoji" : "body", ...nodes);
		text.dir = "auto";
		return text;
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

	/** Returns the part of the body that is selected. @param {Range[]} selected */
	textIn(selected) {
		return selected.map((range) => {
			const part = document.createRange();
			part.selectNodeContents(this.#body);
			if (!range.intersectsNode(this.#body)) return "";
			if (range.compareBoundaryPoints(Range.START_TO_START, part) > 0) {
				part.setStart(range.startContainer, range.startOffset);
			}
			if (range.compareBoundaryPoints(Range.END_TO_END, part) < 0) {
				part.setEnd(range.endContainer, range.endOffset);
			}
			return part.toString();
		}).join("");
	}

	/** Shows time and state, and after a failure a button to retry. @param {number} readTo */
	renderNote(readTo) {
		const { message, element } = this;
		const { words, dates, retry } = this.#outside;
		const isRead = message.state === "delivered" && message.place <= readTo;
		const state = isRead ? "read" : message.state;
		const shown = `${state} ${message.at}`;
		if (this.#shown === shown) return;
		this.#shown = shown;
		element.dataset.state = state;
		const reason = message.mine && message.reason;
		const text = words.states[state] + (reason ? `: ${reasonText(words, reason)}` : "");
		this.#note.replaceChildren(dates.time(message.at), " ");
		if (text) this.#note.append(make("span", "state", text), " ");
		if (!message.mine || (state !== "failed" && state !== "doubtful")) return;
		const again = make("button", "secondary", words.retry);
		onClick(again, () => retry(message));
		this.#note.append(again);
	}
}

/** @param {string} text @param {string} href */
function link(text, href) {
	const element = make("a", "", text);
	element.href = href;
	element.rel = "noopener noreferrer nofollow";
	element.target = "_blank";
	return element;
}
