/**
 * The DOM: shows the store, and hands on what the reader does.
 *
 * Invariants: nothing is read back from the DOM but what only it knows, the fields and how far the reader has
 * scrolled. What people wrote becomes text nodes.
 *
 * Not known here: the socket, and what goes over it.
 */

import { createDates } from "./dates.js";
import { make, onClick, onSubmit, setText } from "./dom.js";
import { createLog } from "./log.js";
import { hueOf, initialOf, lineOf } from "./text.js";
import { reasonText } from "./words.js";

/** @typedef {ReturnType<typeof import("./store.js").createStore>} Store */
/** @typedef {import("./store.js").Conversation} Conversation */
/** @typedef {import("./store.js").Message} Message */
/** @typedef {import("./words.js").Words} Words */

/** With less room than this in a message the rest is counted. */
const BYTES_LEFT_SHOWN = 1000;

/** So many of the messages that come together are read out. */
const ANNOUNCED_MAX = 5;

/** A key that an input method is still working with, in browsers that do not say `isComposing` there. */
const KEY_CODE_COMPOSING = 229;

/**
 * @param {object} given
 * @param {Store} given.store @param {Words} given.words @param {readonly string[]} given.languages
 * @param {object} given.actions what a gesture does beyond the store; what this browser cannot do is not there
 * @param {() => void} given.actions.useHere @param {() => void} given.actions.forget
 * @param {(() => Promise<void>)} [given.actions.copyLink] @param {(() => Promise<void>)} [given.actions.share]
 * @param {((on: boolean) => void)} [given.actions.notify] @param {((on: boolean) => void)} [given.actions.sound]
 * @returns {{ render: () => void, announce: (arrived: Message[]) => void }}
 */
