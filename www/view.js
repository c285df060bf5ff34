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
import { normalId } from "./ids.js";
import { qrMatrix } from "./qr.js";
import { doubtsOf } from "./skeleton.js";
import { standing } from "./state.js";
import { safetyOf, sharedKeys } from "./trust.js";
import { lineOf } from "./text.js";
import { reasonText, unshown } from "./words.js";

/** The bytes left are shown below this number. */
const BYTES_LEFT_SHOWN = 1000;

/** The field grows to six lines, and no screen has more characters in them. */
const COPIED_CHARACTERS = 1500;

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
	#linkOf;
	#passwordOf;
	#loginOf;
	/** @type {Reason | null} */
	#shownAlert = null;
	/** @type {ViewOutside["crypto"]} */
	#crypto;

	/** @param {ViewOutside} outside */
	constructor({ store, words, languages, actions, crypto }) {
		this.#crypto = crypto;
		const ui = this.#ui;
		this.#linkOf = actions.linkOf;
		this.#passwordOf = actions.password;
		this.#loginOf = actions.login;
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
			isMissing: (message) => store.isMissing(message),
			retry(message) {
				store.retry(message);
				ui.message.focus();
			},
			withdraw(message) {
				store.withdraw(message);
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
		// A notice comes back from a dialog that is closed. The event does not bubble.
		addEventListener("close", () => this.#placeNotice(), true);
		bindGestures({
			ui, store, words, actions,
			open: (text) => this.#open(text),
			choose: (peer) => this.#choose(peer),
			typed: () => this.#renderAlike(),
			log: this.#log,
			announce: (text) => this.#announce(text),
		});
	}

	/** @param {string} text */
	#open(text) {
		// A refused text stays, to be edited.
		if (!this.#store.open(text)) return;
		this.#goFromField();
	}

	/** @param {string} peer */
	#choose(peer) {
		this.#store.choose(peer);
		this.#goFromField();
	}

	#goFromField() {
		this.#ui.chatWith.value = "";
		this.#focusComposer = true;
	}

	/** Suggests a known id that differs from the typed one by case only. */
	#renderAlike() {
		const { alike, alikeText, openKnown, openTyped, chatWith } = this.#ui;
		const known = this.#store.alike(chatWith.value);
		alike.hidden = !known;
		setText(alikeText, known && this.#words.alike(known));
		setText(openKnown, this.#words.openPeer(known));
		setText(openTyped, this.#words.openPeer(normalId(chatWith.value)));
	}

	render() {
		const focused = document.activeElement;
		const { state, current } = this.#store;
		const ui = this.#ui;
		const words = this.#words;
		const all = [...state.conversations.values()].reverse();
		const conversations = all.filter(({ hidden }) => !hidden);
		ui.newer.hidden = !state.outdated;
		ui.notice.hidden = !state.alert;
		setText(ui.alert, state.alert ? reasonText(words, state.alert) : "");
		this.#placeNotice();
		setText(ui.me, state.id);
		setText(ui.status, statusText(words, state), statusLook(state));
		setText(ui.joinStatus, joinText(words, state));
		const doubts = new Map([...sharedKeys(all.toReversed()), ...doubtsOf(conversations, state.id)]);
		const doubt = current && doubts.get(current.peer);
		ui.doubt.hidden = !doubt;
		setText(ui.doubt, doubt ? reasonText(words, doubt) : "");
		this.#list.render(conversations, current, doubts);
		this.#renderInvite(state, conversations.length === 0);
		this.#renderAlike();
		setText(ui.keptWhere, words.keptWhere[this.#whyPlain]);
		this.#renderSettings(state);
		this.#renderPassword(state);
		this.#renderScreen(state);
		this.#renderConversation(state.connection === "replaced" ? undefined : current);
		this.#takeFocus(focused);
	}

	/** Keeps the notice within reach: a dialog makes the page behind it inert. */
	#placeNotice() {
		const { notice } = this.#ui;
		const place = document.querySelector("dialog[open]") ?? document.querySelector("main");
		if (notice.parentElement !== place) place?.prepend(notice);
	}

	/** @param {State} state @param {boolean} isEmpty */
	#renderInvite({ id, invite }, isEmpty) {
		const { invited, link, code, listEmpty } = this.#ui;
		invited.hidden = !invite;
		setText(invited, invite && this.#words.invited(invite));
		listEmpty.hidden = !isEmpty;
		const url = this.#linkOf(id);
		if (!isEmpty || !id || link.textContent === url) return;
		setText(link, url);
		// A link below a very long path has no code.
		try {
			drawCode(code, url);
		} catch {
			code.removeAttribute("d");
		}
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
	#renderPassword({ isPrivate, alert }) {
		const { ownId, ownPassword, privateHere, linkPassword } = this.#ui;
		const login = this.#loginOf();
		ownId.readOnly = login !== "";
		if (login) ownId.value = login;
		const labels = [ownPassword, linkPassword].flatMap((input) => [...input.labels ?? []]);
		for (const element of [ownPassword, privateHere, ...labels]) element.hidden = !isPrivate;
		ownPassword.required = isPrivate;
		// Typed text is not seen, so it is typed again rather than edited.
		const isWrong = alert?.code === "wrong_password" && alert !== this.#shownAlert;
		this.#shownAlert = alert;
		if (!isWrong) return;
		ownPassword.value = "";
		ownPassword.focus();
	}

	/** @param {State} state */
	#renderScreen({ connection, id, ours, isPrivate }) {
		const ui = this.#ui;
		const isJoin = connection === "none" || connection === "joining";
		const isElsewhere = connection === "replaced";
		ui.cancelJoin.hidden = connection !== "joining";
		ui.tryAgain.hidden = !(connection === "none" && ours);
		ui.elsewhere.hidden = !isElsewhere;
		if (isElsewhere) closeDialogs();
		setText(ui.elsewhereText, this.#words.elsewhereMore(id));
		ui.chat.classList.toggle("away", isElsewhere);
		if (isJoin === this.#joinShown) return;
		this.#joinShown = isJoin;
		closeDialogs();
		ui.joinScreen.hidden = !isJoin;
		ui.chat.hidden = isJoin;
		// A refused id stays, to be edited.
		ui.ownId.value = this.#loginOf() || id;
		ui.ownPassword.value = this.#passwordOf();
		this.#goOn();
		if (isJoin && id && isPrivate) ui.ownPassword.focus();
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
	#renderFrame(conversation) {
		const { peer, accepted, blocked, messages, draft } = conversation;
		const ui = this.#ui;
		const words = this.#words;
		setText(ui.peer, peer);
		setText(ui.aboutPeer, peer);
		const shown = standing(conversation);
		const safety = safetyOf(conversation, this.#store.state.seals);
		const line = [shown && words[shown], words.safety[safety]].filter(Boolean).join(" · ");
		// A client that may not be the peer does not get the colour of presence.
		setText(ui.presence, line, safety === "changed" ? "" : shown);
		this.#renderKeys(conversation, safety);
		setText(ui.strangerText, words.stranger(peer));
		setText(ui.blockedText, words.blocked(peer));
		setText(ui.aboutBlock, blocked ? words.unblock : words.block);
		ui.stranger.hidden = accepted || blocked || !messages.length;
		ui.blocked.hidden = !blocked;
		ui.composer.hidden = blocked;
		// To set even the same text again would move the cursor.
		if (ui.message.value !== draft) ui.message.value = draft;
		ui.grown.dataset.text = draft.slice(0, COPIED_CHARACTERS);
		const left = draft ? this.#store.bytesLeft() : BYTES_LEFT_SHOWN;
		setText(ui.counter, counterText(words, left), left < 0 ? "over" : "");
	}

	/** Why there is no encryption here; empty if there is. @returns {ViewOutside["crypto"]} */
	get #whyPlain() {
		return this.#crypto || (this.#store.state.seals ? "" : "old");
	}

	/**
	 * Shows the safety of the conversation, and the question about the peer's keys.
	 * @param {Conversation} conversation @param {Safety} safety
	 */
	#renderKeys({ peer, keys }, safety) {
		const ui = this.#ui;
		const words = this.#words;
		const isChanged = safety === "changed";
		ui.keyQuestion.hidden = !isChanged && safety !== "gone";
		ui.keyNo.hidden = !isChanged;
		const ask = isChanged ? words.keyChanged : safety === "gone" ? words.keyGone : () => "";
		setText(ui.keyText, ask(peer));
		setText(ui.keyYes, isChanged ? words.isPeer(peer) : words.writePlain);
		const why = this.#whyPlain;
		setText(ui.safety, safety === "plain" && why ? words.keptWhere[why]
			: words.safetyMore[safety]?.(peer) ?? "");
		ui.numbers.hidden = !keys.pin;
		ui.verify.hidden = isChanged;
		setText(ui.theirLabel, words.theirNumber(peer));
		setText(ui.verify, keys.verified ? words.unverify : words.verify);
	}

	/** Moves the focus on, also if its element went. @param {Element | null} focused until now */
	#takeFocus(focused) {
		const { openPeer, conversations } = this.#store.state;
		// A question about one conversation is not asked over another one.
		if (openPeer !== this.#shownPeer) closeDialogs();
		const isLost = focused !== document.body && !isShown(focused);
		const left = openPeer ? "" : this.#shownPeer;
		if (isLost && left && conversations.has(left)) this.#list.focus(left);
		else if (this.#focusComposer || isLost) this.#goOn();
		this.#focusComposer = false;
		this.#shownPeer = openPeer;
	}

	/** Focuses where the reader goes on. On a phone a field would bring the keyboard over the log. */
	#goOn() {
		const { peer, me, message, unblock, useHere, chatWith, ownId } = this.#ui;
		const choice = usesTouch()
			? [peer, useHere, me, ownId]
			: [message, unblock, useHere, chatWith, ownId];
		choice.find(isShown)?.focus();
	}

	/** Reads new messages out, but not history and ticks. @param {IncomingMessage[]} messages */
	arrived(messages) {
		const words = this.#words;
		const { openPeer } = this.#store.state;
		const texts = messages.map(({ peer, body, unreadable }) => peer === openPeer
			? words.announce(peer, lineOf(body, unshown(words, unreadable))) : words.newMessageFrom(peer));
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

function closeDialogs() {
	for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

/**
 * Draws a QR code: a unit for each module, and four around them, without which it is not found.
 * @param {Element} path @param {string} text
 */
function drawCode(path, text) {
	const rows = qrMatrix(text);
	const squares = rows.map((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : "")));
	path.setAttribute("d", squares.flat().join(""));
	path.parentElement?.setAttribute("viewBox", `-4 -4 ${rows.length + 8} ${rows.length + 8}`);
}

/** @param {Words} words @param {State} state */
function statusText(words, { connection, online, quiet, outage }) {
	switch (connection) {
		case "joined": return words.connected;
		case "replaced": return words.elsewhere;
		case "lost":
			if (quiet) return words.connected;
			return online ? outageText(words, outage) : words.offline;
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
	return outage ? outageText(words, outage) : words.connecting;
}

/** @param {Words} words @param {Outage} outage */
function outageText(words, outage) {
	return words.reconnecting[outage].replace("ORIGIN", location.origin);
}
