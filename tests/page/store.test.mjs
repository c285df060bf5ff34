/**
 * The store: gestures and lines in, what is said and what is known out. No browser, no socket, no clock.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { Store, KNOWN_MAX } = await load("store.js");
const { CONVERSATIONS_MAX, MESSAGES_MAX, PAGE_MESSAGES } = await load("conversations.js");
const { QUIET_MS } = await load("identity.js");
const { RETURN_GRACE_MS } = await load("outgoing.js");
const { SENDS_MAX, isId, normalId } = await load("protocol.js");
const { TYPING_MS_EVERY, TYPING_MS_SHOWN } = await load("signals.js");

const JOINED = { type: "joined", id: "alice", resumed: false, held: 0, max_message: 65536, hold: 600 };
const RESUMED = { ...JOINED, resumed: true };

/** A storage that has nothing of an id; one that refuses is `null`. */
const NOTHING_KEPT = { conversations: [], open: [], mids: [] };

/**
 * A store, what it asked for and what was not yet taken of it, and a clock that goes only when told to. What it wants
 * kept is kept at once, unless a test does that itself.
 */
function freshStore({ kept = NOTHING_KEPT, keeps = true, ...more } = {}) {
  const outside = { said: [], loads: [], arrived: [], timers: [], now: 1_000_000, notices: 0, refs: 0 };
  return new PlayedStore(outside, kept, keeps, more);
}

class PlayedStore extends Store {
  constructor(outside, kept, keeps, more) {
    super({
      keyOf: (id) => `key of ${id}`,
      say: (line) => outside.said.push(line),
      changed(arrived) {
        outside.notices += 1;
        outside.arrived = arrived;
      },
      prepare: (id, take) => { outside.prepared = { id, take }; },
      load: (...wanted) => outside.loads.push(wanted),
      newRef: () => `ref ${outside.refs++}`,
      now: () => outside.now,
      later: (call, ms) => outside.timers.push({ call, at: outside.now + ms }),
      ...more,
    });
    Object.assign(this, { outside, kept, keeps });
  }

  join(id) {
    super.join(id);
    if (this.outside.prepared) this.restored(this.state.id, this.kept);
  }

  resume(id, take) {
    super.resume(id, take);
    this.restored(this.state.id, this.kept);
  }

  received(lines) {
    super.received(lines);
    for (let batch; this.keeps && (batch = this.takeUnsaved()); this.saved(batch)) this.outside.kept = batch;
  }

  said() {
    return this.outside.said.splice(0);
  }

  notices() {
    return this.outside.notices;
  }

  pass(ms) {
    const { outside } = this;
    outside.now += ms;
    const due = outside.timers.filter(({ at }) => at <= outside.now);
    outside.timers = outside.timers.filter(({ at }) => at > outside.now);
    for (const { call } of due) call();
  }
}

/** One that has joined as alice, its `join` taken. */
function joinedStore(options) {
  const store = freshStore(options);
  store.join("alice");
  store.opened();
  store.received([JOINED]);
  store.said();
  return store;
}

function writeTo(store, peer, text) {
  store.open(peer);
  store.draft(text);
  store.write();
}

let mids = 0;

function message(from, body, mid = `in-${++mids}`) {
  return { type: "message", from, body, mid, at: 2000 };
}

/** The connection breaks, and the next one gets this answer to its `join`; lines may come with it. */
function reconnect(store, ...lines) {
  store.closed(1006);
  store.opened();
  store.said();
  store.received(lines);
}

const sent = (ref, mid) => ({ type: "sent", ref, mid, at: 3000 });
const delivered = (from, ...mids) => ({ type: "delivered", from, mids });
const expired = (to, ...mids) => ({ type: "expired", to, mids });
const online = (id, is = true) => ({ type: "presence", id, online: is });
const signal = (from, body) => ({ type: "signal", from, body });
const offline = (ref, to) => ({ type: "error", code: "offline", ref, to, text: `${to} is not here` });
const states = (store) => store.current.messages.map(({ body, state }) => [body, state]);
const saidOf = (store, wanted) => store.said().filter(({ type }) => type === wanted);

test("an id is claimed with the key, and is ours when the server says so", () => {
  const store = freshStore();
  store.join(" alice ");
  assert.equal(store.state.connection, "joining");
  assert.equal(store.wanted, true);
  store.opened();
  assert.deepEqual(store.said(), [{ type: "join", id: "alice", key: "key of alice" }]);
  store.received([JOINED]);
  assert.equal(store.state.connection, "joined");
});

test("an empty id is not claimed, nor one twice, and another one takes the place of one that got no answer", () => {
  const store = freshStore();
  store.join("  ");
  assert.equal(store.state.connection, "none");
  store.join("alice");
  const notices = store.notices();
  store.join("alice");
  assert.equal(store.notices(), notices);
  store.join("bob");
  store.opened();
  assert.deepEqual(store.said(), [{ type: "join", id: "bob", key: "key of bob" }]);
});

test("ids are normalised", () => {
  assert.equal(normalId(" e\u0301 "), "\u00e9");
  const store = freshStore();
  store.join("Zoe\u0308");
  assert.equal(store.state.id, "Zo\u00eb");
});

test("ids have the protocol's syntax", () => {
  const hindi = "\u0939\u093f\u0928\u094d\u0926\u0940";
  const good = ["a", "bob.smith_1-x@host+tag", "Zo\u00eb", hindi, "__proto__", "x".repeat(64)];
  for (const id of good) assert.equal(isId(id), true, id);
  const strange = ["\u0301a", "a\u200d", "a\u{e0100}", "\ud800"];
  const bad = ["", "two words", "a/b", "<b>", "x".repeat(65), "\u00eb".repeat(33), ...strange];
  for (const id of bad) assert.equal(isId(id), false, id);
});

