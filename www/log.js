/**
 * The messages of the open conversation. At their end it follows what comes; elsewhere it stays exactly where the
 * reader is, and a button tells what came.
 *
 * Invariant: the rows are those of a run of messages without a gap, at most `ROWS_MAX`. It grows at either end as the
 * reader comes near, and is shortened at the other, so a long conversation is as smooth as a short one.
 *
 * Not known here: the rest of the page.
 */

import { make, onClick, setText } from "./dom.js";
import { isEmojiOnly, isSameDay, isSameMinute, partsOf } from "./text.js";
import { reasonText } from "./words.js";

/** @typedef {import("./store.js").Conversation} Conversation */
/** @typedef {import("./store.js").Message} Message */
/** @typedef {{ element: HTMLElement, note: HTMLElement, message: Message, shown: string }} Row */

/** So many rows are added at once; */
const ROWS_STEP = 60;

/** and more than these are not laid out at each scroll, on an old phone. */
const ROWS_MAX = 300;

/** Browsers round positions on a zoomed page: nearer to the end than this is at the end. */
const END_PX = 4;

/** From here on more rows are fetched: as far as one flick of a thumb. */
const NEAR_PX = 1200;

/**
 * @param {object} given
 * @param {HTMLElement} given.log @param {HTMLElement} given.button
 * @param {import("./words.js").Words} given.words
 * @param {import("./dates.js").Dates} given.dates
 * @param {(message: Message) => void} given.retry
 * @param {(message: Message) => void} given.seen what stands up to this message has been in view
 * @param {() => void} given.loadEarlier
 */
