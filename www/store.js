/**
 * All that the page knows. Each change is one function, called for a gesture or for what the socket reports, and ends
 * in one notice, `changed`.
 *
 * Invariants: a message of ours is "sending" exactly while it is in `unanswered` (the server may have taken it) or in
 * `waiting` (it has not), and goes from the one to the other in the order in which it was written. No message is shown
 * twice: its mid is in `known`. As long as we are "joined", all peers in the list are watched.
 *
 * Not known here: the DOM, the socket, the storage, the clock. What is needed of them comes in as functions.
 */

/**
 * @typedef {"none" | "joining" | "joined" | "lost" | "replaced"} Connection
 *   "lost": we had the id, and want it back; "replaced": it is in another tab until the reader says otherwise
 * @typedef {"received" | "sending" | "sent" | "delivered" | "doubtful" | "failed"} MessageState
 *   "doubtful": it was sent, and the server has forgotten what became of it
 * @typedef {{ peer: string, mine: boolean, body: unknown, at: number, state: MessageState, reason?: string,
 *   ref?: string, mid?: string }} Message
 *   `body` may be any JSON value, for strangers choose it; `reason` is why it failed; only ours have a `ref`, and a
 *   `mid` from when it was sent
 * @typedef {{ peer: string, messages: Message[], unread: number, presence: string, draft: string }} Conversation
 *   `presence` is empty until the server tells it
 */

/** Beyond this the oldest are forgotten, so that a page left open for weeks stays light. */
export const MESSAGES_MAX = 2000;

/** As many as one connection may watch. */
export const CONVERSATIONS_MAX = 256;

/** So many sends the server remembers: to know them again when they are repeated, and to tell what became of them. */
export const SENDS_MAX = 128;

/**
 * So many mids of messages to us are known again, the last ones. What the server sends again is what it holds because
 * our `ack` of it was lost; then all later ones were lost, too. So a message whose mid is forgotten comes again only if
 * so many newer ones are held for us: 11 MiB by the server's count of 176 bytes or more each, and its `--held` is
 * 512 KiB.
 */
export const KNOWN_MAX = 65536;

/** Ids or mids in one line. */
const LIST_MAX = 256;

/** No id or mid is longer in JSON, with its quotes and comma. */
const LIST_ITEM_BYTES = 67;

/** No line with a list is longer, but for what is in the list. */
const LIST_LINE_BYTES = 128;

const ID_BYTES_MAX = 64;

/** The protocol's syntax, but for the length. */
const ID = /^(?!\p{M})(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{N}._@+-])+$/u;

/** The id was joined elsewhere with our key. */
const CLOSE_REPLACED = 4001;

/** Such a message is not repeated unasked: the server would not know its ref again, and it might be shown twice. */
const REASON_FORGOTTEN = "the server lost track of it; it may or may not have arrived";

const ALERT_FORGOTTEN =
  "The server was restarted, or you were away too long: messages that do not say Delivered may be lost";

/**
 * @param {object} outside
 * @param {string} outside.key the secret that shows an id to be ours
 * @param {string} [outside.id] the one used last, to be offered
 * @param {(line: object) => void} outside.say gives a line to the socket
 * @param {() => void} outside.changed
 * @param {() => string} outside.newRef random, never the same twice
 * @param {() => number} outside.now milliseconds since 1970
 */
