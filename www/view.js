/**
 * The DOM: shows the store, and hands on what the reader does.
 *
 * Invariants: nothing is read back from the DOM but what only it knows, the fields and how far the reader has
 * scrolled. What people wrote becomes text nodes. The log of the open conversation only grows (and is shortened at its
 * far end): built anew, a screen reader would read it all again.
 *
 * Not known here: the socket, and what goes over it.
 */

/** @typedef {ReturnType<typeof import("./store.js").createStore>} Store */
/** @typedef {import("./store.js").Conversation} Conversation */
/** @typedef {import("./store.js").Message} Message */

/** Browsers round positions on a zoomed page: nearer to the end than this is at the end. */
const END_PX = 4;

/** A key that an input method is still working with, in browsers that do not say `isComposing` there. */
const KEY_CODE_COMPOSING = 229;

/** @param {Store} store @returns {() => void} what shows it */
export function createView(store) {
  const ui = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
  const { state } = store;
  // Neither screen, so far.
  let firstShown;
  const list = createList(ui.list, open);
  const log = createLog(ui.log, ui.below, thenFocus(store.retry, ui.message));

  onSubmit(ui.joinForm, () => store.join(ui.ownId.value));
  onSubmit(ui.openForm, () => open(ui.chatWith.value));
  onSubmit(ui.composer, thenFocus(store.write, ui.message));
  onClick(ui.dismiss, store.dismiss);
  onClick(ui.useHere, () => store.resume(state.id));
  onClick(ui.leave, store.leave);
  onClick(ui.back, back);
  onClick(ui.below, thenFocus(log.toEnd, ui.message));
  ui.message.addEventListener("input", () => store.draft(ui.message.value));
  ui.message.addEventListener("keydown", (event) => {
    // Enter breaks the line with Shift, and ends a word in an input method.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === KEY_CODE_COMPOSING) return;
    event.preventDefault();
    store.write();
  });

  /** @param {string} peer */
  function open(peer) {
    store.open(peer);
    // What was refused stays to be edited.
    if (state.alert) return;
    ui.chatWith.value = "";
    ui.message.focus();
  }

  function back() {
    const { openPeer } = state;
    store.back();
    list.focus(openPeer);
  }

  return () => {
    const conversations = [...state.conversations.values()].reverse();
    const unread = conversations.reduce((sum, conversation) => sum + conversation.unread, 0);
    document.title = unread ? `(${unread}) sotto` : "sotto";
    ui.notice.hidden = !state.alert;
    setText(ui.alert, state.alert);
    setText(ui.me, state.id);
    setText(ui.status, statusText(state), state.connection);
    ui.useHere.hidden = state.connection !== "replaced";
    list.render(conversations, store.current());
    renderConversation(store.current());
    renderScreen(state.connection === "none" || state.connection === "joining");
  };

  /** @param {Conversation} [conversation] */
  function renderConversation(conversation) {
    ui.conversation.hidden = !conversation;
    ui.nobody.hidden = Boolean(conversation);
    // Where there is no room for both, the list gives way.
    ui.chat.classList.toggle("conversing", Boolean(conversation));
    log.render(conversation);
    if (!conversation) return;
    setText(ui.peer, conversation.peer);
    setText(ui.presence, conversation.presence, conversation.presence);
    // Even the same text, set again, would move the cursor.
    if (ui.message.value !== conversation.draft) ui.message.value = conversation.draft;
  }

  /** @param {boolean} first whether it is the first screen */
  function renderScreen(first) {
    if (first === firstShown) return;
    firstShown = first;
    ui.door.hidden = !first;
    ui.chat.hidden = first;
    // A refused id is there to be edited.
    ui.ownId.value = state.id;
    (first ? ui.ownId : ui.chatWith).focus();
  }
}

/**
 * The conversations, a button each. It stays as long as the conversation, or it might go away under a finger.
 * @param {HTMLElement} list @param {(peer: string) => void} open
 */
function createList(list, open) {
  /** @type {Map<string, HTMLElement[]>} item, button, presence, unread */
  const items = new Map();

  /** @param {string} peer */
  function createItem(peer) {
    const presence = make("span", "presence");
    const unread = make("span", "unread");
    // The spaces are for the name that the button is read out by.
    const button = make("button", "", make("bdi", "peer", peer), " ", presence, " ", unread);
    onClick(button, () => open(peer));
    const item = [make("li", "", button), button, presence, unread];
    items.set(peer, item);
    return item;
  }

  /** @param {Conversation[]} conversations in their order @param {Conversation} [current] */
  function render(conversations, current) {
    const focused = document.activeElement;
    conversations.forEach((conversation, index) => {
      const [item, button, presence, unread] = items.get(conversation.peer) ?? createItem(conversation.peer);
      button.ariaCurrent = String(conversation === current);
      setText(presence, conversation.presence, conversation.presence);
      setText(unread, conversation.unread ? `${conversation.unread} unread` : "");
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    });
    // Whoever has no conversation any more is behind all who have one.
    while (list.children.length > conversations.length) list.lastChild.remove();
    if (items.size > conversations.length) {
      for (const [peer, [item]] of items) if (!item.isConnected) items.delete(peer);
    }
    // An element that moves loses the focus.
    if (focused !== document.activeElement) focused.focus();
  }

  return { render, focus: (peer) => items.get(peer)[1].focus() };
}

