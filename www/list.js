/**
 * The list of conversations, one button each. A button stays as long as its conversation, or it might
 * go away under a finger.
 *
 * It does not know the rest of the page.
 */

import { make, onClick, setText } from "./dom.js";
import { hueOf, initialOf, lineOf } from "./text.js";


export class List {
	#list;
	#outside;
	/** @type {Map<string, Item>} */
	#items = new Map();

	/** @param {HTMLElement} list @param {ListOutside} outside */
	constructor(list, outside) {
		this.#list = list;
		this.#outside = outside;
	}

	/** @param {Conversation[]} conversations in their order @param {Conversation} [current] */
	render(conversations, current) {
		const focused = document.activeElement;
		const list = this.#list;
		conversations.forEach((conversation, index) => {
			const item = this.#itemOf(conversation.peer);
			item.render(conversation, conversation === current);
			const there = list.children[index] ?? null;
			if (there !== item.element) list.insertBefore(item.element, there);
		});
		// Items without a conversation are behind all others now.
		while (list.children.length > conversations.length) list.lastChild?.remove();
		for (const [peer, { element }] of this.#items) {
			if (!element.isConnected) this.#items.delete(peer);
		}
		// An element that moves loses the focus.
		if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus();
	}

	/** @param {string} peer */
	#itemOf(peer) {
		const item = this.#items.get(peer) ?? new Item(peer, this.#outside);
		this.#items.set(peer, item);
		return item;
	}

	/** @param {string} peer */
	focus(peer) {
		this.#items.get(peer)?.button.focus();
	}
}

class Item {
	#words;
	#dates;
	#presence = make("span", "presence");
	#line = make("span", "line");
	#time = make("span", "time");
	#unread = make("span", "unread");

	/** @param {string} peer @param {ListOutside} outside */
	constructor(peer, { words, dates, choose }) {
		this.#words = words;
		this.#dates = dates;
		const avatar = make("span", "avatar", initialOf(peer));
		avatar.setAttribute("aria-hidden", "true");
		avatar.style.setProperty("--hue", String(hueOf(peer)));
		const parts = [make("bdi", "peer", peer), avatar, this.#presence, this.#line, this.#time, this.#unread];
		// The spaces are for the button's name, as it is read out.
		this.button = make("button", "", ...parts.flatMap((part) => [part, " "]));
		this.element = make("li", "", this.button);
		onClick(this.button, () => choose(peer));
	}

	/** @param {Conversation} conversation @param {boolean} isCurrent */
	render(conversation, isCurrent) {
		const { presence, typing, unread, messages } = conversation;
		const last = messages.at(-1);
		this.button.setAttribute("aria-current", String(isCurrent));
		setText(this.#presence, presence && this.#words[presence], presence);
		setText(this.#time, last ? this.#dates.brief(last.at) : "");
		setText(this.#line, this.#lineText(conversation, isCurrent), typing ? "typing" : "");
		setText(this.#unread, unread ? this.#words.unread(unread) : "");
	}

	/** @param {Conversation} conversation @param {boolean} isCurrent */
	#lineText({ typing, draft, accepted, blocked, messages }, isCurrent) {
		const words = this.#words;
		const last = messages.at(-1);
		if (typing) return words.typing;
		if (draft && !isCurrent) return `${words.draft} ${lineOf(draft, "")}`;
		if (!last) return "";
		if (!accepted && !blocked) return words.request;
		const text = lineOf(last.body, words.unsupported);
		return last.mine ? `${words.you} ${text}` : text;
	}
}
