/**
 * The gestures of the reader: each calls the store, or one of the actions beyond it.
 *
 * It does not know the looks of the page.
 */

import { onClick, onSubmit, usesTouch } from "./dom.js";

/** A key that an input method still works with, in browsers that do not set `isComposing` there. */
const KEY_CODE_COMPOSING = 229;

/** "Copied" is shown this long: a glance is enough. */
const COPIED_MS = 2000;

/** @param {GesturesOutside} outside */
export function bindGestures(outside) {
	const { ui, store, actions, open, choose, typed, log } = outside;
	onSubmit(ui.joinForm, () => {
		actions.join(ui.ownId.value, ui.ownCode.value, ui.ownPassword.value);
	});
	onClick(ui.haveCode, () => {
		showCodeField(ui, true);
		(ui.ownId.value ? ui.ownCode : ui.ownId).focus();
	});
	onClick(ui.cancelJoin, () => store.cancelJoin());
	onClick(ui.tryAgain, () => store.join(store.state.id));
	onSubmit(ui.openForm, () => {
		// The id may be another one than the reader has in mind.
		if (ui.alike.hidden) open(ui.chatWith.value);
		else ui.openKnown.focus();
	});
	ui.chatWith.addEventListener("input", typed);
	onClick(ui.openKnown, () => choose(store.alike(ui.chatWith.value)));
	onClick(ui.openTyped, () => open(ui.chatWith.value));
	onClick(ui.reload, () => location.reload());
	onClick(ui.dismiss, () => store.setAlert(null));
	onClick(ui.back, () => store.back());
	onClick(ui.accept, () => {
		store.accept();
		actions.persist();
	});
	onClick(ui.keyYes, () => {
		if (store.current?.keys.other) store.decide(true);
		else store.allowPlain();
		ui.message.focus();
	});
	onClick(ui.keyNo, () => {
		store.decide(false);
		ui.message.focus();
	});
	onClick(ui.block, () => store.block(true));
	onClick(ui.unblock, () => store.block(false));
	onClick(ui.useHere, actions.useHere);
	onClick(ui.useAnotherHere, () => store.leave());
	onClick(ui.below, () => {
		log.toEnd();
		ui.message.focus();
	});
	bindKeys(outside);
	bindSearch(outside);
	bindComposer(outside);
	bindDialogs(outside, createAsk(ui));
	bindSettings(outside);
	bindLink(outside);
	bindFiles(outside);
}

/** @param {GesturesOutside} outside */
function bindKeys({ ui, store, log }) {
	ui.conversation.addEventListener("keydown", (event) => {
		const { key, target, ctrlKey, metaKey, shiftKey, altKey } = event;
		// A field has these keys for its text, but an empty one has no use for them.
		const isWriting = target instanceof HTMLInputElement || target === ui.message && ui.message.value;
		const isPlain = !(ctrlKey || metaKey || shiftKey || altKey);
		if (isComposing(event)) return;
		if (key === "Escape" && store.state.search) store.setSearch(false);
		else if (key === "Escape") store.back();
		else if (key === "Home" && isPlain && !isWriting) log.toStart();
		else if (key === "End" && isPlain && !isWriting) log.toEnd();
		else return;
		event.preventDefault();
	});
	// The printer gets what has been loaded, so the rest is loaded first.
	addEventListener("keydown", (event) => {
		const isPrint = event.key === "p" && (event.ctrlKey || event.metaKey);
		if (!isPrint || !store.current?.earlier) return;
		event.preventDefault();
		log.print();
	});
}

/** @param {GesturesOutside} outside */
function bindSearch({ ui, store }) {
	onClick(ui.search, () => {
		ui.about.close();
		store.setSearch(true);
	});
	ui.searchText.addEventListener("input", () => store.find(ui.searchText.value));
	onSubmit(ui.searchBar, () => store.findNext());
	onClick(ui.earlierMatch, () => store.findNext());
	onClick(ui.laterMatch, () => store.findNext(1));
	onClick(ui.endSearch, () => store.setSearch(false));
}

/** @param {GesturesOutside} outside */
function bindComposer({ ui, store }) {
	onSubmit(ui.composer, () => {
		store.write();
		ui.message.focus();
	});
	ui.message.addEventListener("input", () => store.draft(ui.message.value));
	ui.message.addEventListener("keydown", (event) => {
		// With Shift Enter breaks the line, and in an input method it ends a word. Thumbs have no other
		// way to a new line, and the button is near.
		if (event.key !== "Enter" || event.shiftKey || usesTouch() || isComposing(event)) return;
		event.preventDefault();
		store.write();
	});
}