for (const code of ["id_taken", "bad_id", "bad_key"]) {
  test(`${code} leads back to the first screen with the id still there`, () => {
    const store = freshStore();
    store.join("alice");
    store.opened();
    store.received([{ type: "error", code, text: "no" }]);
    const { connection, id, alert } = store.state;
    assert.deepEqual({ connection, id, code: alert.code }, { connection: "none", id: "alice", code });
    assert.equal(store.wanted, false);
    store.join("alice2");
    assert.equal(store.state.alert, null);
  });
}

test("after a refusal the same id finds its conversations, another one none", () => {
  const store = joinedStore();
  store.open("bob");
  store.closed(1006);
  store.opened();
  store.received([{ type: "error", code: "id_taken", text: "no" }]);
  store.join("alice");
  assert.equal(store.state.conversations.size, 1);
  store.received([{ type: "error", code: "id_taken", text: "no" }]);
  store.join("carol");
  assert.equal(store.state.conversations.size, 0);
});

test("an id that is given up is said, and nothing stays", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.said();
  store.giveUp();
  assert.deepEqual(store.said(), [{ type: "leave" }]);
  const { connection, id, openPeer, conversations } = store.state;
  assert.deepEqual([connection, id, openPeer, conversations.size], ["none", "", "", 0]);
  for (const answer of [RESUMED, JOINED]) {
    store.join("carol");
    store.received([answer]);
    assert.deepEqual(saidOf(store, "send"), []);
    assert.equal(store.state.alert, null);
    for (let count = 0; count <= SENDS_MAX; count += 1) writeTo(store, "bob", "hello");
    store.leave();
    store.said();
  }
});

test("each gesture and each answer is one notice, however many lines come together", () => {
  const store = freshStore();
  store.join("alice");
  store.received([JOINED, message("bob", "1"), message("bob", "2"), message("carol", "3")]);
  assert.equal(store.notices(), 3);
});

test("a message is sending until the server has answered", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  assert.deepEqual(states(store), [["hello", "sending"]]);
  assert.equal(store.current.draft, "");
  assert.deepEqual(store.said(), [
    { type: "watch", ids: ["bob"] },
    { type: "signal", to: "bob", body: { typing: true } },
    { type: "send", to: "bob", body: "hello", ref: "ref 1" },
  ]);
  store.received([sent("ref 1", "9")]);
  assert.deepEqual(states(store), [["hello", "sent"]]);
  assert.equal(store.current.messages[0].at, 3000);
});

test("answers with an unknown ref, unknown types and unknown keys change nothing", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.received([{ type: "sent", ref: "?", at: 1 }, { type: "news", ref: "ref 1" }, { type: "signal", body: 1 }, []]);
  assert.deepEqual(states(store), [["hello", "sending"]]);
});

test("a refused message has failed, and is sent again under a new ref", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.said();
  store.received([{ type: "error", code: "offline", ref: "ref 1", to: "bob", text: "bob is not here" }]);
  const [failed] = store.current.messages;
  assert.deepEqual([failed.state, failed.reason.code, failed.reason.to, store.state.alert], ["failed", "offline", "bob", null]);
  store.retry(failed);
  assert.equal(failed.state, "sending");
  assert.deepEqual(store.said(), [{ type: "send", to: "bob", body: "hello", ref: "ref 2" }]);
  store.received([{ type: "sent", ref: "ref 2", at: 1 }]);
  assert.equal(failed.state, "sent");
});

test("an error that belongs to no message is shown until it is dismissed", () => {
  const store = joinedStore();
  store.received([{ type: "error", code: "too_many", text: "too many watched" }]);
  assert.deepEqual([store.state.alert.code, store.state.alert.text], ["too_many", "too many watched"]);
  assert.equal(store.state.connection, "joined");
  store.setAlert(null);
  assert.equal(store.state.alert, null);
});

test("what was written while the connection was down is sent in order after the next joined", () => {
  const store = joinedStore();
  store.closed(1006);
  writeTo(store, "bob", "1");
  writeTo(store, "carol", "2");
  store.opened();
  store.said();
  store.closed(1013);
  store.opened();
  assert.deepEqual(store.said().map(({ type }) => type), ["join"]);
  store.received([JOINED]);
  assert.deepEqual(store.said(), [
    { type: "watch", ids: ["bob", "carol"] },
    { type: "send", to: "bob", body: "1", ref: "ref 1" },
    { type: "send", to: "carol", body: "2", ref: "ref 2" },
  ]);
});

test("what was said and not answered is repeated under the same refs, in order and before anything new", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  writeTo(store, "bob", "2");
  writeTo(store, "bob", "3");
  store.received([sent("ref 2", "22")]);
  store.closed(1006);
  writeTo(store, "bob", "4");
  assert.deepEqual(states(store), [["1", "sending"], ["2", "sent"], ["3", "sending"], ["4", "sending"]]);
  for (const attempt of [1, 2]) {
    store.opened();
    store.said();
    store.received([RESUMED]);
    const sends = saidOf(store, "send").map(({ ref, body }) => [ref, body]);
    assert.deepEqual(sends, [["ref 1", "1"], ["ref 3", "3"], ["ref 4", "4"]], `attempt ${attempt}`);
    store.closed(1006);
  }
  store.opened();
  store.received([RESUMED, sent("ref 1", "11"), sent("ref 3", "33"), sent("ref 4", "44")]);
  assert.deepEqual(states(store), [["1", "sent"], ["2", "sent"], ["3", "sent"], ["4", "sent"]]);
  assert.equal(store.state.alert, null);
});