export function createStore({ key, id: lastId = "", say, changed, newRef, now }) {
  const state = {
    /** @type {Connection} */
    connection: "none",
    /** Stays when it is refused, to be edited. */
    id: lastId,
    /** A sentence that wants attention. */
    alert: "",
    openPeer: "",
    /** @type {Map<string, Conversation>} by peer, the longest quiet first */
    conversations: new Map(),
    /** What the browser thinks of its network. */
    online: true,
    /** What comes while nobody can see the page is unread. */
    visible: true,
  };
  /** Said, by ref. @type {Map<string, Message>} */
  const unanswered = new Map();
  /** Not said yet. @type {Message[]} */
  const waiting = [];
  /** What was told of mids that may be those of unanswered ones. @type {Map<string, { peer: string, fate: object }>} */
  const early = new Map();
  /** Mids of messages to us. @type {Map<string, true>} */
  const known = new Map();
  /** Those that came with the present text, by sender. @type {Map<string, string[]>} */
  const arrived = new Map();
  // The server's default, until it tells.
  let messageBytesMax = 65536;

  /** @param {string} text */
  function join(text) {
    const id = normalId(text);
    if (state.connection !== "none" || !id) return;
    // After a refusal the same id finds its conversations again; another one must not.
    if (id !== state.id) forget();
    Object.assign(state, { id, alert: "", connection: "joining" });
    changed();
  }

  /** Takes up the id of an earlier visit, or of another tab. @param {string} id */
  function resume(id) {
    Object.assign(state, { id, connection: "lost" });
    changed();
  }

  function leave() {
    if (state.connection === "joined") say({ type: "leave" });
    forget();
    Object.assign(state, { id: "", alert: "", connection: "none" });
    changed();
  }

  /** Opens a conversation, if there can be one. @param {string} text */
  function open(text) {
    const peer = normalId(text);
    // The server refuses a whole `watch` for one bad id, so none may get into the list.
    if (isId(peer)) {
      conversationWith(peer).unread = 0;
      Object.assign(state, { openPeer: peer, alert: "" });
    } else {
      state.alert = `“${peer}” is no ID: letters, digits and . _ - @ + make one, at most ${ID_BYTES_MAX} bytes`;
    }
    changed();
  }

  function back() {
    state.openPeer = "";
    changed();
  }

  /** What is in the composer belongs to one peer, or it might go to another. @param {string} text */
  function draft(text) {
    current().draft = text;
    changed();
  }

  /** Sends the draft of the open conversation. */
  function write() {
    const { peer, draft } = current();
    if (!draft.trim()) return;
    /** @type {Message} */
    const message = { peer, mine: true, body: draft, at: now(), state: "sending", ref: newRef() };
    const reason = tooLong(message);
    if (reason) {
      state.alert = `This message is ${reason}`;
    } else {
      state.alert = "";
      current().draft = "";
      append(message);
      send(message);
    }
    changed();
  }

  /** @param {Message} message one that failed, or may be lost */
  function retry(message) {
    Object.assign(message, { state: "sending", ref: newRef() });
    send(message);
    changed();
  }

  function dismiss() {
    state.alert = "";
    changed();
  }

  /** @param {boolean} visible */
  function look(visible) {
    state.visible = visible;
    if (visible && current()) current().unread = 0;
    changed();
  }

  /** @param {boolean} online */
  function network(online) {
    state.online = online;
    changed();
  }

  function opened() {
    say({ type: "join", id: state.id, key });
  }

  /** However many lines came together, they are one notice. @param {any[]} lines */
  function received(lines) {
    lines.forEach(apply);
    acknowledge();
    changed();
  }

  /** @param {number} code */
  function closed(code) {
    for (const conversation of state.conversations.values()) conversation.presence = "";
    state.connection = code === CLOSE_REPLACED ? "replaced" : "lost";
    changed();
  }

  /** One line from the server. Types that are not here belong to versions to come. */
  function apply(line) {
    switch (line.type) {
      case "joined": return joined(line);
      case "message": return arrive(line);
      case "sent": return sent(line);
      case "delivered": return become(line.from, line.mids, { state: "delivered" });
      case "expired": return become(line.to, line.mids, { state: "failed", reason: expiredReason(line) });
      case "presence": return presence(line);
      case "error": return refused(line);
    }
  }

  function joined({ resumed, max_message }) {
    state.connection = "joined";
    messageBytesMax = max_message;
    if (!resumed) doubt();
    sayList({ type: "watch" }, "ids", [...state.conversations.keys()]);
    for (const message of unanswered.values()) say(sendLine(message));
    sayWaiting();
  }

  /** Forgotten by the server, messages that are not delivered may be lost. On a first join there are none. */
  function doubt() {
    const messages = [...state.conversations.values()].flatMap((conversation) => conversation.messages);
    const sent = messages.filter((message) => message.state === "sent");
    if (sent.length || unanswered.size) state.alert = ALERT_FORGOTTEN;
    for (const message of sent) message.state = "doubtful";
    for (const message of unanswered.values()) Object.assign(message, { state: "failed", reason: REASON_FORGOTTEN });
    unanswered.clear();
  }

  /** A message to us. One that is known comes again because the server did not hear that it has arrived. */
  function arrive({ from, body, mid, at }) {
    if (!known.has(mid)) append({ peer: from, mine: false, body, at, state: "received" });
    putLast(known, mid, true, KNOWN_MAX);
    if (!arrived.has(from)) arrived.set(from, []);
    arrived.get(from).push(mid);
  }

  /** What came with one text is acknowledged together. */
  function acknowledge() {
    for (const [to, mids] of arrived) sayList({ type: "ack", to }, "mids", mids);
    arrived.clear();
  }

  function sent({ ref, mid, at }) {
    const told = early.get(mid);
    settle(ref, { state: "sent", mid, at });
    if (told) become(told.peer, [mid], told.fate);
  }

  /**
   * What became of messages to `peer`. It may be told again, and before `sent`: behind `joined`, where a send was taken
   * just before the connection broke. Peers may make mids up; only those of messages to them count.
   * @param {string} peer @param {string[]} mids @param {Partial<Message>} fate
   */
  function become(peer, mids, fate) {
    const told = new Set(mids);
    for (const message of state.conversations.get(peer)?.messages ?? []) {
      const open = message.state === "sent" || message.state === "doubtful";
      if (told.delete(message.mid) && open) Object.assign(message, fate);
    }
    if (![...unanswered.values()].some((message) => message.peer === peer)) return;
    for (const mid of told) putLast(early, mid, { peer, fate }, SENDS_MAX);
  }

  function presence({ id, online }) {
    const conversation = state.conversations.get(id);
    if (conversation) conversation.presence = online ? "online" : "away";
  }

  function refused({ ref, text }) {
    if (unanswered.has(ref)) return settle(ref, { state: "failed", reason: text });
    state.alert = text;
    // Nothing but `join` is said before `joined`.
    if (state.connection !== "joined") state.connection = "none";
  }

  /** Whether there should be a connection. */
  function wanted() {
    return state.connection !== "none" && state.connection !== "replaced";
  }

  /** The open conversation. */
  function current() {
    return state.conversations.get(state.openPeer);
  }

  /** Leaves nothing behind for another id. */
  function forget() {
    for (const map of [state.conversations, unanswered, early, known]) map.clear();
    waiting.length = 0;
    state.openPeer = "";
  }

  /** @param {Message} message */
  function send(message) {
    waiting.push(message);
    sayWaiting();
  }

  /** Says what waits, as far as it may be said. */
  function sayWaiting() {
    while (state.connection === "joined" && waiting.length && unanswered.size < SENDS_MAX) {
      const message = waiting.shift();
      // Written before the server told how much it takes. Said, it would end every connection anew.
      const reason = tooLong(message);
      if (reason) {
        Object.assign(message, { state: "failed", reason });
      } else {
        unanswered.set(message.ref, message);
        say(sendLine(message));
      }
    }
  }

  /** Why the server would not take it; nothing, if it would. @param {Message} message */
  function tooLong(message) {
    const bytes = byteLength(JSON.stringify(sendLine(message)));
    return bytes > messageBytesMax ? `too long: ${bytes} bytes, where the server takes ${messageBytesMax}` : "";
  }

  /** A send was answered, and there is room for another. @param {string} ref @param {Partial<Message>} outcome */
  function settle(ref, outcome) {
    Object.assign(unanswered.get(ref) ?? {}, outcome);
    unanswered.delete(ref);
    if (!unanswered.size) early.clear();
    sayWaiting();
  }

  /** Says a line for all these values, in as many parts as the server's limits ask for. */
  function sayList(line, name, values) {
    const fitting = Math.floor((messageBytesMax - LIST_LINE_BYTES) / LIST_ITEM_BYTES);
    const count = Math.max(1, Math.min(LIST_MAX, fitting));
    for (let from = 0; from < values.length; from += count) {
      say({ ...line, [name]: values.slice(from, from + count) });
    }
  }

  /** @param {Message} message */
  function append(message) {
    const { peer, mine } = message;
    const conversation = conversationWith(peer);
    conversation.messages.push(message);
    if (conversation.messages.length > MESSAGES_MAX) conversation.messages.shift();
    if (!mine && !(peer === state.openPeer && state.visible)) conversation.unread += 1;
    // A map has its keys in the order in which they were put in.
    state.conversations.delete(peer);
    state.conversations.set(peer, conversation);
  }

  /** @param {string} peer */
  function conversationWith(peer) {
    const known = state.conversations.get(peer);
    if (known) return known;
    if (state.conversations.size === CONVERSATIONS_MAX) dropQuietest();
    const conversation = { peer, messages: [], unread: 0, presence: "", draft: "" };
    state.conversations.set(peer, conversation);
    if (state.connection === "joined") say({ type: "watch", ids: [peer] });
    return conversation;
  }

  /** Strangers make room for strangers: they cannot push out somebody to whom we have written. */
  function dropQuietest() {
    const peers = [...state.conversations.keys()].filter((peer) => peer !== state.openPeer);
    const strange = (peer) => !state.conversations.get(peer).messages.some(({ mine }) => mine);
    const peer = peers.find(strange) ?? peers[0];
    state.conversations.delete(peer);
    if (state.connection === "joined") say({ type: "unwatch", ids: [peer] });
  }

  return {
    state, wanted, current,
    join, resume, leave, open, back, draft, write, retry, dismiss, look, network,
    opened, received, closed,
  };
}

/** The server compares bytes, so the same id has to be the same bytes. @param {string} text */
export function normalId(text) {
  return text.trim().normalize("NFC");
}

/** @param {string} id */
export function isId(id) {
  return ID.test(id) && byteLength(id) <= ID_BYTES_MAX;
}

/** @param {Message} message */
function sendLine({ peer, body, ref }) {
  return { type: "send", to: peer, body, ref };
}

function expiredReason({ to }) {
  return `${to} left, or did not come back in time`;
}

/** Beyond `max` the key that was put longest ago is forgotten. @param {Map<string, any>} map */
function putLast(map, key, value, max) {
  map.delete(key);
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value);
}

/** @param {string} text */
function byteLength(text) {
  return new TextEncoder().encode(text).length;
}
