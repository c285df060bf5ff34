/**
 * All that the page knows. Each change is one function, called for a gesture or for what the socket reports, and ends
 * in one notice, `changed`.
 *
 * Invariants: a message is in `outgoing`, by its ref, exactly while it is "sending"; it has been given to the socket
 * exactly if we are "joined". No message is shown twice: its mid is in `known`. As long as we are "joined", all peers
 * in the list are watched.
 *
 * Not known here: the DOM, the socket, the storage, the clock. What is needed of them comes in as functions.
 */

/**
 * @typedef {"none" | "joining" | "joined" | "lost" | "replaced"} Connection
 *   "lost": we had the id, and want it back; "replaced": it is in another tab until the reader says otherwise
 * @typedef {"received" | "sending" | "sent" | "failed"} MessageState
 * @typedef {{ peer: string, mine: boolean, body: unknown, at: number, state: MessageState, reason?: string }} Message
 *   `body` may be any JSON value, for strangers choose it; `reason` is why it failed
 * @typedef {{ peer: string, messages: Message[], unread: number, presence: string, draft: string }} Conversation
 *   `presence` is empty until the server tells it
 */

/** Beyond this the oldest are forgotten, so that a page left open for weeks stays light. */
export const MESSAGES_MAX = 2000;

/** As many as one connection may watch. */
export const CONVERSATIONS_MAX = 256;

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

/** Such a message is not repeated unasked: this server would not know its ref again, and it might be shown twice. */
const REASON_LOST = "connection lost before the server answered; it may or may not have arrived";

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
  /** @type {Map<string, Message>} */
  const outgoing = new Map();
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
    const ref = newRef();
    /** @type {Message} */
    const message = { peer, mine: true, body: draft, at: now(), state: "sending" };
    const bytes = byteLength(JSON.stringify(sendLine(ref, message)));
    if (bytes > messageBytesMax) {
      state.alert = `This message is too long: ${bytes} bytes, where the server takes ${messageBytesMax}`;
    } else {
      state.alert = "";
      current().draft = "";
      append(message);
      send(ref, message);
    }
    changed();
  }

  /** @param {Message} message one that failed */
  function retry(message) {
    message.state = "sending";
    send(newRef(), message);
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
    // What waited for `joined` goes on waiting.
    if (state.connection === "joined") {
      for (const ref of outgoing.keys()) settle(ref, { state: "failed", reason: REASON_LOST });
    }
    for (const conversation of state.conversations.values()) conversation.presence = "";
    state.connection = code === CLOSE_REPLACED ? "replaced" : "lost";
    changed();
  }

  /** One line from the server. Types that are not here belong to versions to come. */
  function apply(line) {
    switch (line.type) {
      case "joined": return joined(line);
      case "message": return arrive(line);
      case "sent": return settle(line.ref, { state: "sent", at: line.at });
      case "presence": return presence(line);
      case "error": return refused(line);
    }
  }

  function joined({ max_message }) {
    state.connection = "joined";
    messageBytesMax = max_message;
    sayList({ type: "watch" }, "ids", [...state.conversations.keys()]);
    for (const [ref, message] of outgoing) say(sendLine(ref, message));
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

  function presence({ id, online }) {
    const conversation = state.conversations.get(id);
    if (conversation) conversation.presence = online ? "online" : "away";
  }

  function refused({ ref, text }) {
    if (outgoing.has(ref)) return settle(ref, { state: "failed", reason: text });
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
    for (const map of [state.conversations, outgoing, known]) map.clear();
    state.openPeer = "";
  }

  /** @param {string} ref @param {Message} message */
  function send(ref, message) {
    outgoing.set(ref, message);
    if (state.connection === "joined") say(sendLine(ref, message));
  }

  /** @param {string} ref @param {Partial<Message>} outcome */
  function settle(ref, outcome) {
    Object.assign(outgoing.get(ref) ?? {}, outcome);
    outgoing.delete(ref);
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

/** @param {string} ref @param {Message} message */
function sendLine(ref, { peer, body }) {
  return { type: "send", to: peer, body, ref };
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