test("no more are unanswered than the server remembers; the rest go in order as answers come", () => {
  const store = joinedStore();
  for (let count = 1; count <= SENDS_MAX + 3; count += 1) writeTo(store, "bob", String(count));
  const refs = () => saidOf(store, "send").map(({ ref }) => ref);
  assert.equal(refs().length, SENDS_MAX);
  store.received([sent("ref 5", "55")]);
  assert.deepEqual(refs(), [`ref ${SENDS_MAX + 1}`]);
  reconnect(store, RESUMED);
  const repeated = refs();
  assert.equal(repeated.length, SENDS_MAX);
  assert.deepEqual([repeated[0], repeated.at(-1)], ["ref 1", `ref ${SENDS_MAX + 1}`]);
  store.received([{ type: "error", code: "full", ref: "ref 1", to: "bob", text: "full" }, sent("ref 2", "22")]);
  assert.deepEqual(refs(), [`ref ${SENDS_MAX + 2}`, `ref ${SENDS_MAX + 3}`]);
});

test("a message is sent, then delivered", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.received([{ ...sent("ref 1", "1"), held: true }]);
  assert.deepEqual(states(store), [["hello", "sent"]]);
  store.received([delivered("bob", "1")]);
  assert.deepEqual(states(store), [["hello", "delivered"]]);
});

test("a message that was delivered before the answer to its send is delivered", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  writeTo(store, "bob", "2");
  writeTo(store, "carol", "3");
  reconnect(store, RESUMED, delivered("bob", "11", "33"), expired("bob", "22"));
  store.received([sent("ref 1", "11"), sent("ref 2", "22"), sent("ref 3", "33")]);
  assert.deepEqual(states(store), [["3", "sent"]], "bob cannot tell of what went to carol");
  store.open("bob");
  assert.deepEqual(states(store), [["1", "delivered"], ["2", "failed"]]);
});

test("what is told of unknown messages is kept for unanswered ones only, and not for ever", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([delivered("bob", "11")]);
  writeTo(store, "bob", "1");
  store.received([delivered("stranger", "22"), delivered("bob", "33"), sent("ref 1", "11")]);
  writeTo(store, "bob", "2");
  store.received([sent("ref 2", "33")]);
  writeTo(store, "bob", "3");
  const more = Array.from({ length: SENDS_MAX }, (_, index) => `more-${index}`);
  store.received([delivered("bob", "44"), delivered("bob", ...more), sent("ref 3", "44")]);
  assert.deepEqual(states(store), [["1", "sent"], ["2", "sent"], ["3", "sent"]]);
});

test("nobody can tell what became of messages that were not sent to them", () => {
  const store = joinedStore();
  store.received([message("bob", "hi", "in")]);
  writeTo(store, "bob", "hello");
  store.received([sent("ref 1", "1")]);
  store.received([delivered("carol", "1"), expired("carol", "1"), delivered("bob", "in", "?"), expired("bob", "in")]);
  assert.deepEqual(states(store), [["hi", "received"], ["hello", "sent"]]);
});

test("a message that expired has failed, and is a new one when it is sent again", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.received([sent("ref 1", "1"), expired("bob", "1")]);
  const [failed] = store.current.messages;
  assert.deepEqual([failed.state, failed.reason.code, failed.reason.to], ["failed", "expired", "bob"]);
  store.retry(failed);
  assert.deepEqual(saidOf(store, "send").map(({ ref }) => ref), ["ref 1", "ref 2"]);
  store.received([sent("ref 2", "2"), expired("bob", "1")]);
  assert.equal(failed.state, "sent");
});

test("what is told again changes nothing", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  writeTo(store, "bob", "2");
  store.received([sent("ref 1", "1"), sent("ref 2", "2"), delivered("bob", "1"), expired("bob", "2")]);
  store.received([delivered("bob", "2"), expired("bob", "1"), sent("ref 1", "1")]);
  assert.deepEqual(states(store), [["1", "delivered"], ["2", "failed"]]);
  reconnect(store, RESUMED, delivered("bob", "1"), expired("bob", "2"));
  assert.deepEqual(states(store), [["1", "delivered"], ["2", "failed"]]);
});

test("when the server has forgotten, what was not delivered may be lost, and one sentence says so", () => {
  const store = joinedStore();
  for (const text of ["delivered", "sent", "unanswered"]) writeTo(store, "bob", text);
  store.received([sent("ref 1", "1"), delivered("bob", "1"), sent("ref 2", "2")]);
  store.closed(1006);
  writeTo(store, "bob", "new");
  store.said();
  store.received([JOINED]);
  const expected = [["delivered", "delivered"], ["sent", "doubtful"], ["unanswered", "failed"], ["new", "sending"]];
  assert.deepEqual(states(store), expected);
  assert.equal(store.current.messages[2].reason.code, "forgotten");
  assert.equal(store.state.alert.code, "forgotten_all");
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["new"]);
  store.received([sent("ref 3", "3"), sent("ref 4", "4")]);
  assert.deepEqual(states(store).slice(2), [["unanswered", "failed"], ["new", "sent"]]);
});

test("a message that may be lost can be sent again, or turn out to be delivered", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  writeTo(store, "bob", "2");
  store.received([sent("ref 1", "1"), sent("ref 2", "2")]);
  reconnect(store, JOINED);
  store.said();
  store.retry(store.current.messages[0]);
  assert.deepEqual(store.said(), [{ type: "send", to: "bob", body: "1", ref: "ref 3" }]);
  store.received([sent("ref 3", "3"), delivered("bob", "1", "2")]);
  assert.deepEqual(states(store), [["1", "sent"], ["2", "delivered"]]);
});

