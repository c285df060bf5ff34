/**
 * The list of conversations, a button each. It stays as long as its conversation, or it might go
 * away under a finger.
 *
 * It does not know the rest of the page.
 */

import { make, onClick, setText } from "./dom.js";
import { standing } from "./state.js";
import { hueOf, initialOf, lineOf } from "./text.js";
import { reasonText, unshown } from "./words.js";

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

	/**
	 * @param {Conversation[]} conversations in their order @param {Conversation | undefined} current
	 * @param {Map<string, Reason>} doubts
	 */
	render(conversations, current, doubts) {
		const focused = document.activeElement;
		const list = this.#list;
		conversations.forEach((conversation, index) => {
			const item = this.#itemOf(conversation.peer);
			item.render(conversation, conversation === current, doubts.get(conversation.peer));
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
	#outside;
	#presence = make("span", "presence");
	#line = make("span", "line");
	#time = make("span", "time");
	#unread = make("span", "unread");
	#doubt = make("span", "doubt");

	/** @param {string} peer @param {ListOutside} outside */
	constructor(peer, outside) {
		this.#outside = outside;
		const avatar = make("span", "avatar", initialOf(peer));
		avatar.setAttribute("aria-hidden", "true");
		avatar.style.setProperty("--hue", String(hueOf(peer)));
		const name = make("bdi", "peer", peer);
		const parts = [name, avatar, this.#doubt, this.#presence, this.#line, this.#time,
			this.#unread];
		// The spaces separate the words of the button's accessible name.
		this.button = make("button", "", ...parts.flatMap((part) => [part, " "]));
		this.element = make("li", "", this.button);
		onClick(this.button, () => outside.choose(peer));
	}

	/** @param {Conversation} conversation @param {boolean} isCurrent @param {Reason} [doubt] */
	render(conversation, isCurrent, doubt) {
		const { typing, unread, messages } = conversation;
		const { words, dates } = this.#outside;
		const last = messages.at(-1);
		this.button.setAttribute("aria-current", String(isCurrent));
		// That the peer is typing has a line of its own.
		const shown = standing({ ...conversation, typing: 0 });
		setText(this.#presence, shown && words[shown], shown);
		setText(this.#time, last ? dates.brief(last.at) : "");
		setText(this.#line, this.#lineText(conversation, isCurrent), typing ? "typing" : "");
		setText(this.#doubt, doubt ? reasonText(words, doubt) : "");
		setText(this.#unread, unread ? words.unread(unread) : "");
	}

	/** @param {Conversation} conversation @param {boolean} isCurrent */
	#lineText({ typing, draft, accepted, blocked, messages }, isCurrent) {
		const { words } = this.#outside;
		const last = messages.at(-1);
		if (blocked) return "";
		if (typing) return words.typing;
		if (draft && !isCurrent) return `${words.draft} ${lineOf(draft, "")}`;
		if (!last) return "";
		if (!accepted) return words.request;
		const text = lineOf(last.body, unshown(words, !last.mine && last.unreadable));
		return last.mine ? `${words.you} ${text}` : text;
	}
}
