/**
 * The hallway: introduces store, socket, storage and view to each other and to the browser.
 *
 * Invariant: after each change of the store, the socket, what is kept and the screen follow it (`changed`).
 *
 * Not known here: the rules of the chat, and the elements of the page.
 */

import { createAttention } from "./attention.js";
import { openHistory } from "./history.js";
import { createDelay, createSocket, socketUrl, SUBPROTOCOL } from "./socket.js";
import { createStore, KNOWN_MAX, SETTINGS_DEFAULT } from "./store.js";
import { createTab } from "./tab.js";
import { createView } from "./view.js";
import { chooseWords } from "./words.js";

const words = chooseWords(navigator.languages);

/** By id; also where the browser does not remember them. @type {Map<string, string>} */
const keys = new Map();

const store = createStore({
  keyOf,
  say: (line) => socket.say(line),
  changed,
  prepare,
  load,
  newRef: randomHex,
  now: Date.now,
  later: (call, ms) => setTimeout(call, ms),
  settings: recallSettings(),
});
const { state } = store;

// Called bare: as methods of another object, browsers refuse them.
const clock = { setTimer: (call, ms) => setTimeout(call, ms), clearTimer: (timer) => clearTimeout(timer) };
const delay = createDelay({ ...clock, random: Math.random });

const socket = createSocket({
  connect: () => new WebSocket(socketUrl(location), SUBPROTOCOL),
  delay,
  clock,
  opened: store.opened,
  received: store.received,
  closed,
  probe: store.probe,
});

const onePane = matchMedia("(max-width: 639.98px)");
const tab = createTab(navigator.locks, store.replaced, clock);
const attention = createAttention({ store, words, icon: document.getElementById("icon") });

const view = createView({
  store,
  words,
  languages: navigator.languages,
  actions: {
    useHere: () => store.resume(state.id, true),
    forget,
    copyLink: navigator.clipboard && copyLink,
    share: navigator.share && (() => navigator.share({ title: "sotto", url: inviteLink() }).catch(() => {})),
    notify: attention.turnNotify,
    sound: attention.turnSound,
  },
});

/** Nothing, where the browser keeps nothing. */
const opening = openHistory(globalThis.indexedDB, KNOWN_MAX).catch(() => null);
/** The same, once it is there: when the page goes, nothing can be waited for. */
let storage = null;
opening.then((history) => (storage = history));
let saving = false;
let renderingIsDue = false;
/** Asked of the browser, and not yet done. */
let isGoingBack = false;
const lastPeer = recall("sessionStorage", "peer");
/** Opens a conversation as soon as there can be one: the one that was open when the page was left, or an invitation. */
let openWanted = lastPeer && (() => store.choose(lastPeer));

addEventListener("online", () => {
  store.setOnline(true);
  socket.wake();
});

addEventListener("offline", () => {
  store.setOnline(false);
  socket.giveUp();
});

// Back from the cache of pages that were left, the connection is most likely gone.
addEventListener("pageshow", ({ persisted }) => persisted && socket.wake());

document.addEventListener("visibilitychange", () => {
  store.setVisible(!document.hidden);
  if (!document.hidden) socket.wake();
});

// What was typed while the last of it was being kept would be lost with the page.
addEventListener("pagehide", () => {
  const batch = storage && state.kept && store.takeUnsaved();
  if (batch) storage.put(batch).then(() => store.saved(batch), store.unkept);
});

addEventListener("hashchange", takeInvite);

addEventListener("popstate", () => {
  if (!isGoingBack && state.openPeer) store.back();
  isGoingBack = false;
  followHistory();
});

takeInvite();
// A tab that is loaded again goes on under its id; a new one takes the last, if no other tab has it. First of all: without
// an id there is none to be remembered.
const lastId = recall("sessionStorage", "id") || recall("localStorage", "id");
if (lastId) store.resume(lastId);
store.setOnline(navigator.onLine);
store.setVisible(!document.hidden);

/** However often the store changes at once, the page is rendered once. @param {import("./store.js").Message[]} arrived */
function changed(arrived) {
  if (store.wanted()) socket.start();
  else socket.stop();
  if (state.connection === "joined") delay.reset();
  if (state.connection === "none" || state.connection === "replaced") tab.release();
  rememberAll();
  save();
  attention.arrive(arrived);
  view.announce(arrived);
  if (!renderingIsDue) queueMicrotask(render);
  renderingIsDue = true;
}