for (const answers of [[], [sent("ref 1", "1")]]) {
  test(`that the server has forgotten is said for one message that was ${answers.length ? "sent" : "said"}`, () => {
    const store = joinedStore();
    writeTo(store, "bob", "hello");
    store.received(answers);
    reconnect(store, JOINED);
    assert.equal(store.state.alert.code, "forgotten_all");
  });
}

test("that the server has forgotten is not said where nothing may be lost, the first time above all", () => {
  const store = freshStore();
  store.resume("alice");
  writeTo(store, "bob", "written before the first joined");
  store.opened();
  store.received([JOINED]);
  assert.deepEqual([store.state.alert, states(store)[0][1]], [null, "sending"]);
  store.received([sent("ref 1", "1"), delivered("bob", "1")]);
  reconnect(store, JOINED);
  assert.deepEqual([store.state.alert, states(store)[0][1]], [null, "delivered"]);
});

for (const code of [1000, 1001, 1006, 1013, 4000]) {
  test(`after a close with ${code} a connection is wanted again`, () => {
    const store = joinedStore();
    store.closed(code);
    assert.equal(store.state.connection, "lost");
    assert.equal(store.wanted, true);
  });
}

test("after 4001 no connection is wanted until the reader says so; then what is kept is looked up anew", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.closed(4001);
  assert.equal(store.state.connection, "replaced");
  store.setOnline(true);
  store.setVisible(true);
  assert.equal(store.wanted, false);
  store.outside.prepared = null;
  store.resume("alice", true);
  assert.deepEqual(store.outside.prepared, { id: "alice", take: true });
  assert.equal(store.wanted, true);
  assert.equal(store.state.openPeer, "bob");
});

test("where nothing is kept, what was unanswered before 4001 is repeated", () => {
  const store = joinedStore({ kept: null });
  writeTo(store, "bob", "hello");
  store.closed(4001);
  store.resume("alice", true);
  store.opened();
  store.said();
  store.received([RESUMED]);
  assert.deepEqual(saidOf(store, "send"), [{ type: "send", to: "bob", body: "hello", ref: "ref 1" }]);
});

test("an id that another tab has is left to it, and what came and was not kept is that tab's to keep", () => {
  const store = freshStore({ keeps: false });
  store.join("alice");
  store.received([JOINED]);
  writeTo(store, "bob", "mine");
  store.received([message("bob", "theirs")]);
  store.replaced();
  assert.deepEqual([...store.takeUnsaved().messages].map(({ body }) => body), ["mine"]);
  assert.equal(store.wanted, false);
});

test("what is looked up for an id that is not wanted any more is not taken up", () => {
  const store = freshStore();
  for (const answer of ["restored", "claimedElsewhere"]) {
    store.join("alice");
    store.leave();
    store[answer]("alice", NOTHING_KEPT);
    assert.deepEqual([store.state.connection, store.wanted], ["none", false]);
  }
});

test("what has come is acknowledged, in one line for each sender and text", () => {
  const store = joinedStore();
  store.received([message("bob", "1", "1"), message("carol", "2", "2"), message("bob", "3", "3")]);
  store.received([message("bob", "4", "4")]);
  store.received([]);
  assert.deepEqual(saidOf(store, "ack"), [
    { type: "ack", to: "bob", mids: ["1", "3"] },
    { type: "ack", to: "carol", mids: ["2"] },
    { type: "ack", to: "bob", mids: ["4"] },
  ]);
});

test("a message that comes again is not shown again, but acknowledged again", () => {
  const store = joinedStore();
  store.received([message("bob", "1", "1"), message("bob", "2", "2")]);
  reconnect(store, RESUMED, message("bob", "2", "2"), message("bob", "3", "3"), message("bob", "3", "3"));
  assert.deepEqual(saidOf(store, "ack"), [{ type: "ack", to: "bob", mids: ["2", "3", "3"] }]);
  store.open("bob");
  assert.deepEqual(states(store).map(([body]) => body), ["1", "2", "3"]);
});

test("the mids that came last are known again, and no more", () => {
  const store = joinedStore();
  const come = (...mids) => store.received(mids.map((mid) => message("bob", mid, mid)));
  come("first", "second");
  come("first");
  come(...Array.from({ length: KNOWN_MAX - 1 }, (_, index) => `mid-${index}`));
  come("first");
  store.open("bob");
  assert.equal(store.current.messages.at(-1).body, `mid-${KNOWN_MAX - 2}`);
  come("second");
  assert.equal(store.current.messages.at(-1).body, "second");
});

test("another id knows nothing of the mids of the one before", () => {
  const store = joinedStore();
  store.received([message("bob", "1", "1")]);
  store.leave();
  store.join("alice");
  store.received([JOINED, message("bob", "1", "1")]);
  store.open("bob");
  assert.equal(store.current.messages.length, 1);
});

for (const max_message of [512, 4096, 65536]) {
  test(`no list is longer than a server takes that takes ${max_message} bytes`, () => {
    const store = joinedStore();
    const peers = Array.from({ length: CONVERSATIONS_MAX }, (_, index) => String(index).padStart(64, "x"));
    const mids = Array.from({ length: 1000 }, (_, index) => String(index).padStart(32, "0"));
    store.received(peers.map((peer) => message(peer, "hi")));
    store.closed(1006);
    store.said();
    store.received([{ ...RESUMED, max_message }, ...mids.map((mid) => message(peers[0], mid, mid))]);
    const lines = store.said();
    for (const line of lines) {
      assert.ok(JSON.stringify(line).length <= max_message);
      assert.ok((line.ids ?? line.mids).length <= 256);
    }
    assert.deepEqual(lines.flatMap(({ ids }) => ids ?? []), peers);
    assert.deepEqual(lines.flatMap((line) => line.mids ?? []), mids);
  });
}

