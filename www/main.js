/**
 * The hallway: introduces store, socket, storage and view to each other and to the browser.
 *
 * **Invariants**
 * - After each change of the store everything else follows it, by `changed`.
 *
 * It does not know the rules of the chat, or the elements of the page.
 */

import { KNOWN_MAX } from "./arrivals.js";
import { Attention } from "./attention.js";
import { BackButton } from "./back.js";
import { decoded as bytesOf } from "./bytes.js";
import { Diagnosis } from "./diagnosis.js";
import { findElements } from "./dom.js";
import { Keyring } from "./keyring.js";
import { Post } from "./post.js";
import { Vault } from "./vault.js";
import { MessageHistory } from "./history.js";
import { Remembered } from "./remembered.js";
import { SavePump } from "./saving.js";
import { isId, normalId } from "./ids.js";
import { randomHex } from "./protocol.js";
import { socketUrl } from "./scope.js";
import { Delay, Socket, SUBPROTOCOL } from "./socket.js";
import { Store } from "./store.js";
import { Tab } from "./tab.js";
import { Version } from "./version.js";
import { View } from "./view.js";
import { chooseWords } from "./words.js";

/** The latest messages to a peer that are searched for one it could not open: those of a day. */
const SEARCHED_MAX = 1000;

const words = chooseWords(navigator.languages);
const remembered = new Remembered();

const store = new Store({
	keyOf: (id) => remembered.keyOf(id),
	pinsOf: (id) => remembered.pinsOf(id),
	notePin: (id, peer, sign) => remembered.notePin(id, peer, sign),
	ownCard: () => keyring.card,
	password: () => remembered.password,
	token: () => remembered.token,
	dropPassword() {
		remembered.dropPassword();
		enter();
	},
	say: (line, sealing) => post.say(line, sealing),
	changed,
	prepare,
	load,
	search,
	newRef: randomHex,
	now: Date.now,
	later: (call, ms) => setTimeout(call, ms),
	settings: remembered.settings,
});
const { state } = store;

/** As methods of another object, browsers refuse these functions. @type {Clock} */
const clock = {
	setTimer: (call, ms) => setTimeout(call, ms),
	clearTimer: (timer) => clearTimeout(timer),
};
const delay = new Delay({ ...clock, random: Math.random });

const socket = new Socket({
	connect: () => new WebSocket(socketUrl(location.href), SUBPROTOCOL),
	delay,
	clock,
	opened() {
		diagnosis.connected();
		post.opened();
	},
	received: (lines) => post.received(lines),
	closed,
	awaitsAnswer: () => store.awaitsAnswer,
	probe: () => store.probe(),
});

const diagnosis = new Diagnosis((path, method) => fetch(path, { method }).catch(() => null));

// A browser that keeps no cookies keeps nothing else either, but may only say so late.
const databases = () => (navigator.cookieEnabled ? globalThis.indexedDB : undefined);
const keyring = new Keyring({
	remembered,
	vault: new Vault(databases, clock),
	clock,
	now: Date.now,
	// Browsers have it only where the page came safely.
	hasCrypto: Boolean(globalThis.crypto.subtle),
	renewed: () => store.renewed(),
});
const post = new Post({ keyring, store, socket });

const tab = new Tab({
	locks: navigator.locks,
	openChannel: (name) => new BroadcastChannel(name),
	lost: () => store.replaced(),
	clock,
});
const back = new BackButton(store);
const version = new Version(store, navigator.serviceWorker);
const attention = new Attention(store, words, findElements().icon);

const pump = new SavePump(store, new MessageHistory(databases, KNOWN_MAX), clock);

const view = new View({
	store,
	words,
	languages: navigator.languages,
	crypto: !globalThis.isSecureContext ? "http" : globalThis.crypto.subtle ? "" : "old",
	actions: {
		join,
		password: () => remembered.password,
		login: () => login,
		code: () => keyring.code(),
		numbers,
		persist: () => void navigator.storage?.persist?.().catch(() => {}),
		useHere: () => store.resume(state.id, true),
		forget,
		linkOf,
		copyLink: navigator.clipboard && copyLink,
		share: "share" in navigator ? share : undefined,
		notify: attention.canNotify ? (on) => attention.turnNotify(on) : undefined,
		sound: attention.canPlay ? (on) => attention.turnSound(on) : undefined,
	},
});

