/**
 * All that the page knows. Each change is one function, called for a gesture or for what the socket or the storage
 * reports, and ends in one notice, `changed`.
 *
 * Invariants: no message is shown twice: its mid is in `known`. None is acknowledged before it is kept, where the
 * browser keeps anything. As long as we are "joined", all peers in the list are watched.
 *
 * Not known here: the DOM, the socket, the storage, the clock. What is needed of them comes in as functions.
 */

import { createOutgoing, RETURN_GRACE_MS, putLast } from "./outgoing.js";
import {
  CLOSE_GOING_AWAY, CLOSE_REPLACED, CLOSE_TRY_LATER, isId, listLines, normalId, WATCHED_MAX,
} from "./protocol.js";

/**
 * @typedef {"none" | "joining" | "joined" | "lost" | "replaced"} Connection
 *   "lost": we had the id, and want it back; "replaced": it is in another tab until the reader says otherwise
 * @typedef {"received" | "sending" | "sent" | "delivered" | "doubtful" | "failed"} MessageState
 *   "doubtful": it was sent, and the server has forgotten what became of it
 * @typedef {{ code: string, to?: string, text?: string }} Reason words for it are found by its code
 * @typedef {{ peer: string, place: number, mine: boolean, body: unknown, at: number, state: MessageState,
 *   reason?: Reason, ref?: string, mid?: string, said?: boolean, cleared?: boolean }} Message
 *   `place` orders a conversation, and no two messages of it have the same; `body` may be any JSON value, for strangers
 *   choose it; `reason` is why it failed; only ours have a `ref`, and a `mid` from when they were sent; `said`: the
 *   server may have taken it; `cleared`: it is not to be kept any more
 * @typedef {{ peer: string, messages: Message[], earlier: boolean, loading: boolean, last: number, unread: number,
 *   seen: number, newAfter?: number, readTo: number, readTold?: string, presence: string, typing: number,
 *   typedAt: number, draft: string, accepted: boolean, blocked: boolean }} Conversation
 *   `messages` are the latest ones; `earlier`: more are kept; `last`: the place of the last thing that happened;
 *   `seen`: the reader has seen what stands up to this place; `newAfter`: what stands behind it was new when the
 *   conversation was opened; `readTo`: the peer has read up to here; `readTold`: what the peer was told we have read;
 *   `presence` is empty until the server tells it; `typing`: until when, 0 for not; `accepted`: not a stranger's
 * @typedef {{ read: boolean, typing: boolean, notify: boolean, notifyText: boolean, sound: boolean }} Settings
 */

/** More are not kept in memory, of one conversation. */
export const MESSAGES_MAX = 10_000;

/** So many are loaded at once; of a conversation that is not open no more are kept in memory. */
export const PAGE_MESSAGES = 60;

/** However many are unread, no more are loaded for them. */
const UNREAD_LOADED_MAX = 1000;

/** As many as one connection may watch, but for one: a probe watches our own id. */
export const CONVERSATIONS_MAX = WATCHED_MAX - 1;

/**
 * So many mids of messages to us are known again, the last ones. What the server sends again is what it holds because
 * our `ack` of it was lost; then all later ones were lost, too. So a message whose mid is forgotten comes again only if
 * so many newer ones are held for us: 11 MiB by the server's count of 176 bytes or more each, and its `--held` is
 * 512 KiB.
 */
export const KNOWN_MAX = 65536;

/** A connection that is back so soon was hardly away: nobody is told. */
export const QUIET_MS = 2000;

/** That we type is told this often at most, */
export const TYPING_MS_EVERY = 3000;

/** and a peer of whom nothing more is heard has stopped. */
export const TYPING_MS_SHOWN = 6000;

/** @type {Settings} */
export const SETTINGS_DEFAULT = { read: true, typing: true, notify: false, notifyText: false, sound: false };

/**
 * @param {object} outside
 * @param {(id: string) => string} outside.keyOf the secret that shows an id to be ours
 * @param {(line: object) => void} outside.say gives a line to the socket
 * @param {(arrived: Message[]) => void} outside.changed with the messages that have just come
 * @param {(id: string, take: boolean) => void} outside.prepare claims the id among the tabs of this browser, `take`: also
 *   from another one, and looks up what is kept of it: `restored` or `elsewhere` answers
 * @param {(peer: string, before: number, count: number) => void} outside.load wants kept messages: `loaded` answers
 * @param {() => string} outside.newRef random, never the same twice
 * @param {() => number} outside.now milliseconds since 1970
 * @param {(call: () => void, ms: number) => void} outside.later
 * @param {Settings} [outside.settings]
 */