test("a message from a stranger begins a conversation and does not open it", () => {
  const store = joinedStore();
  store.open("bob");
  store.said();
  store.received([message("carol", "hi"), message("carol", "hi?")]);
  assert.equal(store.state.openPeer, "bob");
  assert.equal(store.state.conversations.get("carol").unread, 2);
  assert.deepEqual(saidOf(store, "watch"), [{ type: "watch", ids: ["carol"] }]);
});

test("what has been in view is read, and no more, and only while the page can be seen", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([message("bob", "1"), message("bob", "2"), message("bob", "3")]);
  const { messages } = store.current;
  assert.equal(store.current.unread, 3);
  store.setVisible(false);
  store.seen(messages[2]);
  assert.equal(store.current.unread, 3);
  store.setVisible(true);
  store.seen(messages[1]);
  assert.equal(store.current.unread, 1);
  const notices = store.notices();
  for (const seen of [messages[0], messages[1]]) store.seen(seen);
  assert.deepEqual([store.current.unread, store.current.seen], [1, messages[1].place]);
  assert.equal(store.notices(), notices, "or each rendering would lead to the next");
  store.seen(messages[2]);
  assert.equal(store.current.unread, 0);
});

test("what stands behind the last message that was seen is new when a conversation is opened, until it is answered", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([message("bob", "1")]);
  const [first] = store.current.messages;
  store.seen(first);
  assert.equal(store.current.newAfter, undefined);
  store.back();
  store.received([message("bob", "2")]);
  store.choose("bob");
  assert.equal(store.current.newAfter, first.place);
  store.draft("answer");
  store.write();
  assert.equal(store.current.newAfter, undefined);
});

test("what comes to the open conversation of a hidden page is new", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([message("bob", "1")]);
  store.setVisible(false);
  store.received([message("bob", "2"), message("bob", "3")]);
  assert.equal(store.current.newAfter, store.current.messages[0].place);
});

test("the conversation that was quiet the longest is first", () => {
  const store = joinedStore();
  store.received([message("bob", "1"), message("carol", "2"), message("bob", "3")]);
  assert.deepEqual([...store.state.conversations.keys()], ["carol", "bob"]);
});

test("any JSON value may be a body", () => {
  const store = joinedStore();
  const bodies = [null, 0, false, "", [], JSON.parse(`{"toString":1,"__proto__":2}`), "\u202etxt"];
  store.received(bodies.map((body) => message("bob", body)));
  store.open("bob");
  assert.deepEqual(store.current.messages.map(({ body }) => body), bodies);
});

test("a draft stays with its conversation", () => {
  const store = joinedStore();
  store.open("bob");
  store.draft("for bob");
  store.open("carol");
  assert.equal(store.current.draft, "");
  store.open("bob");
  assert.equal(store.current.draft, "for bob");
});

test("nothing but white space is not sent", () => {
  const store = joinedStore();
  writeTo(store, "bob", " \n ");
  assert.deepEqual(states(store), []);
});

test("a line that is longer than the server takes is refused here and stays in the composer", () => {
  const room = JOINED.max_message - JSON.stringify({ type: "send", to: "bob", body: "", ref: "ref 1" }).length;
  const store = joinedStore();
  writeTo(store, "bob", "\u00eb".repeat(room / 2 + 1));
  assert.equal(store.state.alert.code, "long");
  assert.deepEqual(states(store), []);
  assert.notEqual(store.current.draft, "");

  const fitting = joinedStore();
  writeTo(fitting, "bob", "x".repeat(room));
  assert.equal(fitting.state.alert, null);
  assert.equal(fitting.current.messages.length, 1);
});

test("a line that turns out to be too long for the server fails, and holds nothing up", () => {
  const store = freshStore();
  store.resume("alice");
  writeTo(store, "bob", "x".repeat(600));
  writeTo(store, "bob", "short");
  store.received([{ ...JOINED, max_message: 512 }]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["short"]);
  assert.equal(store.current.messages[0].state, "failed");
  assert.equal(store.current.messages[0].reason.code, "long");
});

test("presence is what the server told on this connection", () => {
  const store = joinedStore();
  store.open("bob");
  assert.equal(store.current.presence, "");
  store.received([{ type: "presence", id: "bob", online: true }, { type: "presence", id: "nobody", online: true }]);
  assert.equal(store.current.presence, "online");
  store.received([{ type: "presence", id: "bob", online: false }]);
  assert.equal(store.current.presence, "away");
  store.closed(1006);
  assert.equal(store.current.presence, "");
});

test("an impossible peer is refused and does not get among the watched", () => {
  const store = joinedStore();
  store.open("not an id");
  assert.deepEqual(store.state.alert, { code: "bad_id", to: "not an id" });
  assert.equal(store.state.conversations.size, 0);
  assert.deepEqual(store.said(), []);
});

test("the oldest messages of a conversation are forgotten", () => {
  const store = joinedStore();
  store.received(Array.from({ length: MESSAGES_MAX + 3 }, (_, index) => message("bob", String(index))));
  store.open("bob");
  assert.equal(store.current.messages.length, MESSAGES_MAX);
  assert.equal(store.current.messages[0].body, "3");
});