function render() {
  renderingIsDue = false;
  if (openWanted && store.wanted()) {
    openWanted();
    openWanted = null;
  }
  view.render();
  attention.render();
  followHistory();
}

/** Where there is one pane at a time, the browser's own Back leads from a conversation to the list, too. */
function followHistory() {
  if (isGoingBack) return;
  if (state.openPeer && onePane.matches && !history.state) {
    history.pushState("conversation", "");
  } else if (!state.openPeer && history.state) {
    isGoingBack = true;
    history.back();
  }
}

/** Claims the id among the tabs, and looks up what is kept of it. @param {string} id @param {boolean} take */
async function prepare(id, take) {
  if (!(await tab.claim(id, take))) return store.elsewhere(id);
  const kept = await opening;
  store.restored(id, await kept?.load(id).catch(() => undefined));
}

/** @param {string} peer @param {number} before @param {number} count */
async function load(peer, before, count) {
  const { id } = state;
  const kept = await opening;
  const nothing = { messages: [], earlier: false };
  const { messages, earlier } = await kept.page(id, peer, before, count).catch(() => nothing);
  if (id === state.id) store.loaded(peer, messages, earlier);
}

/** Keeps what is new, as often as there is something: what comes meanwhile goes together. */
async function save() {
  if (saving) return;
  saving = true;
  const kept = await opening;
  for (let batch; (batch = store.takeUnsaved()); store.saved(batch)) {
    // Not kept, it may be acknowledged all the same: more than show it the page cannot do.
    if (kept && state.kept) await kept.put(batch).catch(store.unkept);
  }
  saving = false;
}

/** @param {number} code @param {boolean} wasOpen */
function closed(code, wasOpen) {
  store.closed(code);
  if (!wasOpen) explain();
}

/** Browsers do not tell why a WebSocket was refused; a plain request is refused for the same reason, and seen. */
async function explain() {
  const answer = await fetch("/healthz").catch(() => null);
  if (answer?.status === 503) store.setOutage("full");
}

/** Somebody's invite link. */
function takeInvite() {
  const [, encoded] = /^#to=(.+)$/.exec(location.hash) ?? [];
  if (!encoded) return;
  openWanted = () => store.open(decoded(encoded));
  // Loaded again, the page opens what was open then.
  history.replaceState(history.state, "", location.pathname);
  if (store.wanted()) render();
}

/** @param {string} text percent-encoded, unless somebody has typed it */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function inviteLink() {
  return `${location.origin}/#to=${encodeURIComponent(state.id)}`;
}

async function copyLink() {
  await navigator.clipboard.writeText(inviteLink()).catch(() => store.alert({ code: "not_copied" }));
}

/** Nothing of this id stays in the browser, and others may have it. */
async function forget() {
  const { id } = state;
  store.giveUp();
  keys.delete(id);
  remember("localStorage", `key ${id}`, "");
  const kept = await opening;
  await kept?.forget(id).catch(() => {});
}

/** The secret of an id, made up when it is first claimed. @param {string} id */
function keyOf(id) {
  const key = recall("localStorage", `key ${id}`) || keys.get(id) || randomHex();
  keys.set(id, key);
  return key;
}

function rememberAll() {
  const { connection, id, openPeer, settings } = state;
  remember("localStorage", "settings", JSON.stringify(settings));
  // Not an id that was never ours.
  if (connection === "joined") remember("localStorage", `key ${id}`, keyOf(id));
  if (connection === "joined" || connection === "none") {
    const ours = connection === "joined" ? id : "";
    remember("localStorage", "id", ours);
    remember("sessionStorage", "id", ours);
    remember("sessionStorage", "peer", openPeer);
  }
}

function recallSettings() {
  try {
    return JSON.parse(recall("localStorage", "settings"));
  } catch {
    return SETTINGS_DEFAULT;
  }
}

/** 128 random bits: more than anybody guesses or meets twice. */
function randomHex() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {"localStorage" | "sessionStorage"} storage @param {string} name */
function recall(storage, name) {
  try {
    return globalThis[storage].getItem(name) ?? "";
  } catch {
    return "";
  }
}

/**
 * Where the browser refuses, all works but for this visit only.
 * @param {"localStorage" | "sessionStorage"} storage @param {string} name @param {string} value nothing removes it
 */
function remember(storage, name, value) {
  try {
    if (recall(storage, name) === value) return;
    if (value) globalThis[storage].setItem(name, value);
    else globalThis[storage].removeItem(name);
  } catch {
    // The store has it.
  }
}