export function createView({ store, words, languages, actions }) {
  const ui = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
  const { state } = store;
  const dates = createDates(words, languages, Date.now);
  const touch = matchMedia("(pointer: coarse) and (hover: none)");
  // Neither screen, so far.
  let firstShown;
  let shownPeer = "";
  // The composer is not there before the next rendering.
  let focusComposer = false;
  const list = createList({ list: ui.list, words, dates, open: choose });
  const log = createLog({
    log: ui.log, button: ui.below, words, dates, seen: store.seen, loadEarlier: store.loadEarlier,
    retry: thenFocus(store.retry, ui.message),
  });
  const ask = createAsk(ui);

  document.documentElement.lang = words.language;
  fillWords(words);
  onSubmit(ui.joinForm, () => store.join(ui.ownId.value));
  onSubmit(ui.openForm, () => open(ui.chatWith.value));
  onSubmit(ui.composer, thenFocus(store.write, ui.message));
  onClick(ui.dismiss, store.dismiss);
  onClick(ui.back, store.back);
  onClick(ui.below, thenFocus(log.toEnd, ui.message));
  onClick(ui.accept, store.accept);
  onClick(ui.block, () => store.block(true));
  onClick(ui.unblock, () => store.block(false));
  onClick(ui.useHere, actions.useHere);
  onClick(ui.anotherHere, store.leave);
  bindComposer();
  bindAbout();
  bindSettings();
  bindLink();
  ui.conversation.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !isComposing(event)) store.back();
  });

  function bindComposer() {
    ui.message.addEventListener("input", () => store.draft(ui.message.value));
    ui.message.addEventListener("keydown", (event) => {
      // Enter breaks the line with Shift, and ends a word in an input method. Typing with thumbs, it is the only way to a
      // new line, and the button is near.
      if (event.key !== "Enter" || event.shiftKey || touch.matches || isComposing(event)) return;
      event.preventDefault();
      store.write();
    });
  }

  function bindAbout() {
    onClick(ui.more, () => ui.about.showModal());
    onClick(ui.clear, () => {
      ui.about.close();
      ask(words.clearAsk(state.openPeer), words.clear, thenFocus(store.clear, ui.message));
    });
    onClick(ui.aboutBlock, () => {
      ui.about.close();
      store.block(!store.current().blocked);
    });
  }

  function bindSettings() {
    onClick(ui.openSettings, () => ui.settings.showModal());
    onClick(ui.another, () => {
      ui.settings.close();
      store.leave();
    });
    onClick(ui.forget, () => {
      ui.settings.close();
      ask(words.forgetAsk(state.id), words.forget, actions.forget);
    });
    const set = (name) => (on) => store.changeSetting(name, on);
    bindSwitch("read", set("read"));
    bindSwitch("typing", set("typing"));
    bindSwitch("notify", actions.notify);
    bindSwitch("notifyText", actions.notify && set("notifyText"));
    bindSwitch("sound", actions.sound);
  }

  /** @param {string} name @param {((on: boolean) => void)} [turn] */
  function bindSwitch(name, turn) {
    ui[name].closest("label").hidden = !turn;
    ui[name].addEventListener("change", () => turn(ui[name].checked));
  }

  function bindLink() {
    ui.copyLink.hidden = !actions.copyLink;
    ui.share.hidden = !actions.share;
    onClick(ui.copyLink, async () => {
      await actions.copyLink();
      say(words.copied);
      // Shown for a while, as it happens seldom and says itself.
      ui.copyLink.dataset.tip = words.copied;
      setTimeout(() => delete ui.copyLink.dataset.tip, 2000);
    });
    onClick(ui.share, () => actions.share());
  }

  /** @param {string} peer */
  function open(peer) {
    // What was refused stays to be edited.
    if (!store.open(peer)) return;
    ui.chatWith.value = "";
    focusComposer = true;
  }

  /** @param {string} peer */
  function choose(peer) {
    store.choose(peer);
    focusComposer = true;
  }

  function render() {
    const focused = document.activeElement;
    const conversations = [...state.conversations.values()].reverse();
    const current = store.current();
    ui.notice.hidden = !state.alert;
    setText(ui.alert, state.alert ? reasonText(words, state.alert) : "");
    setText(ui.me, state.id);
    setText(ui.status, statusText(words, state), statusLook(state));
    setText(ui.doorStatus, doorText(words, state));
    list.render(conversations, current);
    ui.nobody.hidden = conversations.length > 0;
    renderSettings();
    renderScreen();
    renderConversation(state.connection === "replaced" ? undefined : current);
    takeFocus(focused);
  }

  function renderScreen() {
    const first = state.connection === "none" || state.connection === "joining";
    const elsewhere = state.connection === "replaced";
    ui.elsewhere.hidden = !elsewhere;
    setText(ui.elsewhereText, words.elsewhereMore(state.id));
    ui.chat.classList.toggle("away", elsewhere);
    if (first === firstShown) return;
    firstShown = first;
    ui.door.hidden = !first;
    ui.chat.hidden = first;
    // A refused id is there to be edited.
    ui.ownId.value = state.id;
    goOn();
  }

  /** @param {Conversation} [conversation] */
  function renderConversation(conversation) {
    ui.conversation.hidden = !conversation;
    ui.nothing.hidden = Boolean(conversation);
    // Where there is no room for both, the list gives way.
    ui.chat.classList.toggle("conversing", Boolean(conversation));
    if (conversation) renderAround(conversation);
    log.render(conversation);
  }

  /** What stands around the messages. @param {Conversation} conversation */
  function renderAround(conversation) {
    const { peer, typing, presence, accepted, blocked, messages, draft } = conversation;
    setText(ui.peer, peer);
    setText(ui.aboutPeer, peer);
    setText(ui.presence, typing ? words.typing : (words[presence] ?? ""), typing ? "typing" : presence);
    setText(ui.strangerText, words.stranger(peer));
    setText(ui.blockedText, words.blocked(peer));
    setText(ui.aboutBlock, blocked ? words.unblock : words.block);
    ui.stranger.hidden = accepted || blocked || !messages.length;
    ui.blocked.hidden = !blocked;
    ui.composer.hidden = blocked;
    // Even the same text, set again, would move the cursor.
    if (ui.message.value !== draft) ui.message.value = draft;
    growComposer();
    const left = draft ? store.bytesLeft() : BYTES_LEFT_SHOWN;
    setText(ui.counter, counterText(left), left < 0 ? "over" : "");
  }

  function counterText(left) {
    if (left >= BYTES_LEFT_SHOWN) return "";
    return left < 0 ? words.bytesOver(-left) : words.bytesLeft(left);
  }

  /** For browsers whose fields do not grow by themselves. */
  function growComposer() {
    if (CSS.supports("field-sizing", "content")) return;
    ui.message.style.height = "auto";
    ui.message.style.height = `${ui.message.scrollHeight + 2}px`;
  }

  function renderSettings() {
    for (const name of ["read", "typing", "notify", "notifyText", "sound"]) ui[name].checked = state.settings[name];
    ui.notifyText.disabled = !state.settings.notify;
    setText(ui.keptText, state.kept ? words.keptHere : words.reasons.unkept());
  }

  /** The focus follows what the reader does, and is never lost with what had it. @param {Element} focused until now */
  function takeFocus(focused) {
    const isLost = focused !== document.body && !isShown(focused);
    const left = state.openPeer ? "" : shownPeer;
    if (isLost && left && state.conversations.has(left)) list.focus(left);
    else if (focusComposer || isLost) goOn();
    focusComposer = false;
    shownPeer = state.openPeer;
  }

  /** To where one goes on, whatever is shown. On a phone the field would bring up the keyboard over the messages. */
  function goOn() {
    const choice = touch.matches ? [ui.log, ui.useHere, ui.openSettings, ui.ownId] : [ui.message, ui.unblock, ui.useHere, ui.chatWith, ui.ownId];
    choice.find(isShown)?.focus();
  }

  /** One voice for what comes; history and ticks are not read out. @param {Message[]} arrived */
  function announce(arrived) {
    const texts = arrived.map(({ peer, body }) => peer === state.openPeer
      ? words.announce(peer, lineOf(body, words.unsupported)) : words.announceElsewhere(peer));
    // Of many the last ones: nobody listens to a hundred.
    if (texts.length) say([...new Set(texts)].slice(-ANNOUNCED_MAX).join("\n"));
  }

  /** @param {string} text */
  function say(text) {
    // Added, not exchanged, or the same words twice would be read once.
    ui.said.replaceChildren(make("p", "", text));
  }

  return { render, announce };
}