test("strangers make room for strangers, and no more are watched than may be", () => {
  const store = joinedStore();
  writeTo(store, "friend", "hello");
  store.open("open");
  store.said();
  const strangers = Array.from({ length: CONVERSATIONS_MAX + 8 }, (_, index) => message(`stranger${index}`, "buy"));
  store.received(strangers);
  const { conversations } = store.state;
  assert.equal(conversations.size, CONVERSATIONS_MAX);
  assert.ok(conversations.has("friend") && conversations.has("open"));
  const watched = new Set(["friend", "open"]);
  for (const { type, ids } of store.said()) {
    if (type === "watch") watched.add(ids[0]);
    if (type === "unwatch") watched.delete(ids[0]);
    assert.ok(watched.size <= CONVERSATIONS_MAX);
  }
  assert.deepEqual(watched, new Set(conversations.keys()));
});

// ---- what is kept

test("a message is acknowledged when it is kept, not before", () => {
  const store = joinedStore({ keeps: false });
  store.received([message("bob", "1", "1")]);
  assert.deepEqual(saidOf(store, "ack"), []);
  const batch = store.takeUnsaved();
  assert.deepEqual([[...batch.messages].map(({ mid }) => mid), batch.mids], [["1"], ["1"]]);
  assert.deepEqual(saidOf(store, "ack"), []);
  store.saved(batch);
  assert.deepEqual(store.said(), [{ type: "ack", to: "bob", mids: ["1"] }]);
  assert.equal(store.takeUnsaved(), null);
});

test("what was kept for another id, or after the connection, is not acknowledged", () => {
  const store = joinedStore({ keeps: false });
  store.received([message("bob", "1", "1")]);
  const ofAlice = store.takeUnsaved();
  store.leave();
  store.join("carol");
  store.received([JOINED]);
  store.saved(ofAlice);
  store.received([message("bob", "2", "2")]);
  const ofCarol = store.takeUnsaved();
  store.closed(1006);
  store.saved(ofCarol);
  assert.deepEqual(saidOf(store, "ack"), []);
});

test("each change of a message is kept", () => {
  const store = joinedStore();
  const kept = () => [...(store.takeUnsaved()?.messages ?? [])].map(({ state, said }) => [state, said]);
  writeTo(store, "bob", "1");
  assert.deepEqual(kept(), [["sending", true]]);
  const steps = [[sent("ref 1", "1"), "sent"], [delivered("bob", "1"), "delivered"]];
  for (const [line, state] of steps) {
    store.received([line]);
    assert.deepEqual([...store.outside.kept.messages].map((one) => one.state), [state]);
  }
});

test("what an earlier visit knew is known again: conversations, the quietest first, and mids", () => {
  const tail = [{ peer: "bob", place: 5, mine: false, body: "kept", at: 1, state: "received", mid: "old" }];
  const kept = {
    conversations: [{ peer: "carol", last: 1, tail: [] }, { peer: "bob", last: 5, draft: "dra", unread: 1, accepted: true, tail }],
    open: [],
    mids: ["old"],
  };
  const store = joinedStore({ kept });
  assert.deepEqual([...store.state.conversations.keys()], ["carol", "bob"]);
  store.received([message("bob", "kept", "old")]);
  assert.deepEqual(saidOf(store, "ack"), [{ type: "ack", to: "bob", mids: ["old"] }]);
  store.choose("bob");
  assert.deepEqual([store.current.draft, store.current.messages.length, store.current.unread], ["dra", 1, 1]);
});

const openOnes = () => [
  { peer: "bob", place: 1, mine: true, body: "sent", at: 1, state: "sent", ref: "r1", mid: "m1", said: true },
  { peer: "bob", place: 2, mine: true, body: "said", at: 1, state: "sending", ref: "r2", said: true },
  { peer: "bob", place: 3, mine: true, body: "unsaid", at: 1, state: "sending", ref: "r3" },
];

function visitAgain(answer) {
  const open = openOnes();
  const conversations = [{ peer: "bob", last: 3, accepted: true, tail: [{ ...open[2] }] }];
  const store = freshStore({ kept: { conversations, open, mids: [] } });
  store.resume("alice");
  store.opened();
  store.received([answer]);
  return { store, open };
}

test("what an earlier visit had said is repeated under its ref, and what it had not is said, if the server knows us", () => {
  const { store } = visitAgain(RESUMED);
  assert.deepEqual(saidOf(store, "send").map(({ ref, body }) => [ref, body]), [["r2", "said"], ["r3", "unsaid"]]);
  store.received([sent("r2", "m2"), sent("r3", "m3"), delivered("bob", "m1", "m2")]);
  store.choose("bob");
  assert.deepEqual(states(store), [["unsaid", "sent"]]);
});

test("what an earlier visit had said may be lost if the server has forgotten us, and is not repeated unasked", () => {
  const { store, open } = visitAgain(JOINED);
  assert.deepEqual(saidOf(store, "send").map(({ ref }) => ref), ["r3"]);
  assert.deepEqual(open.map(({ state }) => state), ["doubtful", "failed", "sending"]);
  assert.equal(store.state.alert.code, "forgotten_all");
});

test("a page of earlier messages goes in front, and those that are still open are the same ones", () => {
  const { store, open } = visitAgain(RESUMED);
  store.choose("bob");
  assert.deepEqual(store.outside.loads, [["bob", 3, PAGE_MESSAGES]]);
  store.loadEarlier();
  assert.equal(store.outside.loads.length, 1);
  store.loaded("bob", openOnes().slice(0, 2), false);
  assert.equal(store.current.messages[0], open[0]);
  store.received([delivered("bob", "m1")]);
  assert.deepEqual(states(store).map(([, state]) => state), ["delivered", "sending", "sending"]);
  store.loadEarlier();
  assert.equal(store.outside.loads.length, 1);
});

test("a page comes too late for a conversation that was cleared", () => {
  const { store } = visitAgain(RESUMED);
  store.choose("bob");
  store.clear();
  store.loaded("bob", openOnes().slice(0, 2), false);
  assert.deepEqual(states(store), []);
});

