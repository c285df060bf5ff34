/**
 * The hallway: introduces store, socket and view to each other and to the browser.
 *
 * Invariant: after each change of the store, the socket, what is remembered and the screen follow it (`changed`).
 *
 * Not known here: the rules of the chat, and the elements of the page.
 */

import { createDelay, createSocket, socketUrl, SUBPROTOCOL } from "./socket.js";
import { createStore } from "./store.js";
import { createView } from "./view.js";

const key = recall("localStorage", "key") || randomHex();
remember("localStorage", "key", key);

const store = createStore({
  key,
  id: recall("localStorage", "id"),
  say: (line) => socket.say(line),
  changed,
  newRef: randomHex,
  now: Date.now,
});

const delay = createDelay({
  // Called bare: as methods of another object, browsers refuse them.
  setTimer: (call, ms) => setTimeout(call, ms),
  clearTimer: (timer) => clearTimeout(timer),
  random: Math.random,
});

const socket = createSocket({
  connect: () => new WebSocket(socketUrl(location), SUBPROTOCOL),
  delay,
  opened: store.opened,
  received: store.received,
  closed: store.closed,
});

const render = createView(store);

addEventListener("online", () => {
  store.network(true);
  delay.skip();
});

addEventListener("offline", () => {
  store.network(false);
  socket.giveUp();
});

document.addEventListener("visibilitychange", () => {
  store.look(!document.hidden);
  // Timers run late in the background.
  if (!document.hidden) delay.skip();
});

// A tab that is loaded again goes on under its id. Another one asks, and offers the last: two windows of one browser may
// be two people, and the second must not take over from the first unasked.
if (recall("sessionStorage", "id")) store.resume(recall("sessionStorage", "id"));
store.network(navigator.onLine);

function changed() {
  const { connection, id } = store.state;
  if (store.wanted()) socket.start();
  else socket.stop();
  if (connection === "joined") delay.reset();
  // Not an id that was never ours; after Leave, none.
  if (connection === "joined" || id === "") {
    remember("localStorage", "id", id);
    remember("sessionStorage", "id", id);
  }
  render();
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
 * @param {"localStorage" | "sessionStorage"} storage @param {string} name @param {string} value
 */
function remember(storage, name, value) {
  try {
    if (globalThis[storage].getItem(name) !== value) globalThis[storage].setItem(name, value);
  } catch {
    // The store has it.
  }
}
