/**
 * The messages of the open conversation. At their end the log follows new ones. Elsewhere it stays
 * exactly where the reader is, and a button reports new ones.
 *
 * **Invariants**
 * - The rows show a run of messages without a gap, at most `ROWS_MAX`: it grows where the reader
 *   comes near an end and shrinks at the other, so long conversations are as smooth as short ones.
 *
 * It does not know the rest of the page.
 */

import { make, setText } from "./dom.js";
import { Row } from "./row.js";

/** Rows that are added at once. */
const ROWS_STEP = 60;

/** The most rows. An old phone cannot lay out more at each scroll. */
const ROWS_MAX = 300;

/** As near to the end as this is at the end: browsers round positions on a zoomed page. */
const END_PX = 4;

/** More rows are added from here on: as far as one flick of a thumb. */
const NEAR_PX = 1200;

export class Log {
	#log;
	#button;
	#outside;
	/** @type {Row[]} */
	#rows = [];
	/** @type {Conversation | undefined} */
	#conversation;
	/** Noted in advance: once the log has another size, it is too late to look. */
	#isFollowing = true;
	#lastTop = 0;
	#linksWork = false;
	/** @type {number | undefined} */
	#newAfter;
	#today = "";
	/** The place of the last message when it was looked at last. */
	#lastPlace = 0;
	/** The place of the message that the reader has jumped to. @type {number | undefined} */
	#found;
	/** All messages are being loaded, for this. @type {"" | "start" | "paper"} */
	#waitsFor = "";
	/** The place in view before the conversation is printed, or 0 for the end. */
	#printedAt = 0;