/**
 * The conversations, a button each. It stays as long as the conversation, or it might go away under a finger.
 * @param {object} given
 * @param {HTMLElement} given.list @param {Words} given.words @param {import("./dates.js").Dates} given.dates
 * @param {(peer: string) => void} given.open
 */
function createList({ list, words, dates, open }) {
  /** @type {Map<string, Record<string, HTMLElement>>} */
  const items = new Map();

  /** @param {string} peer */
  function createItem(peer) {
    const [avatar, time, presence, line, unread] =
      ["avatar", "time", "presence", "line", "unread"].map((className) => make("span", className));
    avatar.setAttribute("aria-hidden", "true");
    avatar.textContent = initialOf(peer);
    avatar.style.setProperty("--hue", String(hueOf(peer)));
    // The spaces are for the name that the button is read out by.
    const name = make("bdi", "peer", peer);
    const button = make("button", "", name, " ", avatar, presence, " ", line, " ", time, " ", unread);
    onClick(button, () => open(peer));
    const item = { item: make("li", "", button), button, time, presence, line, unread };
    items.set(peer, item);
    return item;
  }

  /** @param {Conversation[]} conversations in their order @param {Conversation} [current] */
  function render(conversations, current) {
    const focused = document.activeElement;
    conversations.forEach((conversation, index) => {
      const parts = items.get(conversation.peer) ?? createItem(conversation.peer);
      renderItem(parts, conversation, conversation === current);
      if (list.children[index] !== parts.item) list.insertBefore(parts.item, list.children[index] ?? null);
    });
    // Whoever has no conversation any more is behind all who have one.
    while (list.children.length > conversations.length) list.lastChild.remove();
    if (items.size > conversations.length) {
      for (const [peer, { item }] of items) if (!item.isConnected) items.delete(peer);
    }
    // An element that moves loses the focus.
    if (focused !== document.activeElement) focused.focus();
  }

  function renderItem({ button, time, presence, line, unread }, conversation, isCurrent) {
    const last = conversation.messages.at(-1);
    button.setAttribute("aria-current", String(isCurrent));
    setText(presence, words[conversation.presence] ?? "", conversation.presence);
    setText(time, last ? dates.brief(last.at) : "");
    setText(line, lineText(conversation, last, isCurrent), conversation.typing ? "typing" : "");
    setText(unread, conversation.unread ? words.unread(conversation.unread) : "");
  }

  function lineText({ typing, draft, accepted, blocked, messages }, last, isCurrent) {
    if (typing) return words.typing;
    if (draft && !isCurrent) return `${words.draft} ${lineOf(draft, "")}`;
    if (!accepted && !blocked && messages.length) return words.request;
    if (!last) return "";
    const text = lineOf(last.body, words.unsupported);
    return last.mine ? `${words.you} ${text}` : text;
  }

  return { render, focus: (peer) => items.get(peer)?.button.focus() };
}

/** A question before something that cannot be undone. */
function createAsk({ ask, question, yes }) {
  let answer = () => {};
  ask.addEventListener("close", () => {
    if (ask.returnValue === "yes") answer();
  });

  return (text, action, then) => {
    question.textContent = text;
    yes.textContent = action;
    answer = then;
    // The last answer would stay when this one is ended by Escape.
    ask.returnValue = "";
    ask.showModal();
  };
}

/** @param {Words} words */
function fillWords(words) {
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = words[element.dataset.text];
  for (const element of document.querySelectorAll("[data-hint]")) element.placeholder = words[element.dataset.hint];
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", words[element.dataset.label]);
    if (element.matches("button")) element.title = words[element.dataset.label];
  }
}

/** @param {Words} words @param {Store["state"]} state */
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

/** @param {Store["state"]} state */
function statusLook({ connection, quiet }) {
  return connection === "lost" && quiet ? "joined" : connection;
}

/** @param {Words} words @param {Store["state"]} state */
function doorText(words, { connection, online, outage }) {
  if (connection !== "joining") return "";
  if (!online) return words.offline;
  return outage ? words.reconnecting[outage] : words.connecting;
}

/** @param {Element} element */
function isShown(element) {
  return element.getClientRects().length > 0;
}

/** @param {KeyboardEvent} event */
function isComposing(event) {
  return event.isComposing || event.keyCode === KEY_CODE_COMPOSING;
}

/** A gesture after which the focus goes to this element. */
function thenFocus(gesture, element) {
  return (...given) => {
    gesture(...given);
    element.focus();
  };
}