/** @param {GesturesOutside} outside @param {ReturnType<typeof createAsk>} ask */
function bindDialogs({ ui, store, words, actions }, ask) {
	onClick(ui.more, () => {
		ui.about.showModal();
		showNumbers(ui, actions);
	});
	onClick(ui.verify, () => store.verify(!store.current?.keys.verified));
	onClick(ui.clear, () => {
		ui.about.close();
		ask(words.clearAsk(store.state.openPeer), () => {
			store.clear();
			ui.message.focus();
		});
	});
	onClick(ui.remove, () => {
		const { openPeer } = store.state;
		const more = store.current?.blocked ? ` ${words.staysBlocked(openPeer)}` : "";
		ui.about.close();
		ask(words.removeAsk(openPeer) + more, () => store.remove());
	});
	onClick(ui.aboutBlock, () => {
		ui.about.close();
		store.block(!store.current?.blocked);
	});
	onClick(ui.openSettings, () => {
		ui.shownCode.hidden = ui.codeMore.hidden = true;
		ui.settings.showModal();
	});
	onClick(ui.showCode, async () => {
		const code = await actions.code();
		ui.shownCode.textContent = code || words.noCode;
		ui.shownCode.hidden = false;
		ui.codeMore.hidden = !code;
		(code ? ui.codeMore : ui.shownCode).scrollIntoView({ block: "nearest" });
	});
	onClick(ui.useAnother, () => {
		ui.settings.close();
		store.leave();
	});
	onClick(ui.forget, () => {
		ui.settings.close();
		ask(words.forgetAsk(store.state.id), actions.forget);
	});
}

/** @param {Elements} ui @param {boolean} shown */
function showCodeField({ ownCode, haveCode }, shown) {
	for (const element of [ownCode, ...(ownCode.labels ?? [])]) element.hidden = !shown;
	haveCode.hidden = shown;
}

/** @param {Elements} ui @param {Actions} actions */
async function showNumbers({ ownNumber, theirNumber }, actions) {
	for (const element of [ownNumber, theirNumber]) element.textContent = "";
	const [own, theirs] = await actions.numbers();
	ownNumber.textContent = own;
	theirNumber.textContent = theirs;
}

/** @param {GesturesOutside} outside */
function bindSettings({ ui, store, actions: { notify, sound } }) {
	/** @param {keyof Settings} name @param {((on: boolean) => void)} [turn] */
	const bind = (name, turn) => {
		const input = ui[name];
		if (turn) input.addEventListener("change", () => turn(input.checked));
		else input.labels?.forEach((label) => (label.hidden = true));
	};
	bind("read", (on) => store.changeSetting("read", on));
	bind("typing", (on) => store.changeSetting("typing", on));
	bind("notify", notify);
	bind("notifyText", notify && ((on) => store.changeSetting("notifyText", on)));
	bind("sound", sound);
	bind("linkPassword", (on) => store.changeSetting("linkPassword", on));
}

/** @param {GesturesOutside} outside */
function bindLink({ ui, words, actions: { copyLink, share }, announce }) {
	/** @param {HTMLElement} button */
	const copyFrom = (button) => onClick(button, async () => {
		await copyLink?.();
		announce(words.copied);
		button.dataset.tip = words.copied;
		setTimeout(() => delete button.dataset.tip, COPIED_MS);
	});
	// With thumbs one shares, with a keyboard one pastes.
	const invite = share && (usesTouch() || !copyLink) ? share : undefined;
	ui.copyLink.hidden = !copyLink;
	ui.share.hidden = !share;
	ui.invite.hidden = !copyLink && !share;
	ui.invite.textContent = invite ? words.share : words.copyLink;
	copyFrom(ui.copyLink);
	if (share) onClick(ui.share, share);
	if (invite) onClick(ui.invite, invite);
	else copyFrom(ui.invite);
}

/**
 * Catches files, which a browser would open in place of the page.
 * @param {GesturesOutside} outside
 */
function bindFiles({ store }) {
	/** @param {DragEvent} event */
	const catchDrag = (event) => {
		const { target, dataTransfer, type } = event;
		const isFile = dataTransfer?.types.includes("Files");
		// A field takes text, and knows what to do with it.
		if (!isFile && target instanceof Element && target.matches("input, textarea")) return;
		event.preventDefault();
		if (isFile && type === "drop") store.setAlert({ code: "no_files" });
	};
	addEventListener("dragover", catchDrag);
	addEventListener("drop", catchDrag);
	addEventListener("paste", ({ clipboardData }) => {
		// An office copies text as a picture, too.
		const isText = clipboardData?.types.includes("text/plain");
		if (clipboardData?.files.length && !isText) store.setAlert({ code: "no_files" });
	});
}

/** Returns a function that asks before something that cannot be undone. @param {Elements} ui */
function createAsk({ ask, question }) {
	let answer = () => {};
	ask.addEventListener("close", () => {
		if (ask.returnValue === "yes") answer();
	});

	/** @param {string} text @param {() => void} then */
	return (text, then) => {
		question.textContent = text;
		answer = then;
		// Otherwise Escape would leave the answer to the last question.
		ask.returnValue = "";
		ask.showModal();
	};
}

/** @param {KeyboardEvent} event */
function isComposing(event) {
	return event.isComposing || event.keyCode === KEY_CODE_COMPOSING;
}