	/**
	 * @param {HTMLElement} log
	 * @param {HTMLElement} button to the end @param {LogOutside} outside
	 */
	constructor(log, button, outside) {
		this.#log = log;
		this.#button = button;
		this.#outside = outside;
		log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
		document.addEventListener("copy", (event) => this.#copy(event));
		addEventListener("beforeprint", () => this.#fill());
		addEventListener("afterprint", () => this.#empty());
		new ResizeObserver(() => this.#isFollowing && this.toEnd()).observe(log);
	}

	/** @param {Conversation} [next] @param {number} [found] the place of a message to jump to */
	render(next, found) {
		// The first rows wait for messages that are being loaded, which decide where they begin.
		const isOther = next !== this.#conversation || next?.accepted !== this.#linksWork;
		if (next?.peer !== this.#conversation?.peer) this.#waitsFor = "";
		if (isOther) this.#reset(next?.loading ? undefined : next);
		const conversation = this.#conversation;
		if (!conversation) return;
		const { messages, newAfter } = conversation;
		this.#dropForgotten(messages);
		const isFirst = this.#rows.length === 0;
		const last = messages.at(-1);
		const isOwn = last?.mine && last.place > this.#lastPlace;
		this.#lastPlace = last?.place ?? 0;
		const follows = isOwn || this.#stillFollows();
		if (isFirst) this.#begin(conversation);
		else if (follows) this.#grow(conversation);
		const { today } = this.#outside.dates;
		if (this.#newAfter !== newAfter || this.#today !== today) this.#renderHeads(conversation);
		this.#today = today;
		this.#renderNotes();
		if (isFirst) this.#toNew();
		else if (follows) this.toEnd();
		if (found !== this.#found) this.#jump(found);
		this.#goOn();
		this.#scrolled();
	}

	/** @param {number} [found] */
	#jump(found) {
		this.#found = found;
		this.#log.querySelector(".found")?.classList.remove("found");
		if (found) this.#reveal(found)?.classList.add("found");
	}

	/** Scrolls to a message, and returns its row. @param {number} place */
	#reveal(place) {
		const { messages = [] } = this.#conversation ?? {};
		const index = messages.findIndex((message) => message.place === place);
		const find = () => this.#rows.find(({ message }) => message.place === place);
		if (!find()) this.#show(index - ROWS_STEP / 2, index + ROWS_STEP / 2);
		const row = find();
		// The end of a long message may be what the reader searches for.
		if (place === this.#found) row?.unfold(true);
		row?.bubble.scrollIntoView({ block: "center" });
		return row?.element;
	}

	/** Shows only these messages. @param {number} from @param {number} to */
	#show(from, to) {
		const { messages = [] } = this.#conversation ?? {};
		this.#reset(this.#conversation);
		this.#insert(messages, from, Math.min(messages.length, to));
		this.#renderNotes();
	}

	/** Shows the first message. It may have to be loaded, with all others behind it. */
	toStart() {
		this.#waitsFor = "start";
		this.#goOn();
	}

	/** Prints all messages, also those that have to be loaded. */
	print() {
		this.#waitsFor = "paper";
		this.#goOn();
	}

	/** Does the thing that waits for all messages, if they are there. */
	#goOn() {
		const waitsFor = this.#waitsFor;
		if (!waitsFor) return;
		if (this.#conversation?.earlier) return this.#outside.loadEarlier(Infinity);
		this.#waitsFor = "";
		if (waitsFor === "paper") return print();
		this.#show(0, ROWS_STEP);
		this.#log.scrollTop = 0;
		this.#scrolled();
	}

	/** Gives the printer a row of each message in memory. */
	#fill() {
		if (!this.#rows.length) return;
		const { messages = [], earlier } = this.#conversation ?? {};
		this.#printedAt = this.#isFollowing ? 0 : this.#firstInView().message.place;
		this.#show(0, messages.length);
		for (const row of this.#rows) row.unfold(true);
		if (earlier) this.#log.prepend(make("p", "day", this.#outside.words.notAll));
	}

	/** Leaves the rows that the reader saw before. */
	#empty() {
		const { messages = [] } = this.#conversation ?? {};
		this.#show(messages.length - ROWS_STEP, messages.length);
		if (this.#printedAt) this.#reveal(this.#printedAt);
		else this.toEnd();
	}

	/** @param {Conversation} [next] */
	#reset(next) {
		this.#conversation = next;
		this.#linksWork = Boolean(next?.accepted);
		this.#rows = [];
		this.#log.replaceChildren();
	}

	/**
	 * Messages may have been cleared, or be too many for the memory.
	 * @param {Message[]} messages
	 */
	#dropForgotten(messages) {
		const first = messages[0]?.place ?? Infinity;
		while (this.#rows.length && this.#rows[0].message.place < first) this.#dropFirst();
	}

	#dropFirst() {
		this.#rows.shift()?.element.remove();
	}

	/**
	 * Follows the reader, who has answered new messages or looked away, and the clock.
	 * @param {Conversation} conversation
	 */
	#renderHeads({ messages, newAfter }) {
		this.#newAfter = newAfter;
		const first = this.#firstIndex(messages);
		this.#rows.forEach((row, index) => row.renderHead(messages[first + index - 1], newAfter));
	}

	/**
	 * Adds the first rows: those around new messages, or the last ones.
	 * @param {Conversation} conversation
	 */
	#begin({ messages, newAfter }) {
		this.#newAfter = newAfter;
		const firstNew = messages.findIndex(({ place }) => place > (newAfter ?? Infinity));
		const end = firstNew < 0 ? messages.length : Math.min(messages.length, firstNew + ROWS_STEP);
		this.#insert(messages, (firstNew < 0 ? end : firstNew) - ROWS_STEP, end);
	}

	/** Follows the end of the conversation. @param {Conversation} conversation */
	#grow(conversation) {
		const { messages } = conversation;
		const from = this.#nextIndex(messages);
		// Only the last part of a flood is laid out.
		if (messages.length - from > ROWS_MAX) {
			this.#show(messages.length - ROWS_STEP, messages.length);
		} else {
			this.#insert(messages, from, messages.length);
			while (this.#rows.length > ROWS_MAX) this.#dropFirst();
		}
	}

	/**
	 * Adds rows near the reader. Returns `true` if there were any to add.
	 * @param {Conversation} conversation
	 */
	#growAround({ messages, earlier }) {
		const first = this.#firstIndex(messages);
		const next = this.#nextIndex(messages);
		const isNearTop = this.#log.scrollTop < NEAR_PX;
		const isNearEnd = this.#pxBelow() < NEAR_PX;
		// On paper, as on a huge screen, all rows are near: the two ends would take turns.
		if (isNearTop && isNearEnd && this.#rows.length >= ROWS_MAX) return false;
		if (isNearTop && first > 0) {
			this.#keepView(() => {
				this.#insert(messages, first - ROWS_STEP, first);
				while (this.#rows.length > ROWS_MAX) this.#rows.pop()?.element.remove();
			});
			return true;
		}
		if (isNearEnd && next < messages.length) {
			this.#keepView(() => {
				this.#insert(messages, next, Math.min(messages.length, next + ROWS_STEP));
				while (this.#rows.length > ROWS_MAX) this.#dropFirst();
			});
			return true;
		}
		if (isNearTop && earlier) this.#outside.loadEarlier();
		return false;
	}

