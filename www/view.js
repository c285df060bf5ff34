/**
 * The page: shows the state of the store, and keeps the focus where the reader goes on.
 *
 * **Invariants**
 * - Only the DOM's own facts are read from it: the fields, the focus, the scroll position.
 * - Text that people wrote becomes text nodes.
 *
 * It does not know the socket or the storage.
 */

import { Dates } from "./dates.js";
import { findElements, isShown, make, setText, usesTouch } from "./dom.js";
import { bindGestures } from "./gestures.js";
import { List } from "./list.js";
import { Log } from "./log.js";
import { doubtsOf } from "./skeleton.js";
import { lineOf } from "./text.js";
import { reasonText } from "./words.js";

/** The bytes left are shown below this number. */
const BYTES_LEFT_SHOWN = 1000;

/** The most messages that are read out when many come together. */
const ANNOUNCED_MAX = 5;

/** The calendar is looked at this often: after midnight "Today" is wrong no longer than this. */
const DAY_MS_CHECKED = 60_000;

export class View {
	#store;
	#words;
	#ui = findElements();
	#list;
	#log;
	/** @type {boolean | undefined} neither, at first */
	#joinShown;
	#shownPeer = "";
	/** The composer is focused once it is there. */
	#focusComposer = false;

	/** @param {ViewOutside} outside */
	constructor({ store, words, languages, actions }) {
		const ui = this.#ui;
		const dates = new Dates(words, languages, Date.now);
		this.#store = store;
		this.#words = words;
		this.#list = new List(ui.list, { words, dates, choose: (peer) => this.#choose(peer) });
		this.#log = new Log(ui.log, ui.below, {
			words,
			dates,
			me: () => store.state.id,
			seen: (message) => store.seen(message),
			loadEarlier: (count) => store.loadEarlier(count),
			retry(message) {
				store.retry(message);
				ui.message.focus();
			},
		});
		let { today } = dates;
		// No timer for midnight: the clock may jump, and a computer may sleep.
		setInterval(() => {
			if (today === dates.today) return;
			({ today } = dates);
			this.render();
		}, DAY_MS_CHECKED);
		fillWords(words, words.language);
		bindGestures({
			ui, store, words, actions,
			open: (text) => this.#open(text),
			log: this.#log,
			announce: (text) => this.#announce(text),
		});
	}

	/** @param {string} text */
	#open(text) {
		// A refused text stays, to be edited.
		if (!this.#store.open(text)) return;
		this.#ui.chatWith.value = "";
		this.#focusComposer = true;
	}

	/** @param {string} peer */
	#choose(peer) {
		this.#store.choose(peer);
		this.#focusComposer = true;
	}

	render() {
		const focused = document.activeElement;
		const { state, current } = this.#store;
		const ui = this.#ui;
		const words = this.#words;
		const conversations = [...state.conversations.values()].reverse();
		ui.newer.hidden = !state.outdated;
		ui.notice.hidden = !state.alert;
		setText(ui.alert, state.alert ? reasonText(words, state.alert) : "");
		setText(ui.me, state.id);
		setText(ui.status, statusText(words, state), statusLook(state));
		setText(ui.joinStatus, joinText(words, state));
		const doubts = doubtsOf(conversations, state.id);
		const doubt = current && doubts.get(current.peer);
		ui.doubt.hidden = !doubt;
		setText(ui.doubt, doubt ? reasonText(words, doubt) : "");
		this.#list.render(conversations, current, doubts);
		ui.listEmpty.hidden = conversations.length > 0;
		this.#renderSettings(state);
		this.#renderScreen(state);
		this.#renderConversation(state.connection === "replaced" ? undefined : current);
		this.#takeFocus(focused);
	}

	/** @param {State} state */
	#renderSettings({ settings, kept, notifying }) {
		const ui = this.#ui;
		for (const name of /** @type {(keyof Settings)[]} */ (Object.keys(settings))) {
			ui[name].checked = settings[name];
		}
		ui.notifyText.disabled = !settings.notify;
		const why = this.#words.notifying[notifying];
		ui.notifyWhy.hidden = !why;
		setText(ui.notifyWhy, why);
		setText(ui.keptText, kept ? this.#words.keptHere : this.#words.reasons.unkept({ code: "" }));
	}

	/** @param {State} state */
	#renderScreen({ connection, id }) {
		const ui = this.#ui;
		const isJoin = connection === "none" || connection === "joining";
		const isElsewhere = connection === "replaced";
		ui.elsewhere.hidden = !isElsewhere;
		setText(ui.elsewhereText, this.#words.elsewhereMore(id));
		ui.chat.classList.toggle("away", isElsewhere);
		if (isJoin === this.#joinShown) return;
		this.#joinShown = isJoin;
		ui.joinScreen.hidden = !isJoin;
		ui.chat.hidden = isJoin;
		// A refused id stays, to be edited.
		ui.ownId.value = id;
		this.#goOn();
	}

	/** @param {Conversation} [conversation] */
	#renderConversation(conversation) {
		const ui = this.#ui;
		ui.conversation.hidden = !conversation;
		ui.noneOpen.hidden = Boolean(conversation);
		// Where there is no room for both, the list gives way.
		ui.chat.classList.toggle("conversing", Boolean(conversation));
		if (conversation) this.#renderFrame(conversation);
		const { search } = this.#store.state;
		const isNew = search && ui.searchBar.hidden;
		ui.searchBar.hidden = !search;
		if (isNew) ui.searchText.value = "";
		if (isNew) ui.searchText.focus();
		setText(ui.matches, search?.text ? this.#words.matches(search.at + 1, search.places.length) : "");
		this.#log.render(conversation, search?.places[search.at]);
	}

	/** Shows everything around the messages. @param {Conversation} conversation */
	#renderFrame({ peer, typing, presence, accepted, blocked, messages, draft }) {
		const ui = this.#ui;
		const words = this.#words;
		setText(ui.peer, peer);
		setText(ui.aboutPeer, peer);
		const shown = typing ? "typing" : presence;
		setText(ui.presence, shown && words[shown], shown);
		setText(ui.strangerText, words.stranger(peer));
		setText(ui.blockedText, words.blocked(peer));
		setText(ui.aboutBlock, blocked ? words.unblock : words.block);
		ui.stranger.hidden = accepted || blocked || !messages.length;
		ui.blocked.hidden = !blocked;
		ui.composer.hidden = blocked;
		// To set even the same text again would move the cursor.
		if (ui.message.value !== draft) ui.message.value = draft;
		growComposer(ui.message);
		const left = draft ? this.#store.bytesLeft() : BYTES_LEFT_SHOWN;
		setText(ui.counter, counterText(words, left), left < 0 ? "over" : "");
	}

	/** Moves the focus on, also if its element went. @param {Element | null} focused until now */
	#takeFocus(focused) {
		const { openPeer, conversations } = this.#store.state;
		const isLost = focused !== document.body && !isShown(focused);
		const left = openPeer ? "" : this.#shownPeer;
		if (isLost && left && conversations.has(left)) this.#list.focus(left);
		else if (this.#focusComposer || isLost) this.#goOn();
		this.#focusComposer = false;
		this.#shownPeer = openPeer;
	}

	/** Focuses where the reader goes on. On a phone a field would bring the keyboard over the log. */
	#goOn() {
		const { log, message, unblock, useHere, openSettings, chatWith, ownId } = this.#ui;
		const choice = usesTouch()
			? [log, useHere, openSettings, ownId]
			: [message, unblock, useHere, chatWith, ownId];
		choice.find(isShown)?.focus();
	}

	/** Reads new messages out, but not history and ticks. @param {IncomingMessage[]} messages */
	arrived(messages) {
		const words = this.#words;
		const { openPeer } = this.#store.state;
		const texts = messages.map(({ peer, body }) => peer === openPeer
			? words.announce(peer, lineOf(body, words.unsupported)) : words.newMessageFrom(peer));
		// Of many the last ones: no reader listens to a hundred.
		if (texts.length) this.#announce([...new Set(texts)].slice(-ANNOUNCED_MAX).join("\n"));
	}

	/** @param {string} text */
	#announce(text) {
		// A new element, or the same words would be read out only once.
		this.#ui.announcer.replaceChildren(make("p", "", text));
	}
}

