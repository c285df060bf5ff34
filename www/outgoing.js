/**
 * What we have written, until it is known what became of it.
 *
 * Invariants: a message of ours is "sending" exactly while it is in `unanswered` (the server may have taken it), in
 * `waiting` (it has not) or in `parked` (it has not, for the peer is not back yet), and messages to a peer go to the server
 * in the order in which they were written. It is "sent" or "doubtful" exactly while it is in `sent`.
 *
 * Not known here: conversations, the socket, the storage. What is needed of them comes in as functions.
 */

import { lineBytes, MESSAGE_BYTES_DEFAULT, sendLine, SENDS_MAX } from "./protocol.js";

/** @typedef {import("./store.js").Message} Message */

/**
 * After a restart of the server everybody comes back, but not at once: a peer that is not there by now, after the longest
 * delay of a page and a bit, is not there.
 */
export const RETURN_GRACE_MS = 25_000;

/** So many sent messages may wait to be delivered. Of older ones nothing more is learnt: nobody else waits so long. */
export const SENT_MAX = 65536;

/**
 * @param {object} outside
 * @param {(line: object) => void} outside.say gives a line to the socket
 * @param {(message: Message) => void} outside.touched it is no longer what it was
 * @param {() => string} outside.newRef random, never the same twice
 */