	/** Returns the index of the first row's message. @param {Message[]} messages */
	#firstIndex(messages) {
		const [row] = this.#rows;
		return row ? messages.indexOf(row.message) : -1;
	}

	/** Returns the index after the last row's message. @param {Message[]} messages */
	#nextIndex(messages) {
		const row = this.#rows.at(-1);
		return row ? messages.lastIndexOf(row.message) + 1 : 0;
	}

	/**
	 * Adds rows in front of all others or behind them.
	 * @param {Message[]} messages @param {number} from @param {number} to
	 */
	#insert(messages, from, to) {
		/** @type {Row[]} */
		const made = [];
		for (let index = Math.max(0, from); index < to; index += 1) {
			const row = new Row(messages[index], this.#linksWork, this.#outside);
			row.renderHead(messages[index - 1], this.#newAfter);
			row.element.classList.toggle("found", row.message.place === this.#found);
			made.push(row);
		}
		const elements = made.map(({ element }) => element);
		const [before] = this.#rows;
		if (before && messages[to] === before.message) {
			this.#log.prepend(...elements);
			// Its neighbour was not known before.
			before.renderHead(messages[to - 1], this.#newAfter);
			this.#rows.unshift(...made);
		} else {
			this.#log.append(...elements);
			this.#rows.push(...made);
		}
	}

	/**
	 * Keeps the first row in view in its place, which not all browsers do.
	 * @param {() => void} change
	 */
	#keepView(change) {
		const row = this.#firstInView();
		const top = () => row.bubble.getBoundingClientRect().top;
		const before = top();
		change();
		this.#log.scrollTop += top() - before;
	}

	#firstInView() {
		const edge = this.#log.getBoundingClientRect().top;
		return this.#rows.find(({ bubble }) => bubble.getBoundingClientRect().bottom > edge)
			?? this.#rows[0];
	}

	#renderNotes() {
		const readTo = this.#conversation?.readTo ?? 0;
		for (const row of this.#rows) row.renderNote(readTo);
	}

	/** Shows the beginning of the new messages if they do not all fit, otherwise the end. */
	#toNew() {
		this.toEnd();
		const divider = this.#log.querySelector(".new");
		if (!divider) return;
		const top = divider.getBoundingClientRect().top - this.#log.getBoundingClientRect().top;
		if (top < 0) this.#log.scrollTop += top - END_PX;
	}

	/** Shows the last message, which may have no row yet. */
	toEnd() {
		const messages = this.#conversation?.messages ?? [];
		if (this.#rows.length && this.#nextIndex(messages) < messages.length) {
			this.#show(messages.length - ROWS_STEP, messages.length);
		}
		this.#log.scrollTop = this.#log.scrollHeight;
		this.#isFollowing = true;
		this.#lastTop = this.#log.scrollTop;
	}

	/** Follows the reader: adds rows, and reports the last message in view. */
	#scrolled() {
		const conversation = this.#conversation;
		if (!conversation || !this.#rows.length || !this.#log.clientHeight) return;
		while (this.#growAround(conversation)) this.#renderNotes();
		this.#isFollowing = this.#isAtEnd();
		this.#lastTop = this.#log.scrollTop;
		const edge = this.#log.getBoundingClientRect().bottom;
		const last = this.#rows.findLast(({ bubble }) => bubble.getBoundingClientRect().top < edge);
		if (last) this.#outside.seen(last.message);
		const { unread } = conversation;
		const { words } = this.#outside;
		this.#button.hidden = this.#isFollowing;
		setText(this.#button, unread ? words.newMessages(unread) : words.toEnd);
	}

	/** The reader may have scrolled a moment ago, which the browser has not reported yet. */
	#stillFollows() {
		return this.#isFollowing && (this.#pxBelow() < END_PX || this.#log.scrollTop >= this.#lastTop);
	}

	/**
	 * Copies several messages with name and time, and one as its text.
	 * @param {ClipboardEvent} event
	 */
	#copy(event) {
		const selection = getSelection();
		const { target, clipboardData } = event;
		const isField = target instanceof Element && target.matches("input, textarea");
		if (!selection || !clipboardData || isField) return;
		const { me, dates } = this.#outside;
		const ranges = Array.from({ length: selection.rangeCount }, (_, n) => selection.getRangeAt(n));
		const copied = this.#rows.map((row) => ({ row, text: row.textIn(ranges) }))
			.filter(({ text }) => text);
		if (!copied.length) return;
		const texts = copied.length === 1 ? [copied[0].text] : copied.map(({ row, text }) => {
			const { mine, peer, at } = row.message;
			return `${mine ? me() : peer}, ${dates.time(at).textContent}: ${text}`;
		});
		clipboardData.setData("text/plain", texts.join("\n\n"));
		event.preventDefault();
	}

	#isAtEnd() {
		const last = this.#conversation?.messages.at(-1);
		return this.#pxBelow() < END_PX && this.#rows.at(-1)?.message === last;
	}

	/** Returns how much of the log is hidden below. */
	#pxBelow() {
		return this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight;
	}
}