export function createLog({ log, button, words, dates, retry, seen, loadEarlier }) {
  /** @type {Row[]} */
  let rows = [];
  /** @type {Conversation | undefined} */
  let conversation;
  // Where the reader was before the log changed its own size: then it is too late to look.
  let following = true;
  let lastTop = 0;
  let linksWork = false;
  let newAfter;

  log.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(() => following && toEnd()).observe(log);

  /** @param {Conversation} [next] */
  function render(next) {
    // What is being fetched for the first look is waited for: it says where to begin.
    if (next !== conversation || conversation?.accepted !== linksWork) reset(next?.loading ? undefined : next);
    if (!conversation) return;
    const { messages } = conversation;
    dropForgotten(messages);
    const isNew = rows.length === 0;
    const isOwn = messages.at(-1)?.mine && messages.at(-1).place > (rows.at(-1)?.message.place ?? 0);
    const follow = isOwn || stillFollowing();
    if (isNew) begin(messages);
    else if (follow) grow(messages);
    if (newAfter !== conversation.newAfter) moveNew(messages);
    renderNotes();
    if (isNew) toNew();
    else if (follow) toEnd();
    look();
  }

  /** @param {Conversation} [next] */
  function reset(next) {
    conversation = next;
    linksWork = Boolean(next?.accepted);
    rows = [];
    log.replaceChildren();
  }

  /** Messages may have been cleared, or be too many to remember. @param {Message[]} messages */
  function dropForgotten(messages) {
    const first = messages[0]?.place ?? Infinity;
    while (rows.length && rows[0].message.place < first) dropRow(rows.shift());
  }

  /** The reader has answered what was new, or looked away. @param {Message[]} messages */
  function moveNew(messages) {
    newAfter = conversation.newAfter;
    const first = messages.indexOf(rows[0]?.message);
    rows.forEach((row, index) => head(row, messages[first + index - 1]));
  }

  /** The first rows: from before what is new, else the last ones. @param {Message[]} messages */
  function begin(messages) {
    newAfter = conversation.newAfter;
    const fresh = newAfter === undefined ? -1 : messages.findIndex(({ place }) => place > newAfter);
    const end = fresh < 0 ? messages.length : Math.min(messages.length, fresh + ROWS_STEP);
    insert(messages, Math.max(0, (fresh < 0 ? end : fresh) - ROWS_STEP), end);
  }

  /** The reader is at the end, and the end moves. @param {Message[]} messages */
  function grow(messages) {
    const from = indexAfterRows(messages);
    // Of a flood only the last part is laid out.
    if (messages.length - from > ROWS_MAX) {
      reset(conversation);
      insert(messages, messages.length - ROWS_STEP, messages.length);
    } else {
      insert(messages, from, messages.length);
      while (rows.length > ROWS_MAX) dropRow(rows.shift());
    }
  }

  /** More rows where the reader comes near an end of them. Whether there were any. */
  function growAround() {
    const { messages } = conversation;
    const first = messages.indexOf(rows[0]?.message);
    const next = indexAfterRows(messages);
    if (log.scrollTop < NEAR_PX && first > 0) {
      holdingPlace(() => {
        insert(messages, Math.max(0, first - ROWS_STEP), first);
        while (rows.length > ROWS_MAX) dropRow(rows.pop());
      });
      return true;
    }
    if (belowPx() < NEAR_PX && next < messages.length) {
      holdingPlace(() => {
        insert(messages, next, Math.min(messages.length, next + ROWS_STEP));
        while (rows.length > ROWS_MAX) dropRow(rows.shift());
      });
      return true;
    }
    if (log.scrollTop < NEAR_PX && conversation.earlier) loadEarlier();
    return false;
  }

  /** @param {Message[]} messages */
  function indexAfterRows(messages) {
    return messages.lastIndexOf(rows.at(-1)?.message) + 1;
  }

  /** Rows for these messages, in front of all others or behind them. @param {Message[]} messages */
  function insert(messages, from, to) {
    if (from >= to) return;
    const before = rows[0];
    const inFront = before && messages[to] === before.message;
    const made = [];
    for (let index = from; index < to; index += 1) made.push(createRow(messages[index], messages[index - 1]));
    const elements = made.map(({ element }) => element);
    if (inFront) {
      log.prepend(...elements);
      // Its neighbour was not known before.
      head(before, messages[to - 1]);
      rows = [...made, ...rows];
    } else {
      log.append(...elements);
      rows.push(...made);
    }
  }

  /** @param {Row} row */
  function dropRow(row) {
    row.element.remove();
  }

  /** @param {Message} message @param {Message} [previous] @returns {Row} */
  function createRow(message, previous) {
    const { mine, peer } = message;
    const note = make("p", "note");
    const bubble = make("div", "bubble", make("bdi", "unseen", mine ? words.own : peer), " ", createBody(message), note);
    const element = make("article", mine ? "mine" : "theirs", bubble);
    const row = { element, note, message, shown: "" };
    head(row, previous);
    return row;
  }

  /** What stands between a message and the one before: a day, what is new. @param {Row} row @param {Message} [previous] */
  function head({ element, message }, previous) {
    for (const old of element.querySelectorAll(".day, .new")) old.remove();
    const isFirstNew = newAfter !== undefined && message.place > newAfter && !(previous?.place > newAfter);
    const isNewDay = !previous || !isSameDay(previous.at, message.at);
    const goesOn = !isNewDay && !isFirstNew && previous.mine === message.mine && isSameMinute(previous.at, message.at);
    element.classList.toggle("goes-on", goesOn);
    if (isFirstNew) element.prepend(make("p", "new", words.newHere));
    if (isNewDay) element.prepend(make("p", "day", dates.day(message.at)));
  }

  /** @param {Message} message */
  function createBody({ body, mine }) {
    if (typeof body !== "string") {
      const json = make("pre", "", JSON.stringify(body, null, 1));
      json.dir = "auto";
      return make("details", "body strange", make("summary", "", words.unsupported), json);
    }
    const parts = partsOf(body).map(({ text, href }) => (href && (mine || linksWork) ? createLink(text, href) : text));
    const text = make("p", isEmojiOnly(body) ? "body emoji" : "body", ...parts);
    text.dir = "auto";
    return text;
  }

  function createLink(text, href) {
    const link = make("a", "", text);
    link.href = href;
    link.rel = "noopener noreferrer nofollow";
    link.target = "_blank";
    return link;
  }

  function renderNotes() {
    for (const row of rows) renderNote(row);
  }

  /** The time, what became of the message, and what can be done about it. @param {Row} row */
  function renderNote(row) {
    const { message, note, element } = row;
    const state = message.state === "delivered" && message.place <= conversation.readTo ? "read" : message.state;
    const shown = `${state} ${message.at}`;
    if (row.shown === shown) return;
    row.shown = shown;
    element.dataset.state = state;
    note.replaceChildren(dates.time(message.at), " ");
    const text = stateText(state, message.reason);
    if (text) note.append(make("span", "state", text), " ");
    if (state !== "failed" && state !== "doubtful") return;
    const again = make("button", "quiet", words.retry);
    onClick(again, () => retry(message));
    note.append(again);
  }

  function stateText(state, reason) {
    const text = words.states[state];
    return typeof text === "string" ? text : text(reasonText(words, reason));
  }

  /** The first row in view stays where it is. Not every browser does so by itself. @param {() => void} change */
  function holdingPlace(change) {
    const edge = log.getBoundingClientRect().top;
    const row = rows.find(({ element }) => element.lastChild.getBoundingClientRect().bottom > edge) ?? rows[0];
    const top = () => row.element.lastChild.getBoundingClientRect().top;
    const before = top();
    change();
    log.scrollTop += top() - before;
  }

  /** To where the new messages begin, if they do not all fit, else to the end. */
  function toNew() {
    toEnd();
    const divider = log.querySelector(".new");
    const top = divider?.getBoundingClientRect().top - log.getBoundingClientRect().top;
    if (divider && top < 0) log.scrollTop += top - END_PX;
  }

  /** To the last message, whether it has a row or not. */
  function toEnd() {
    const { messages } = conversation ?? { messages: [] };
    if (rows.length && indexAfterRows(messages) < messages.length) {
      reset(conversation);
      insert(messages, Math.max(0, messages.length - ROWS_STEP), messages.length);
      renderNotes();
    }
    log.scrollTop = log.scrollHeight;
    following = true;
    lastTop = log.scrollTop;
  }

  function look() {
    if (!conversation || !rows.length || !log.clientHeight) return;
    while (growAround()) renderNotes();
    following = atEnd();
    lastTop = log.scrollTop;
    const edge = log.getBoundingClientRect().bottom;
    const last = rows.findLast(({ element }) => element.lastChild.getBoundingClientRect().top < edge);
    if (last) seen(last.message);
    const { unread } = conversation;
    button.hidden = following || !unread;
    setText(button, unread ? words.newMessages(unread) : "");
  }

  /** The reader may have moved away a moment ago, and the browser not yet told. */
  function stillFollowing() {
    return following && (belowPx() < END_PX || log.scrollTop >= lastTop);
  }

  function atEnd() {
    return belowPx() < END_PX && rows.at(-1)?.message === conversation?.messages.at(-1);
  }

  function belowPx() {
    return log.scrollHeight - log.scrollTop - log.clientHeight;
  }

  return { render, toEnd };
}
