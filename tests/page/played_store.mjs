/**
 * A store for which the test plays the socket, the storage and the clock, and the server's lines.
 */

import { load } from "./load.mjs";

const { Store } = await load("store.js");

export const JOINED = {
  type: "joined", id: "alice", resumed: false, held: 0, max_message: 65536, hold: 600,
};
export const RESUMED = { ...JOINED, resumed: true };

/** A storage that has nothing of an id. One that refuses is `null`. */
export const NOTHING_KEPT = { conversations: [], open: [], mids: [] };

/**
 * Returns a store before its first gesture.
 *
 * `kept` is the storage's answer about any id. With `keeps`, changes are kept right after the text
 * that led to them; otherwise the test does that. Without `restores` the test answers for the storage.
 * Other options replace functions of the outside.
 */
export function freshStore({ kept = NOTHING_KEPT, keeps = true, restores = true, ...more } = {}) {
  const outside = {
    said: [], loads: [], arrived: [], timers: [], now: 1_000_000, notices: 0, refs: 0, pins: {},
  };
  return new PlayedStore(outside, { kept, keeps, restores }, more);
}

/** Seals a line in play: its content is there to be read. */
function played(line, { kind, card, content, done }) {
  const body = { sealed: 1, kind, for: card.seal, content };
  done?.(body);
  return { ...line, body };
}

class PlayedStore extends Store {
  constructor(outside, storage, more) {
    super({
      keyOf: (id) => `key of ${id}`,
      ownCard: () => undefined,
      password: () => "",
      token: () => "",
      dropPassword() {},
      pinsOf: () => ({ ...outside.pins }),
      notePin: (_, peer, sign) => { outside.pins[peer] = sign; },
      say: (line, sealing) => outside.said.push(sealing ? played(line, sealing) : line),
      changed(arrived) {
        outside.notices += 1;
        outside.arrived = arrived;
      },
      prepare: (id, take) => { outside.prepared = { id, take }; },
      search: async () => outside.found ?? [],
      load: (...wanted) => outside.loads.push(wanted),
      newRef: () => `ref ${outside.refs++}`,
      now: () => outside.now,
      later: (call, ms) => outside.timers.push({ call, at: outside.now + ms }),
      ...more,
    });
    Object.assign(this, { outside, ...storage });
  }

  join(id) {
    this.outside.prepared = null;
    super.join(id);
    if (this.restores && this.outside.prepared) this.restored(this.state.id, this.kept);
  }

  resume(id, take) {
    super.resume(id, take);
    if (this.restores) this.restored(this.state.id, this.kept);
  }

  received(lines) {
    super.received(lines);
    for (let batch; this.keeps && (batch = this.takeUnsaved()); this.saved(batch)) {
      this.outside.kept = batch;
    }
  }

  /** Takes the lines that were said since the last call. */
  said() {
    return this.outside.said.splice(0);
  }

  /** The number of notices so far. */
  notices() {
    return this.outside.notices;
  }

  /** Lets time pass, and calls all that is due then. */
  pass(ms) {
    const { outside } = this;
    outside.now += ms;
    const due = outside.timers.filter(({ at }) => at <= outside.now);
    outside.timers = outside.timers.filter(({ at }) => at > outside.now);
    for (const { call } of due) call();
  }
}

/** Returns a store that has joined as alice. Its `join` was taken. */
export function joinedStore(options) {
  const store = freshStore(options);
  store.join("alice");
  store.opened();
  store.received([JOINED]);
  store.said();
  return store;
}

export function writeTo(store, peer, text) {
  store.open(peer);
  store.draft(text);
  store.write();
}

/** Breaks the connection. The next one gets these lines in answer to its `join`. */
export function reconnect(store, ...lines) {
  store.closed(1006);
  store.opened();
  store.said();
  store.received(lines);
}

let mids = 0;

export function message(from, body, mid = `in-${++mids}`) {
  return { type: "message", from, body, mid, at: 2000 };
}

export function offline(ref, to) {
  return { type: "error", code: "offline", ref, to, text: `${to} is not here` };
}

export const sent = (ref, mid) => ({ type: "sent", ref, mid, at: 3000 });
export const delivered = (from, ...mids) => ({ type: "delivered", from, mids });
export const expired = (to, ...mids) => ({ type: "expired", to, mids });
export const online = (id, is = true) => ({ type: "presence", id, online: is });
export const signal = (from, body) => ({ type: "signal", from, body });

/** Returns body and state of each message in the open conversation. */
export const states = (store) => store.current.messages.map(({ body, state }) => [body, state]);

/** Takes the lines that were said since the last call, and returns those of one type. */
export const saidOf = (store, wanted) => store.said().filter(({ type }) => type === wanted);

// ---- Cards and what is sealed. Alice has a card, and the server tells cards.

/** Returns the card of an id, with another identity for each number of one. */
export const cardOf = (id, identity = 1, until = 9000) => {
  return { v: 1, sign: `${id} ${identity}`, seal: `seal of ${id} ${identity}`, until, by: "" };
};

export const SEALING = { ...JOINED, card: 2048 };

/** Returns a store that has joined as alice, and seals. */
export function sealingStore(options) {
  const store = freshStore({ ownCard: () => cardOf("alice"), ...options });
  store.join("alice");
  store.opened();
  store.received([SEALING]);
  store.said();
  return store;
}

/** The server's answer about a card; `null`: the peer has none. */
export function told(id, card = cardOf(id)) {
  return { type: "card", id, claimed: true, ...(card && { card }) };
}

export const unclaimed = (id) => ({ type: "card", id, claimed: false });

/** A sealed message, as it comes opened. */
export function letter(from, content, { card = cardOf(from), mid = `in-${++mids}` } = {}) {
  return { type: "message", from, body: { sealed: 1 }, mid, at: 2000, opened: { card, content } };
}

/** A sealed message that could not be opened. */
export function unopened(from, mid = `in-${++mids}`, card = cardOf(from)) {
  return { type: "message", from, body: { sealed: 1 }, mid, at: 2000, opened: { card } };
}

/** A sealed signal, as it comes opened. */
export function whisper(from, content, card = cardOf(from)) {
  return { type: "signal", from, body: { sealed: 1 }, opened: { card, content } };
}