export function createOutgoing({ say, touched, newRef }) {
  /** Said, by ref. @type {Map<string, Message>} */
  const unanswered = new Map();
  /** Not said yet. @type {Message[]} */
  let waiting = [];
  /** Written before the server had forgotten our peers: they may be on their way back. @type {Set<Message>} */
  const mayReturn = new Set();
  /** Refused as long as the peer is not back, by peer. @type {Map<string, Message[]>} */
  const parked = new Map();
  /** Taken by the server, by mid. @type {Map<string, Message>} */
  const sent = new Map();
  /** What was told of mids that may be those of unanswered ones. @type {Map<string, { peer: string, fate: object }>} */
  const early = new Map();
  let joined = false;
  let messageBytesMax = MESSAGE_BYTES_DEFAULT;

  /** @param {Message} message it is "sending", and has a ref of its own */
  function add(message) {
    // Written again, it has nothing to do any more with what became of it before.
    if (sent.get(message.mid) === message) sent.delete(message.mid);
    waiting.push(message);
    sayWaiting();
  }

  /** Takes up what an earlier visit left open. @param {Message[]} messages in the order in which they were written */
  function restore(messages) {
    for (const message of messages) {
      if (message.state !== "sending") sent.set(message.mid, message);
      else if (message.said) unanswered.set(message.ref, message);
      else waiting.push(message);
    }
  }

  /**
   * The claim stands. Whether something may be lost: forgotten by the server, what is not delivered may be.
   * @param {{ resumed: boolean, max_message: number }} answer
   */
  function connected({ resumed, max_message }) {
    joined = true;
    messageBytesMax = max_message;
    if (resumed) return false;
    // On a first join there are none.
    const doubt = [...sent.values()].some(({ state }) => state === "sent") || unanswered.size > 0;
    for (const message of sent.values()) change(message, { state: "doubtful" });
    // These are not repeated unasked: the server would not know their refs again, and they might be shown twice.
    for (const message of unanswered.values()) change(message, { state: "failed", reason: { code: "forgotten" } });
    unanswered.clear();
    early.clear();
    for (const message of waiting) mayReturn.add(message);
    return doubt;
  }

  /** Who has not come back by now, is not here. */
  function endReturnGrace() {
    mayReturn.clear();
    for (const [to, messages] of parked) {
      for (const message of messages) change(message, { state: "failed", reason: { code: "offline", to } });
    }
    parked.clear();
  }

  /** This peer is here, again. @param {string} peer */
  function peerReturned(peer) {
    unpark(peer);
    sayWaiting();
  }

  /** Refused ones are new ones for the server. @param {string} peer */
  function unpark(peer) {
    const messages = parked.get(peer) ?? [];
    parked.delete(peer);
    for (const message of messages) change(message, { ref: newRef(), said: false });
    waiting = [...messages, ...waiting];
  }

  /** @param {Message} message */
  function park(message) {
    if (!parked.has(message.peer)) parked.set(message.peer, []);
    parked.get(message.peer).push(message);
  }

  /** Repeats what was not answered, and goes on. */
  function repeatUnanswered() {
    for (const message of unanswered.values()) say(sendLine(message));
    sayWaiting();
  }

  function disconnected() {
    joined = false;
    for (const peer of [...parked.keys()]) unpark(peer);
  }

  /** A send was answered, and there is room for another. @param {string} ref @param {Partial<Message>} outcome */
  function answer(ref, outcome) {
    const message = unanswered.get(ref);
    unanswered.delete(ref);
    if (message && mayReturn.has(message) && outcome.reason?.code === "offline") {
      park(message);
    } else if (message) {
      change(message, outcome);
      if (message.state === "sent") noteSent(message);
    }
    if (!unanswered.size) early.clear();
    sayWaiting();
  }

  /** @param {Message} message */
  function noteSent(message) {
    putLast(sent, message.mid, message, SENT_MAX);
    const told = early.get(message.mid);
    if (told) applyFate(told.peer, [message.mid], told.fate);
  }

  /**
   * What became of messages to `peer`. It may be told again, and before `sent`: behind `joined`, where a send was taken
   * just before the connection broke. Peers may make mids up; only those of messages to them count.
   * @param {string} peer @param {string[]} mids @param {Partial<Message>} fate
   */
  function applyFate(peer, mids, fate) {
    const isAwaited = [...unanswered.values()].some((message) => message.peer === peer);
    for (const mid of mids) {
      const message = sent.get(mid);
      if (message?.peer === peer) {
        sent.delete(mid);
        change(message, fate);
      } else if (isAwaited && !message) {
        putLast(early, mid, { peer, fate }, SENDS_MAX);
      }
    }
  }

  /** Says what waits, as far as it may be said. */
  function sayWaiting() {
    while (joined && waiting.length && unanswered.size < SENDS_MAX) {
      const message = waiting.shift();
      // Written before the server told how much it takes. Said, it would end every connection anew.
      const bytes = bytesLeft(message);
      if (parked.has(message.peer)) {
        park(message);
      } else if (bytes < 0) {
        change(message, { state: "failed", reason: { code: "long", bytes: -bytes } });
      } else {
        unanswered.set(message.ref, message);
        change(message, { said: true });
        say(sendLine(message));
      }
    }
  }

  /** What the server would still take beside this; below 0, so much is too much. @param {Message} message */
  function bytesLeft(message) {
    return messageBytesMax - lineBytes(sendLine(message));
  }

  /** Drops what waits for this peer; what was said will be answered, and is nobody's. @param {string} peer */
  function drop(peer) {
    waiting = waiting.filter((message) => message.peer !== peer);
    parked.delete(peer);
    for (const message of [...unanswered.values(), ...sent.values()]) {
      if (message.peer === peer) message.cleared = true;
    }
  }

  /** Leaves nothing behind for another id. */
  function forget() {
    for (const map of [unanswered, mayReturn, parked, sent, early]) map.clear();
    waiting = [];
    joined = false;
  }

  /** The same message, if it is one of ours that is still open. @param {Message} message as it was stored */
  function find({ mine, ref, mid }) {
    if (!mine) return undefined;
    const unsaid = [...waiting, ...[...parked.values()].flat()];
    return unanswered.get(ref) ?? sent.get(mid) ?? unsaid.find((message) => message.ref === ref);
  }

  /** @param {Message} message @param {Partial<Message>} what */
  function change(message, what) {
    Object.assign(message, what);
    touched(message);
  }

  return {
    add, restore, connected, endReturnGrace, peerReturned, repeatUnanswered, disconnected, answer, applyFate, bytesLeft, drop, forget, find,
    /** @param {string} ref */
    isUnanswered: (ref) => unanswered.has(ref),
    messageBytesMax: () => messageBytesMax,
  };
}

/** Beyond `max` the key that was put longest ago is forgotten. @param {Map<string, any>} map */
export function putLast(map, key, value, max) {
  map.delete(key);
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value);
}