export function createStore({ keyOf, say, changed, prepare, load, newRef, now, later, settings }) {
  const state = {
    /** @type {Connection} */
    connection: "none",
    /** Stays when it is refused, to be edited. */
    id: "",
    /** What is kept of this id has been looked up: a connection may be made. */
    ready: false,
    /** Does the browser keep messages? */
    kept: true,
    /** Something that wants attention. @type {Reason | null} */
    alert: null,
    /** Why there is no connection, where it is known: "restarting", "full", "busy". */
    outage: "",
    /** It was lost a moment ago, and may be back at once. */
    quiet: false,
    openPeer: "",
    /** @type {Map<string, Conversation>} by peer, the longest quiet first */
    conversations: new Map(),
    /** What the browser thinks of its network. */
    online: true,
    /** What nobody can see is unread. */
    visible: true,
    settings: { ...SETTINGS_DEFAULT, ...settings },
  };
  const outgoing = createOutgoing({ say, touched, newRef });
  /** Mids of messages to us. @type {Map<string, true>} */
  const known = new Map();
  /** What storage does not have yet. */
  let unsaved = nothingUnsaved();
  let losses = 0;
  let joins = 0;
  // For lines that are only measured.
  const someRef = newRef();

  // ---- who we are

  /** @param {string} text */
  function join(text) {
    const id = normalId(text);
    // Who waits for an answer may try another id meanwhile.
    const free = state.connection === "none" || (state.connection === "joining" && id !== state.id);
    if (free && id) begin(id, "joining");
  }

  /** Takes up the id of an earlier visit. @param {string} id @param {boolean} [take] also from another tab */
  function resume(id, take = false) {
    begin(id, "lost", take);
  }

  function begin(id, connection, take = false) {
    // After a refusal the same id finds its conversations again; another one must not.
    if (id !== state.id) forget();
    Object.assign(state, { id, connection, ready: false, alert: null, outage: "", quiet: false });
    changed([]);
    prepare(id, take);
  }

  /**
   * What is kept of our id; nothing, where the browser keeps nothing.
   * @param {string} id the one that it was looked up for @param {import("./history.js").Kept} [kept]
   */
  function restored(id, kept) {
    if (!isPreparing(id)) return;
    state.kept = Boolean(kept);
    if (kept) restore(kept);
    else state.alert = { code: "unkept" };
    state.ready = true;
    changed([]);
  }

  function restore({ conversations, open, mids }) {
    const { openPeer } = state;
    forget();
    outgoing.restore(open);
    for (const mid of mids) known.set(mid, true);
    for (const { tail, ...conversation } of conversations) {
      const messages = tail.map((message) => outgoing.find(message) ?? message);
      const earlier = messages.length > 0;
      state.conversations.set(conversation.peer, { ...newConversation(conversation.peer), ...conversation, messages, earlier });
    }
    if (openPeer) show(openPeer);
  }

  /** Another tab has the id, and it was not to be taken from it. @param {string} id */
  function elsewhere(id) {
    if (isPreparing(id)) replaced();
  }

  /** The reader may have left meanwhile, or taken another id. @param {string} id */
  function isPreparing(id) {
    return id === state.id && !state.ready && (state.connection === "joining" || state.connection === "lost");
  }

  /** Another tab has taken the id. */
  function replaced() {
    Object.assign(state, { connection: "replaced", ready: false });
    disconnected();
    // What was not acknowledged comes to that tab, and is for it to keep; what we wrote is not.
    const ours = [...unsaved.messages].filter(({ mine }) => mine);
    unsaved = { ...nothingUnsaved(), messages: new Set(ours) };
    changed([]);
  }

  /** Back to the first screen. The id stays ours for a while, and what is kept of it for ever. */
  function leave() {
    forget();
    Object.assign(state, { id: "", alert: null, connection: "none", ready: false });
    changed([]);
  }

  /** Gives the id up, with what the server holds for it. */
  function giveUp() {
    if (state.connection === "joined") say({ type: "leave" });
    leave();
  }

  // ---- gestures

  /** Opens a conversation with anybody, if there can be one. @param {string} text @returns {boolean} whether there can */
  function open(text) {
    const peer = normalId(text);
    // The server refuses a whole `watch` for one bad id, so none may get into the list.
    const possible = isId(peer);
    warn("bad_id", !possible && { to: peer });
    if (!possible) {
      changed([]);
    } else {
      show(peer);
      // Whom we look for ourselves is no stranger.
      accept();
    }
    return possible;
  }

  /** Opens a conversation of the list. @param {string} peer */
  function choose(peer) {
    show(peer);
    changed([]);
  }

  /** An alert that a gesture raises, the same gesture ends. */
  function warn(code, details) {
    if (details) state.alert = { code, ...details };
    else if (state.alert?.code === code) state.alert = null;
  }

  /** @param {string} peer */
  function show(peer) {
    if (peer === state.openPeer) return;
    close();
    state.openPeer = peer;
    const conversation = state.conversations.get(peer) ?? createConversation(peer);
    const { unread, seen, messages, earlier } = conversation;
    if (unread) conversation.newAfter = seen;
    const count = Math.min(Math.max(PAGE_MESSAGES, unread + PAGE_MESSAGES / 2), UNREAD_LOADED_MAX);
    if (earlier && messages.length < count) loadEarlier(count);
  }

  /** Nothing is kept in memory for quiet conversations that storage has, too. */
  function close() {
    const conversation = current();
    state.openPeer = "";
    if (!conversation) return;
    conversation.newAfter = undefined;
    const surplus = conversation.messages.length - PAGE_MESSAGES;
    if (surplus <= 0 || !state.kept) return;
    conversation.messages.splice(0, surplus);
    conversation.earlier = true;
  }

  function back() {
    close();
    changed([]);
  }

  /** The reader wants to see what was before the first message. */
  function loadEarlier(count = PAGE_MESSAGES) {
    const conversation = current();
    if (!conversation?.earlier || conversation.loading) return;
    conversation.loading = true;
    load(conversation.peer, conversation.messages[0]?.place ?? Infinity, count);
  }

  /**
   * What `load` found: the messages right before the first one.
   * @param {string} peer @param {Message[]} messages @param {boolean} earlier whether there are still more
   */
  function loaded(peer, messages, earlier) {
    const conversation = state.conversations.get(peer);
    if (!conversation?.loading) return;
    conversation.loading = false;
    conversation.earlier = earlier;
    const first = conversation.messages[0]?.place ?? Infinity;
    const older = messages.filter(({ place }) => place < first);
    conversation.messages.unshift(...older.map((message) => outgoing.find(message) ?? message));
    changed([]);
  }

  /** What is in the composer belongs to one peer, or it might go to another. @param {string} text */
  function draft(text) {
    const conversation = current();
    conversation.draft = text;
    touchedConversation(conversation);
    if (text && now() - conversation.typedAt >= TYPING_MS_EVERY && mayTell(conversation, "typing")) {
      conversation.typedAt = now();
      say({ type: "signal", to: conversation.peer, body: { typing: true } });
    }
    changed([]);
  }

  /** Sends the draft of the open conversation. */
  function write() {
    const conversation = current();
    const { peer, draft: body } = conversation;
    if (!body.trim()) return;
    const left = bytesLeft();
    warn("long", left < 0 && { bytes: -left });
    if (left >= 0) {
      // An answer accepts.
      Object.assign(conversation, { draft: "", accepted: true, newAfter: undefined, typedAt: 0 });
      const message = append({ peer, mine: true, body, at: now(), state: "sending", ref: newRef() });
      outgoing.add(message);
      tellRead(conversation);
    }
    changed([]);
  }

  /** What the server would still take beside the draft; below 0, so much is too much. */
  function bytesLeft() {
    const { peer, draft: body } = current();
    return outgoing.bytesLeft({ peer, body, ref: someRef });
  }

  /** @param {Message} message one that failed, or may be lost */
  function retry(message) {
    Object.assign(message, { state: "sending", ref: newRef(), reason: undefined, said: false });
    touched(message);
    outgoing.add(message);
    changed([]);
  }

  /** A stranger is none any more. */
  function accept() {
    const conversation = current();
    conversation.accepted = true;
    touchedConversation(conversation);
    tellRead(conversation);
    changed([]);
  }

  /** @param {boolean} blocked */
  function block(blocked) {
    const conversation = current();
    conversation.blocked = blocked;
    touchedConversation(conversation);
    if (state.connection === "joined") say({ type: blocked ? "block" : "unblock", ids: [conversation.peer] });
    changed([]);
  }

  /** Forgets what was said in the open conversation, and what waits to be. */
  function clear() {
    const conversation = current();
    const { peer } = conversation;
    outgoing.drop(peer);
    for (const message of conversation.messages) unsaved.messages.delete(message);
    unsaved.cleared.add(peer);
    Object.assign(conversation, { messages: [], earlier: false, loading: false, unread: 0, newAfter: undefined });
    touchedConversation(conversation);
    changed([]);
  }

  /** @param {keyof Settings} name @param {boolean} on */
  function changeSetting(name, on) {
    state.settings[name] = on;
    changed([]);
  }

  /** @param {Reason} reason */
  function alert(reason) {
    state.alert = reason;
    changed([]);
  }

  function dismiss() {
    state.alert = null;
    changed([]);
  }

  /** The reader has seen this message of the open conversation, and what stands before it. @param {Message} message */
  function seen({ place }) {
    const conversation = current();
    if (!state.visible || !conversation || place <= conversation.seen) return;
    const { messages } = conversation;
    const passed = messages.filter((one) => !one.mine && one.place > conversation.seen && one.place <= place).length;
    conversation.unread = place === messages.at(-1).place ? 0 : Math.max(0, conversation.unread - passed);
    conversation.seen = place;
    touchedConversation(conversation);
    tellRead(conversation);
    changed([]);
  }

  /** @param {boolean} visible */
  function setVisible(visible) {
    state.visible = visible;
    changed([]);
  }

  /** @param {boolean} online */
  function setOnline(online) {
    state.online = online;
    changed([]);
  }

  // ---- the connection

  function opened() {
    say({ type: "join", id: state.id, key: keyOf(state.id) });
  }

  /** Something that the server answers whatever else is going on, to see whether it is there. */
  function probe() {
    if (state.connection === "joined") say({ type: "watch", ids: [state.id] });
  }

  /** However many lines came together, they are one notice. @param {any[]} lines */
  function received(lines) {
    const arrived = lines.map(apply).filter((message) => message !== undefined);
    changed(arrived);
  }

  /** @param {number} code */
  function closed(code) {
    if (code === CLOSE_REPLACED) return replaced();
    const outage = { [CLOSE_GOING_AWAY]: "restarting", [CLOSE_TRY_LATER]: "busy" }[code];
    // One attempt that fails does not take away the reason for the first.
    if (outage || state.connection === "joined") state.outage = outage ?? "";
    // That the network is gone the browser knows for sure.
    if (state.connection === "joined" && state.online) startQuietPeriod();
    if (state.connection !== "joining") state.connection = "lost";
    disconnected();
    changed([]);
  }

  /** Says nothing for a moment. */
  function startQuietPeriod() {
    losses += 1;
    const loss = losses;
    state.quiet = true;
    later(() => {
      if (loss !== losses) return;
      state.quiet = false;
      changed([]);
    }, QUIET_MS);
  }

  /** Why the server took no connection, as far as that can be found out. @param {string} outage */
  function setOutage(outage) {
    if (!wanted() || state.connection === "joined") return;
    state.outage = outage;
    changed([]);
  }

  function disconnected() {
    outgoing.disconnected();
    for (const conversation of state.conversations.values()) Object.assign(conversation, { presence: "", typing: 0 });
  }

  /** Whether there should be a connection. */
  function wanted() {
    return state.ready && state.connection !== "none" && state.connection !== "replaced";
  }

  // ---- what the server says

  /** One line. Types that are not here belong to versions to come. @returns {Message | undefined} a new message */
  function apply(line) {
    switch (line.type) {
      case "joined": return void joined(line);
      case "message": return arrive(line);
      case "sent": return void outgoing.answer(line.ref, { state: "sent", mid: line.mid, at: line.at });
      case "delivered": return void outgoing.applyFate(line.from, line.mids, { state: "delivered" });
      case "expired": return void outgoing.applyFate(line.to, line.mids, failed("expired", line.to));
      case "signal": return void signal(line);
      case "presence": return void presence(line);
      case "error": return void refused(line);
    }
  }

  function joined(answer) {
    Object.assign(state, { connection: "joined", outage: "", quiet: false });
    if (outgoing.connected(answer)) state.alert = { code: "forgotten_all" };
    startReturnGrace();
    const conversations = [...state.conversations.values()];
    for (const conversation of conversations) conversation.readTold = undefined;
    sayList("watch", conversations);
    // The server forgets them with the id.
    sayList("block", conversations.filter(({ blocked }) => blocked));
    outgoing.repeatUnanswered();
  }

  function startReturnGrace() {
    joins += 1;
    const join = joins;
    later(() => {
      if (join !== joins || state.connection !== "joined") return;
      outgoing.endReturnGrace();
      changed([]);
    }, RETURN_GRACE_MS);
  }

  function sayList(type, conversations) {
    const peers = conversations.map(({ peer }) => peer);
    for (const line of listLines({ type }, "ids", peers, outgoing.messageBytesMax())) say(line);
  }

  /** A message to us. One that is known comes again because the server did not hear that it has arrived. */
  function arrive({ from: peer, body, mid, at }) {
    if (!unsaved.acks.has(peer)) unsaved.acks.set(peer, []);
    unsaved.acks.get(peer).push(mid);
    const isKnown = known.has(mid);
    putLast(known, mid, true, KNOWN_MAX);
    if (isKnown) return undefined;
    unsaved.mids.push(mid);
    return append({ peer, mine: false, body, at, state: "received", mid });
  }

  function signal({ from, body }) {
    const conversation = state.conversations.get(from);
    if (!conversation || !(body instanceof Object)) return;
    if (typeof body.typing === "boolean") typing(conversation, body.typing);
    const read = typeof body.read === "string" && conversation.messages.findLast(({ mid }) => mid === body.read);
    if (!read?.mine || read.place <= conversation.readTo) return;
    conversation.readTo = read.place;
    touchedConversation(conversation);
  }

  function typing(conversation, on) {
    const until = on ? now() + TYPING_MS_SHOWN : 0;
    conversation.typing = until;
    if (!on) return;
    later(() => {
      if (conversation.typing !== until) return;
      conversation.typing = 0;
      changed([]);
    }, TYPING_MS_SHOWN);
  }

  function presence({ id, online }) {
    const conversation = state.conversations.get(id);
    if (!conversation) return;
    const came = online && conversation.presence !== "online";
    conversation.presence = online ? "online" : "away";
    if (!online) conversation.typing = 0;
    if (!came) return;
    outgoing.peerReturned(id);
    // Signals to one who is away are lost.
    conversation.readTold = undefined;
    tellRead(conversation);
  }

  function refused({ code, ref, to, text }) {
    if (outgoing.isUnanswered(ref)) return outgoing.answer(ref, failed(code, to, text));
    state.alert = { code, to: to ?? state.id, text };
    // Nothing but `join` is said before `joined`.
    if (state.connection !== "joined") Object.assign(state, { connection: "none", ready: false });
  }

  function failed(code, to, text) {
    return { state: "failed", reason: { code, to, text } };
  }

  // ---- what we tell of ourselves

  /** Strangers, and whom we block, learn nothing of us. @param {"read" | "typing"} what */
  function mayTell({ accepted, blocked }, what) {
    return state.settings[what] && accepted && !blocked && state.connection === "joined";
  }

  /** Tells the peer the last of its messages that we have seen. @param {Conversation} conversation */
  function tellRead(conversation) {
    if (!mayTell(conversation, "read")) return;
    const read = conversation.messages.findLast(({ mine, place }) => !mine && place <= conversation.seen);
    if (!read || read.mid === conversation.readTold) return;
    conversation.readTold = read.mid;
    say({ type: "signal", to: conversation.peer, body: { read: read.mid } });
  }

  // ---- conversations

  /** The open conversation. */
  function current() {
    return state.conversations.get(state.openPeer);
  }

  /** @param {Omit<Message, "place">} content @returns {Message} */
  function append(content) {
    const { peer, mine } = content;
    const conversation = state.conversations.get(peer) ?? createConversation(peer);
    conversation.last = nextPlace(conversation);
    const message = { ...content, place: conversation.last };
    const seenUntil = conversation.messages.at(-1)?.place ?? 0;
    conversation.messages.push(message);
    if (conversation.messages.length > MESSAGES_MAX) {
      conversation.messages.shift();
      conversation.earlier = state.kept;
    }
    if (!mine) {
      conversation.unread += 1;
      conversation.typing = 0;
      if (peer === state.openPeer && !state.visible) conversation.newAfter ??= seenUntil;
    }
    touched(message);
    touchedConversation(conversation);
    // A map has its keys in the order in which they were put in.
    state.conversations.delete(peer);
    state.conversations.set(peer, conversation);
    return message;
  }

  /** Behind all others, and as two tabs write after each other, most surely another than any other tab's. */
  function nextPlace({ last }) {
    return Math.max(last + 1, now() * 1000);
  }

  /** @param {string} peer */
  function createConversation(peer) {
    if (state.conversations.size === CONVERSATIONS_MAX) dropLeastRecent();
    const conversation = newConversation(peer);
    conversation.last = nextPlace(conversation);
    state.conversations.set(peer, conversation);
    touchedConversation(conversation);
    if (state.connection === "joined") say({ type: "watch", ids: [peer] });
    return conversation;
  }

  /** Strangers make room for strangers: they cannot push out somebody to whom we have written. */
  function dropLeastRecent() {
    const conversations = [...state.conversations.values()].filter(({ peer }) => peer !== state.openPeer);
    const stranger = conversations.find(({ accepted, blocked }) => !accepted && !blocked);
    const { peer } = stranger ?? conversations.find(({ blocked }) => !blocked) ?? conversations[0];
    outgoing.drop(peer);
    unsaved.cleared.add(peer);
    unsaved.conversations.delete(state.conversations.get(peer));
    for (const message of state.conversations.get(peer).messages) unsaved.messages.delete(message);
    state.conversations.delete(peer);
    if (state.connection === "joined") say({ type: "unwatch", ids: [peer] });
  }

  /** Leaves nothing behind for another id. */
  function forget() {
    for (const map of [state.conversations, known]) map.clear();
    outgoing.forget();
    unsaved = nothingUnsaved();
    state.openPeer = "";
  }

  // ---- storage

  /** @param {Message} message */
  function touched(message) {
    if (!message.cleared) unsaved.messages.add(message);
  }

  /** @param {Conversation} conversation */
  function touchedConversation(conversation) {
    unsaved.conversations.add(conversation);
  }

  /** What is to be kept now, if anything; then `saved` with the same. */
  function takeUnsaved() {
    const { messages, conversations, cleared, acks } = unsaved;
    if (!(messages.size + conversations.size + cleared.size + acks.size)) return null;
    const taken = { id: state.id, ...unsaved };
    unsaved = nothingUnsaved();
    return taken;
  }

  /** It is kept, or it cannot be: now the server may forget it. @param {NonNullable<ReturnType<takeUnsaved>>} batch */
  function saved({ id, acks }) {
    if (state.connection !== "joined" || id !== state.id) return;
    for (const [to, mids] of acks) {
      for (const line of listLines({ type: "ack", to }, "mids", mids, outgoing.messageBytesMax())) say(line);
    }
  }

  /** The browser does not keep it, any more. */
  function unkept() {
    if (!state.kept) return;
    state.kept = false;
    alert({ code: "unkept" });
  }

  return {
    state, wanted, current, bytesLeft,
    join, resume, restored, elsewhere, replaced, leave, giveUp,
    open, choose, back, loadEarlier, loaded, draft, write, retry, accept, block, clear, changeSetting, alert, dismiss, seen, setVisible, setOnline,
    opened, probe, received, closed, setOutage,
    takeUnsaved, saved, unkept,
  };
}

function nothingUnsaved() {
  return {
    /** @type {Set<Message>} */
    messages: new Set(),
    /** @type {Set<Conversation>} */
    conversations: new Set(),
    /** Peers of whom nothing is to be kept that is not in the same batch. @type {Set<string>} */
    cleared: new Set(),
    /** Known from now on. @type {string[]} */
    mids: [],
    /** To be acknowledged: mids by sender. @type {Map<string, string[]>} */
    acks: new Map(),
  };
}

/** @param {string} peer @returns {Conversation} */
function newConversation(peer) {
  return {
    peer, messages: [], earlier: false, loading: false, last: 0, unread: 0, seen: 0, readTo: 0, presence: "",
    typing: 0, typedAt: 0, draft: "", accepted: false, blocked: false,
  };
}
