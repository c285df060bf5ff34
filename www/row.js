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
	#linksWork;
	#note = make("p", "note");
	#body;
	/** The end of a long text, which is not shown. */
	#rest = "";
	#toggle = make("button", "secondary toggle");
	#shown = "";
	#isUnreadable;

	/** @param {Message} message @param {boolean} linksWork @param {LogOutside} outside */
	constructor(message, linksWork, outside) {
		const { mine, peer } = message;
		this.#outside = outside;
		this.#linksWork = linksWork || mine;
		this.message = message;
		this.#isUnreadable = !message.mine && message.unreadable;
		const author = make("bdi", "spoken", mine ? outside.words.own : peer);
		this.#body = this.#createBody();
		this.bubble = make("div", "bubble", author, " ", this.#body, this.#note);
		this.element = make("article", mine ? "mine" : "theirs", this.bubble);
		this.unfold(false);
		if (this.#rest) this.#addToggle();
	}

	#createBody() {
		const { body } = this.message;
		const { words } = this.#outside;
		if (this.#isUnreadable) return make("p", "body unsupported", words.unreadable(this.message.peer));
		if (typeof body !== "string") {
			const json = make("pre", "", JSON.stringify(body, null, 1));
			json.dir = "auto";
			const summary = make("summary", "", words.unsupported);
			return make("details", "body unsupported", summary, json);
		}
		const text = make("p", isEmojiOnly(body) ? "body emoji" : "body");
		text.dir = "auto";
		return text;
	}

	/** Shows all of a text, or the beginning of a long one. @param {boolean} isAll */
	unfold(isAll) {
		const { words } = this.#outside;
		const { body } = this.message;
		if (typeof body !== "string") return;
		const end = isAll ? body.length : shownLength(body);
		this.#rest = body.slice(end);
		this.#body.replaceChildren(...nodesOf(body, end, this.#linksWork, words));
		this.#toggle.ariaExpanded = String(isAll);
		this.#toggle.textContent = isAll ? words.showLess : words.showAll;
	}

	#addToggle() {
		onClick(this.#toggle, () => {
			const isAll = Boolean(this.#rest);
			this.unfold(isAll);
			if (!isAll) this.element.scrollIntoView({ block: "nearest" });
			// The log may not be at its end any more.
			this.element.parentElement?.dispatchEvent(new Event("scroll"));
		});
		this.#body.after(this.#toggle);
	}

	/**
	 * Shows the day above its first message, and a line above the first new one.
	 * @param {Message | undefined} previous @param {number} [newAfter]
	 */
	renderHead(previous, newAfter = Infinity) {
		const { element, message } = this;
		const { words, dates } = this.#outside;
		for (const old of element.querySelectorAll(".day, .new, .key")) old.remove();
		const isFirstNew = message.place > newAfter && !(previous && previous.place > newAfter);
		const isNewDay = !previous || !isSameDay(previous.at, message.at);
		const goesOn = !isNewDay && !isFirstNew && previous.mine === message.mine
			&& isSameMinute(previous.at, message.at);
		element.classList.toggle("goes-on", goesOn);
		const isForeign = message.foreign && !previous?.foreign;
		if (isForeign) element.prepend(make("p", "key doubt", words.otherKey(message.peer)));
		if (isFirstNew) element.prepend(make("p", "new", words.newHere));
		if (isNewDay) element.prepend(make("p", "day", dates.day(message.at)));
	}

	/**
	 * Returns the part of the body that is selected, with the end that is not shown if the selection
	 * goes on to there.
	 * @param {Range[]} selected
	 */
	textIn(selected) {
		return selected.map((range) => {
			const part = document.createRange();
			part.selectNodeContents(this.#body);
			if (!range.intersectsNode(this.#body)) return "";
			const unselected = part.cloneRange();
			unselected.collapse();
			if (range.compareBoundaryPoints(Range.START_TO_START, part) > 0) {
				part.setStart(range.startContainer, range.startOffset);
			}
			if (range.compareBoundaryPoints(Range.END_TO_END, part) < 0) {
				part.setEnd(range.endContainer, range.endOffset);
				unselected.setStart(range.endContainer, range.endOffset);
			}
			const text = part.toString();
			return text && !unselected.toString() ? text + this.#rest : text;
		}).join("");
	}

	/** Shows a message that could not be opened before, and came again. */
	#fillIn() {
		this.#isUnreadable = false;
		const body = this.#createBody();
		this.#body.replaceWith(body);
		this.#body = body;
		this.unfold(false);
		if (this.#rest) this.#addToggle();
	}

	/** Returns the words for the way that a message came, or went. */
	#marks() {
		const { message } = this;
		const { words, isMissing } = this.#outside;
		if (message.mine) return message.plain ? [words.safety.plain] : [];
		return [
			message.gap && isMissing(message) && words.missing,
			message.late && words.late,
			message.plain && words.forgeable,
		].filter((mark) => typeof mark === "string");
	}

	/** Shows time and state, with a button to retry or to withdraw. @param {number} readTo */
	renderNote(readTo) {
		const { message, element } = this;
		const { words, dates, retry, withdraw } = this.#outside;
		if (this.#isUnreadable && !(!message.mine && message.unreadable)) this.#fillIn();
		const isRead = message.state === "delivered" && message.place <= readTo;
		const state = isRead ? "read" : message.state;
		const marks = this.#marks();
		const shown = `${state} ${message.at} ${marks}`;
		if (this.#shown === shown) return;
		this.#shown = shown;
		element.dataset.state = state;
		const reason = message.mine && message.reason;
		const why = reason ? `: ${reasonText(words, reason)}` : "";
		const since = state === "waiting" ? words.waits(message.peer, dates.brief(message.at)) : "";
		const text = [words.states[state] + why + since, ...marks].filter(Boolean).join(" · ");
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
 * Returns the text up to an end, with the true host behind a link that looks like another one. A
 * link that is cut there is no link.
 * @param {string} body @param {number} left characters @param {boolean} linksWork
 * @param {Words} words
 */
function nodesOf(body, left, linksWork, words) {
	return partsOf(body).flatMap(({ text, href, host }) => {
		const shown = text.slice(0, Math.max(0, left));
		left -= text.length;
		if (shown !== text) return [shown];
		const node = href && linksWork ? link(text, href) : text;
		return host ? [node, make("span", "doubt", ` (${words.leadsTo(host)})`)] : [node];
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