let renderingIsDue = false;
/** Our id, if a login elsewhere has said it. */
let login = "";
/**
 * Opens a conversation as soon as there can be one: the last one of this tab, or an invite link's.
 * @type {(() => void) | null}
 */
let openFirst = null;

addEventListener("online", () => {
	store.setOnline(true);
	socket.wake();
});

addEventListener("offline", () => {
	store.setOnline(false);
	socket.giveUp();
});

/** The page had an id, or was about to, when it went. */
let wasWanted = false;

// In the back-forward cache the page cannot answer for the id, so another tab may take it.
addEventListener("pagehide", ({ persisted }) => {
	wasWanted = store.wanted;
	pump.saveNow();
	tab.release();
	// Peers would take us for present.
	if (persisted) socket.stop();
});

addEventListener("pageshow", ({ persisted }) => {
	if (persisted && wasWanted) store.resume(state.id);
});

document.addEventListener("visibilitychange", () => {
	look();
	if (!document.hidden) socket.wake();
});
addEventListener("focus", look);
addEventListener("blur", look);

addEventListener("hashchange", takeInvite);
addEventListener("hashchange", takeToken);

const { peer, id } = remembered;
if (peer) openFirst = () => store.choose(peer);
// First of all: without an id, none would be remembered.
takeToken();
if (id && state.connection === "none") store.resume(id);
enter();
if (remembered.password) store.setPrivate();
takeInvite();
store.setOnline(navigator.onLine);
look();
if (attention.canNotify) attention.checkNotify();

/** Renders once, however often the store changes in a row. @param {IncomingMessage[]} arrived */
function changed(arrived) {
	if (store.wanted) {
		socket.start();
	} else {
		socket.stop();
		post.ended();
	}
	if (state.connection === "joined") delay.reset();
	if (state.connection === "none" || state.connection === "replaced") tab.release();
	remembered.update(state);
	pump.save();
	version.follow();
	attention.arrived(arrived);
	view.arrived(arrived);
	if (!renderingIsDue) queueMicrotask(render);
	renderingIsDue = true;
}

/** A window in view may lie beside the one that its reader works in. */
function look() {
	store.setVisible(!document.hidden && document.hasFocus());
}

function render() {
	renderingIsDue = false;
	const { connection, ready, invite } = state;
	// An id may be refused until it is joined, and its conversations go with it. The last
	// conversation can be read meanwhile; an invitation waits.
	if (openFirst && (connection === "joined" || (connection === "lost" && ready && !invite))) {
		const open = openFirst;
		openFirst = null;
		open();
	}
	view.render();
	attention.render();
	back.follow();
}

/** @param {string} id @param {boolean} take */
async function prepare(id, take) {
	const isOurs = await tab.claim(id, take);
	// The reader may have gone on to another id meanwhile, whose claim it is now.
	if (id !== state.id) return;
	if (!isOurs) store.claimedElsewhere(id);
	else if (state.connection === "none") tab.release();
	else {
		keyring.open(id);
		pump.load(id);
	}
}

/** @param {string} text @param {string} code @param {string} password */
async function join(text, code, password) {
	if (password) remembered.password = password;
	if (code.trim() && !await keyring.restore(code, normalId(text))) {
		return store.setAlert({ code: "bad_code" });
	}
	store.join(text);
}

/** Returns our safety number, and that of the open peer. */
function numbers() {
	const { peer = "", keys } = store.current ?? {};
	const { sign = "" } = keys?.other ?? keys?.pin ?? {};
	const all = [keyring.numberOf(state.id, keyring.sign), keyring.numberOf(peer, sign)];
	return Promise.all(all);
}