test("of a conversation that is not open only the last page stays in memory, where the rest is kept", () => {
  for (const [kept, left] of [[NOTHING_KEPT, PAGE_MESSAGES], [null, PAGE_MESSAGES + 5]]) {
    const store = joinedStore({ kept });
    store.open("bob");
    store.received(Array.from({ length: PAGE_MESSAGES + 5 }, (_, index) => message("bob", String(index))));
    store.back();
    const bob = store.state.conversations.get("bob");
    assert.deepEqual([bob.messages.length, bob.earlier], [left, left === PAGE_MESSAGES]);
  }
});

test("what is cleared is not kept, whatever becomes of it, and what was not said is not said", () => {
  const store = joinedStore({ keeps: false });
  writeTo(store, "bob", "said");
  store.closed(1006);
  writeTo(store, "bob", "unsaid");
  store.clear();
  const batch = store.takeUnsaved();
  assert.deepEqual([[...batch.cleared], batch.messages.size, batch.conversations.size], [["bob"], 0, 1]);
  store.said();
  store.received([RESUMED, sent("ref 1", "1"), delivered("bob", "1")]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["said"]);
  assert.deepEqual([...(store.takeUnsaved()?.messages ?? [])], []);
  assert.equal(store.current.messages.length, 0);
});

test("a browser that keeps nothing is told of once, and all goes on", () => {
  const store = joinedStore({ kept: null });
  assert.deepEqual([store.state.kept, store.state.alert.code], [false, "unkept"]);
  store.received([message("bob", "1", "1")]);
  assert.deepEqual(saidOf(store, "ack"), [{ type: "ack", to: "bob", mids: ["1"] }]);
  store.setAlert(null);
  store.unkept();
  assert.equal(store.state.alert, null);
});

test("a storage that is full is told of once", () => {
  const store = joinedStore();
  store.unkept();
  assert.equal(store.state.alert.code, "unkept");
});

// ---- read, typing

const reads = (store) => saidOf(store, "signal").filter(({ body }) => body.read).map(({ to, body }) => [to, body.read]);

test("that we have read is told once, with the last mid", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([message("bob", "1", "1"), message("bob", "2", "2")]);
  const [first, second] = store.current.messages;
  store.seen(first);
  store.seen(second);
  store.seen(second);
  assert.deepEqual(reads(store), [["bob", "1"], ["bob", "2"]]);
});

test("who was away when we read is told when it is back, and so is everybody on a new connection", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([message("bob", "1", "1")]);
  store.seen(store.current.messages[0]);
  store.said();
  store.received([online("bob")]);
  assert.deepEqual(reads(store), [["bob", "1"]]);
  store.received([online("bob")]);
  assert.deepEqual(reads(store), []);
  store.received([online("bob", false), online("bob")]);
  assert.deepEqual(reads(store), [["bob", "1"]]);
  reconnect(store, RESUMED, online("bob"));
  assert.deepEqual(reads(store), [["bob", "1"]]);
});

test("neither strangers nor blocked ones learn what we read or that we type, nor anybody with the switches off", () => {
  const bob = (change) => {
    const store = joinedStore();
    store.received([message("bob", "1", "1")]);
    store.choose("bob");
    change(store);
    store.said();
    store.seen(store.current.messages[0]);
    store.draft("typing");
    return store.said();
  };
  assert.deepEqual(bob(() => {}), []);
  assert.deepEqual(bob((store) => { store.accept(); store.block(true); }), []);
  assert.deepEqual(bob((store) => { store.accept(); store.changeSetting("read", false); store.changeSetting("typing", false); }), []);
  assert.equal(bob((store) => store.accept()).length, 2);
});

test("an answer accepts, tells what we have read, and is sent", () => {
  const store = joinedStore();
  store.received([message("bob", "1", "1")]);
  store.choose("bob");
  store.seen(store.current.messages[0]);
  assert.equal(store.current.accepted, false);
  store.said();
  store.draft("hi");
  store.write();
  assert.equal(store.current.accepted, true);
  assert.deepEqual(store.said().map(({ type }) => type), ["send", "signal"]);
});

test("who is opened by its id is no stranger; who is chosen from the list may be one", () => {
  const store = joinedStore();
  store.received([message("bob", "1"), message("carol", "2")]);
  store.choose("bob");
  assert.equal(store.current.accepted, false);
  store.open("carol");
  assert.equal(store.current.accepted, true);
  store.open("dave");
  assert.equal(store.current.accepted, true);
});

test("messages are read up to the one that the peer names, if it is one of ours to it", () => {
  const store = joinedStore();
  for (const text of ["1", "2", "3"]) writeTo(store, "bob", text);
  store.received([message("bob", "theirs", "t"), sent("ref 1", "1"), sent("ref 2", "2"), sent("ref 3", "3")]);
  const [, second] = store.current.messages;
  store.received([signal("carol", { read: "3" }), signal("bob", { read: "t" }), signal("bob", { read: 3 }), signal("bob", null)]);
  assert.equal(store.current.readTo, 0);
  store.received([signal("bob", { read: "2" }), signal("bob", { read: "1" })]);
  assert.equal(store.current.readTo, second.place);
});

test("that we type is told at most so often, and not for an empty field", () => {
  const store = joinedStore();
  store.open("bob");
  store.said();
  for (const text of ["", "a", "ab"]) store.draft(text);
  assert.deepEqual(store.said(), [{ type: "signal", to: "bob", body: { typing: true } }]);
  store.pass(TYPING_MS_EVERY);
  store.draft("abc");
  assert.equal(saidOf(store, "signal").length, 1);
});