/** @param {Record<string, unknown>} words @param {string} language */
function fillWords(words, language) {
	document.documentElement.lang = language;
	for (const element of document.querySelectorAll("[data-text], [data-hint], [data-label]")) {
		if (!(element instanceof HTMLElement)) continue;
		const { text, hint, label } = element.dataset;
		if (text) element.textContent = String(words[text]);
		if (hint) element.setAttribute("placeholder", String(words[hint]));
		if (label) element.setAttribute("aria-label", String(words[label]));
		if (label && element.matches("button")) element.title = String(words[label]);
	}
}

/** @param {Words} words @param {number} left */
function counterText(words, left) {
	if (left >= BYTES_LEFT_SHOWN) return "";
	return left < 0 ? words.bytesOver(-left) : words.bytesLeft(left);
}

/** Grows the field in browsers that do not do so themselves. @param {HTMLElement} field */
function growComposer(field) {
	if (CSS.supports("field-sizing", "content")) return;
	field.style.height = "auto";
	field.style.height = `${field.scrollHeight + 2}px`;
}

/** @param {Words} words @param {State} state */
function statusText(words, { connection, online, quiet, outage }) {
	switch (connection) {
		case "joined": return words.connected;
		case "replaced": return words.elsewhere;
		case "lost":
			if (quiet) return words.connected;
			return online ? words.reconnecting[outage] : words.offline;
		default: return "";
	}
}

/** @param {State} state */
function statusLook({ connection, quiet }) {
	return connection === "lost" && quiet ? "joined" : connection;
}

/** @param {Words} words @param {State} state */
function joinText(words, { connection, online, outage }) {
	if (connection !== "joining") return "";
	if (!online) return words.offline;
	return outage ? words.reconnecting[outage] : words.connecting;
}