/** @param {string} peer @param {number} before @param {number} count */
async function load(peer, before, count) {
	const { id } = state;
	const page = await pump.page(id, peer, before, count);
	if (id === state.id) store.loaded(peer, page?.messages ?? [], page?.earlier ?? false);
}

/**
 * Resolves to the latest kept messages of a conversation.
 * @param {string} peer @returns {Promise<Message[]>}
 */
async function search(peer) {
	const { id } = state;
	const page = await pump.page(id, peer, Infinity, SEARCHED_MAX);
	return id === state.id ? page?.messages ?? [] : [];
}

/** @param {number} code @param {boolean} wasOpen */
function closed(code, wasOpen) {
	post.ended();
	store.closed(code);
	if (!wasOpen) explain();
}

async function explain() {
	const outage = await diagnosis.explain();
	if (outage) store.setOutage(outage);
}

/** Finds out what a join needs, and joins as a login elsewhere says. */
async function enter() {
	const ready = await diagnosis.text("readyz");
	if (ready === "ok, private") store.setPrivate();
	if (ready !== "ok, login") return;
	logIn(idOf(remembered.token) || await diagnosis.text("whoami"));
}

/**
 * Joins as a login elsewhere says. One that has run out may say anything. The same id was refused
 * just now, unless the login is a new one.
 * @param {string} text @param {boolean} [isAnew]
 */
function logIn(text, isAnew) {
	login = isId(text) ? text : "";
	store.setPrivate(false);
	if (login && (isAnew || login !== state.id)) store.join(login);
	else if (state.connection === "none") store.setAlert({ code: "no_login" });
}

/** Takes the token of a login elsewhere out of the link, and joins with it. */
function takeToken() {
	const [part = "", token = ""] = /[#&]token=([\w.-]+)$/.exec(location.hash) ?? [];
	const id = idOf(token);
	// A link must not throw anybody out who is in.
	if (!id || (state.connection !== "none" && id !== state.id)) return;
	remembered.token = token;
	const { pathname, hash } = location;
	history.replaceState(history.state, "", pathname + hash.slice(0, -part.length));
	logIn(id, true);
}

function takeInvite() {
	const link = /^#to=([^&]+)(?:&key=([\w-]+))?(?:&password=([^&]+))?/;
	const [, encoded, sign, password] = link.exec(location.hash) ?? [];
	if (!encoded) return;
	// A link must not throw anybody out who is in.
	if (password && (state.connection === "none" || !remembered.password)) {
		remembered.password = decoded(password);
		store.setPrivate();
	}
	const invite = decoded(encoded);
	openFirst = () => {
		// Until now it survives a reload. From now on that opens the last conversation.
		history.replaceState(history.state, "", location.pathname);
		store.open(invite, sign);
	};
	store.invited(invite);
}

/** Returns the id that a token is for. @param {string} token */
function idOf(token) {
	try {
		const claims = new TextDecoder().decode(bytesOf(token.split(".")[1]) ?? undefined);
		return String(JSON.parse(claims).sub);
	} catch {
		return "";
	}
}

/** @param {string} text percent-encoded, unless a person has typed it */
function decoded(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

/** @param {string} id */
function linkOf(id) {
	const key = keyring.sign && `&key=${keyring.sign}`;
	const { settings, isPrivate } = state;
	const word = isPrivate && settings.linkPassword ? encodeURIComponent(remembered.password) : "";
	const password = word && `&password=${word}`;
	return `${location.origin}${location.pathname}#to=${encodeURIComponent(id)}${key}${password}`;
}

async function copyLink() {
	const copying = navigator.clipboard.writeText(linkOf(state.id));
	await copying.catch(() => store.setAlert({ code: "not_copied" }));
}

function share() {
	navigator.share({ title: "sotto", url: linkOf(state.id) }).catch(() => {});
}

/** Leaves nothing of our id in the browser, and the id itself to others. */
async function forget() {
	const { id } = state;
	store.giveUp();
	remembered.forgetKey(id);
	remembered.dropPassword();
	await keyring.forget(id);
	await pump.forget(id);
}