test("a peer types until it says otherwise, sends, leaves, or for a while", () => {
  const ends = [
    (store) => store.received([signal("bob", { typing: false })]),
    (store) => store.received([message("bob", "there")]),
    (store) => store.received([online("bob", false)]),
    (store) => store.closed(1006),
    (store) => store.pass(TYPING_MS_SHOWN),
  ];
  for (const end of ends) {
    const store = joinedStore();
    store.open("bob");
    store.received([signal("bob", { typing: true })]);
    assert.ok(store.current.typing);
    end(store);
    assert.equal(store.current.typing, 0, String(end));
  }
});

test("a peer that goes on typing is not taken for one that has stopped", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([signal("bob", { typing: true })]);
  store.pass(TYPING_MS_SHOWN - 1);
  store.received([signal("bob", { typing: true })]);
  store.pass(1);
  assert.ok(store.current.typing);
});

// ---- strangers and blocks

test("a block is said, kept, and said again on each connection; what is unblocked is not", () => {
  const store = joinedStore();
  store.received([message("mallory", "buy"), message("bob", "hi")]);
  store.choose("mallory");
  store.said();
  store.block(true);
  assert.deepEqual(store.said(), [{ type: "block", ids: ["mallory"] }]);
  reconnect(store, JOINED);
  assert.deepEqual(saidOf(store, "block"), [{ type: "block", ids: ["mallory"] }]);
  store.block(false);
  assert.deepEqual(store.said(), [{ type: "unblock", ids: ["mallory"] }]);
  reconnect(store, JOINED);
  assert.deepEqual(saidOf(store, "block"), []);
});

// ---- the connection, as it is told

test("a connection that is back at once was not away, for all that is told", () => {
  const store = joinedStore();
  store.closed(1006);
  assert.equal(store.state.quiet, true);
  store.pass(QUIET_MS);
  assert.equal(store.state.quiet, false);
  store.opened();
  store.received([RESUMED]);
  store.closed(1006);
  store.pass(QUIET_MS - 1);
  store.received([RESUMED]);
  store.closed(1006);
  store.pass(1);
  assert.equal(store.state.quiet, true, "the first loss is not the second's");
});

test("that the browser has no network is told at once", () => {
  const store = joinedStore();
  store.setOnline(false);
  store.closed(1006);
  assert.equal(store.state.quiet, false);
});

test("why there is no connection is told as long as there is none", () => {
  for (const [code, outage] of [[1001, "restarting"], [1013, "busy"], [1006, ""]]) {
    const store = joinedStore();
    store.closed(code);
    assert.equal(store.state.outage, outage);
    store.closed(1006);
    assert.equal(store.state.outage, outage, "an attempt that fails is no other reason");
    store.setOutage("full");
    assert.equal(store.state.outage, "full");
    store.received([RESUMED]);
    assert.equal(store.state.outage, "");
    store.setOutage("full");
    assert.equal(store.state.outage, "");
  }
});

test("a probe is something that the server answers, and nothing where nobody has joined", () => {
  const store = freshStore();
  store.probe();
  store.join("alice");
  store.probe();
  store.received([JOINED]);
  store.said();
  store.probe();
  assert.deepEqual(store.said(), [{ type: "watch", ids: ["alice"] }]);
  store.received([online("alice")]);
  assert.equal(store.state.conversations.size, 0);
});

// ---- after a restart of the server

/** Two messages to bob that were written while the server was away, and refused because bob is not back yet. */
function refusedAfterRestart() {
  const store = joinedStore();
  store.open("bob");
  store.closed(1001);
  for (const text of ["1", "2"]) writeTo(store, "bob", text);
  store.received([JOINED]);
  store.said();
  store.received([offline("ref 1", "bob"), offline("ref 2", "bob")]);
  assert.deepEqual(states(store), [["1", "sending"], ["2", "sending"]]);
  return store;
}

test("what was written while the server was away waits for a peer that is not back yet, with all that is written behind it", () => {
  const store = refusedAfterRestart();
  writeTo(store, "bob", "3");
  writeTo(store, "carol", "other");
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["other"]);
  store.received([online("bob")]);
  const said = saidOf(store, "send");
  assert.deepEqual(said.map(({ body }) => body), ["1", "2", "3"]);
  assert.ok(!said.some(({ ref }) => ["ref 1", "ref 2"].includes(ref)), "a ref is never used twice");
});

test("a peer that does not come back is not here in the end", () => {
  const store = refusedAfterRestart();
  store.pass(RETURN_GRACE_MS);
  const { messages } = store.current;
  assert.deepEqual(messages.map(({ state, reason }) => [state, reason.code, reason.to]), Array(2).fill(["failed", "offline", "bob"]));
  store.received([online("bob")]);
  assert.deepEqual(saidOf(store, "send"), []);
});

test("what waits for a peer goes on waiting, in order, over another loss", () => {
  const store = refusedAfterRestart();
  writeTo(store, "bob", "3");
  reconnect(store, JOINED);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["1", "2", "3"]);
});

test("what is written after the restart is refused at once", () => {
  const store = joinedStore();
  reconnect(store, JOINED);
  writeTo(store, "bob", "1");
  store.received([offline("ref 1", "bob")]);
  assert.deepEqual(states(store), [["1", "failed"]]);
});

test("after another loss a peer has all its time anew", () => {
  const store = refusedAfterRestart();
  store.pass(RETURN_GRACE_MS - 1);
  reconnect(store, JOINED);
  const refs = store.current.messages.map(({ ref }) => ref);
  store.received(refs.map((ref) => offline(ref, "bob")));
  store.pass(1);
  assert.deepEqual(states(store), [["1", "sending"], ["2", "sending"]]);
});