/**
 * The messages of one conversation. At its end it follows what comes; elsewhere it stays where the reader is, and the
 * button tells what came.
 * @param {HTMLElement} log @param {HTMLElement} button @param {(message: Message) => void} retry
 */
function createLog(log, button, retry) {
  /** @type {Map<Message, { row: HTMLElement, note: HTMLElement, state: string }>} */
  const rows = new Map();
  let conversation;
  let below = 0;
  // Where the reader was before the log changed its own size: then it is too late to look.
  let following = true;

  log.addEventListener("scroll", look);
  new ResizeObserver(() => following && toEnd()).observe(log);

  /** @param {Conversation} [next] */
  function render(next) {
    const opened = next !== conversation;
    if (opened) {
      conversation = next;
      rows.clear();
      log.replaceChildren();
    }
    if (!conversation) return;
    const follow = opened || atEnd();
    const place = follow ? () => {} : keepPlace();
    const fresh = conversation.messages.filter((message) => !rows.has(message));
    dropUntil(conversation.messages[0]);
    fresh.forEach(append);
    for (const [message, shown] of rows) if (shown.state !== message.state) renderNote(message, shown);
    place();
    if (follow || fresh.some(({ mine }) => mine)) toEnd();
    else renderBelow(below + fresh.length);
  }

  /** The store has forgotten what was before its first message. @param {Message} [first] */
  function dropUntil(first) {
    for (const [message, { row }] of rows) {
      if (message === first) return;
      row.remove();
      rows.delete(message);
    }
  }

  /** @param {Message} message */
  function append(message) {
    const { mine, peer, body } = message;
    const plain = typeof body === "string";
    const text = make("p", plain ? "body" : "body strange", plain ? body : JSON.stringify(body));
    text.dir = "auto";
    const note = make("p", "note");
    const row = make("article", mine ? "mine" : "theirs", make("bdi", "unseen", mine ? "You" : peer), text, note);
    rows.set(message, { row, note, state: "" });
    log.append(row);
  }

  function renderNote(message, shown) {
    shown.state = message.state;
    shown.row.dataset.state = message.state;
    const time = new Date(message.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const strange = typeof message.body === "string" ? "" : "unsupported message";
    const texts = [strange, time, messageStateText(message)].filter(Boolean);
    shown.note.replaceChildren(...texts.map((text) => make("span", "", text, " ")));
    if (message.state !== "failed" && message.state !== "doubtful") return;
    const button = make("button", "", "Retry");
    onClick(button, () => retry(message));
    shown.note.append(button);
  }

  /** Finds the first row in view; the function given back puts it there again. Not every browser does so by itself. */
  function keepPlace() {
    const edge = log.getBoundingClientRect().top;
    const row = [...log.children].find((child) => child.getBoundingClientRect().bottom > edge);
    const top = row.getBoundingClientRect().top;
    return () => { if (row.isConnected) log.scrollTop += row.getBoundingClientRect().top - top; };
  }

  function toEnd() {
    log.scrollTop = log.scrollHeight;
    look();
  }

  function look() {
    following = atEnd();
    if (following) renderBelow(0);
  }

  function atEnd() {
    return log.scrollHeight - log.scrollTop - log.clientHeight < END_PX;
  }

  function renderBelow(count) {
    below = count;
    button.hidden = !count;
    setText(button, count === 1 ? "1 new message" : `${count} new messages`);
  }

  return { render, toEnd };
}

/** @param {Store["state"]} state */
function statusText({ connection, online }) {
  switch (connection) {
    case "joined": return "Connected";
    case "lost": return online ? "Reconnecting…" : "Offline";
    case "replaced": return "Open in another tab";
    default: return "";
  }
}

/** @param {Message} message */
function messageStateText({ state, reason }) {
  switch (state) {
    case "sending": return "Sending";
    case "sent": return "Sent";
    case "delivered": return "Delivered";
    case "doubtful": return "Sent, may be lost";
    case "failed": return `Failed: ${reason}`;
    default: return "";
  }
}

/** Leaves the same text alone, or a screen reader would read it again. `look` is for the style sheet. */
function setText(element, text, look = "") {
  if (element.textContent !== text) element.textContent = text;
  element.dataset.look = look;
}

/** @param {string} tag @param {string} className @param {(Node | string)[]} children where strings become text nodes */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

function onClick(button, gesture) {
  button.addEventListener("click", () => gesture());
}

function onSubmit(form, gesture) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    gesture();
  });
}

/** A gesture after which the focus goes to this element. */
function thenFocus(gesture, element) {
  return (...given) => {
    gesture(...given);
    element.focus();
  };
}
