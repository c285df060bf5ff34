/**
 * The store: gestures and lines in, what is said and what is known out. No browser, no socket, no clock.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { createStore, isId, normalId, CONVERSATIONS_MAX, KNOWN_MAX, MESSAGES_MAX, SENDS_MAX } = await load("store.js");

const JOINED = { type: "joined", id: "alice", resumed: false, held: 0, max_message: 65536, hold: 600 };
const RESUMED = { ...JOINED, resumed: true };

/** A store, the lines that it said and not yet taken, and how many notices it gave. */
function freshStore() {
  const said = [];
  let notices = 0;
  let refs = 0;
  const store = createStore({
    key: "the key",
    say: (line) => said.push(line),
    changed: () => { notices += 1; },
    newRef: () => `ref ${++refs}`,
    now: () => 1000,
  });
  return { ...store, said: () => said.splice(0), notices: () => notices };
}

/** One that has joined as alice, its `join` taken. */
function joinedStore() {
  const store = freshStore();
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
const states = (store) => store.current().messages.map(({ body, state }) => [body, state]);
const saidOf = (store, wanted) => store.said().filter(({ type }) => type === wanted);

test("an id is claimed with the key, and is ours when the server says so", () => {
  const store = freshStore();
  store.join(" alice ");
  assert.equal(store.state.connection, "joining");
  assert.equal(store.wanted(), true);
  store.opened();
  assert.deepEqual(store.said(), [{ type: "join", id: "alice", key: "the key" }]);
  store.received([JOINED]);
  assert.equal(store.state.connection, "joined");
});

test("an empty id is not claimed, and a second claim waits for the answer to the first", () => {
  const store = freshStore();
  store.join("  ");
  assert.equal(store.state.connection, "none");
  store.join("alice");
  store.join("bob");
  assert.equal(store.state.id, "alice");
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
    assert.deepEqual({ connection, id, alert }, { connection: "none", id: "alice", alert: "no" });
    assert.equal(store.wanted(), false);
    store.join("alice2");
    assert.equal(store.state.alert, "");
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

test("leaving is said, and nothing stays", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.said();
  store.leave();
  assert.deepEqual(store.said(), [{ type: "leave" }]);
  const { connection, id, openPeer, conversations } = store.state;
  assert.deepEqual([connection, id, openPeer, conversations.size], ["none", "", "", 0]);
  for (const answer of [RESUMED, JOINED]) {
    store.join("carol");
    store.received([answer]);
    assert.deepEqual(saidOf(store, "send"), []);
    assert.equal(store.state.alert, "");
    for (let count = 0; count <= SENDS_MAX; count += 1) writeTo(store, "bob", "hello");
    store.leave();
    store.said();
  }
});

test("each gesture and each text is one notice", () => {
  const store = freshStore();
  store.join("alice");
  store.received([JOINED, message("bob", "1"), message("bob", "2"), message("carol", "3")]);
  assert.equal(store.notices(), 2);
});

test("a message is sending until the server has answered", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  assert.deepEqual(states(store), [["hello", "sending"]]);
  assert.equal(store.current().draft, "");
  assert.deepEqual(store.said(), [
    { type: "watch", ids: ["bob"] },
    { type: "send", to: "bob", body: "hello", ref: "ref 1" },
  ]);
  store.received([sent("ref 1", "9")]);
  assert.deepEqual(states(store), [["hello", "sent"]]);
  assert.equal(store.current().messages[0].at, 3000);
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
  const [failed] = store.current().messages;
  assert.deepEqual([failed.state, failed.reason, store.state.alert], ["failed", "bob is not here", ""]);
  store.retry(failed);
  assert.equal(failed.state, "sending");
  assert.deepEqual(store.said(), [{ type: "send", to: "bob", body: "hello", ref: "ref 2" }]);
  store.received([{ type: "sent", ref: "ref 2", at: 1 }]);
  assert.equal(failed.state, "sent");
});

test("an error that belongs to no message is shown until it is dismissed", () => {
  const store = joinedStore();
  store.received([{ type: "error", code: "too_many", text: "too many watched" }]);
  assert.equal(store.state.alert, "too many watched");
  assert.equal(store.state.connection, "joined");
  store.dismiss();
  assert.equal(store.state.alert, "");
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
  assert.equal(store.state.alert, "");
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
  const [failed] = store.current().messages;
  assert.deepEqual([failed.state, failed.reason], ["failed", "bob left, or did not come back in time"]);
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
  assert.match(store.current().messages[2].reason, /may or may not have arrived/);
  assert.match(store.state.alert, /may be lost/);
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
  store.retry(store.current().messages[0]);
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
    assert.match(store.state.alert, /may be lost/);
  });
}

test("that the server has forgotten is not said where nothing may be lost, the first time above all", () => {
  const store = freshStore();
  store.resume("alice");
  writeTo(store, "bob", "written before the first joined");
  store.opened();
  store.received([JOINED]);
  assert.deepEqual([store.state.alert, states(store)[0][1]], ["", "sending"]);
  store.received([sent("ref 1", "1"), delivered("bob", "1")]);
  reconnect(store, JOINED);
  assert.deepEqual([store.state.alert, states(store)[0][1]], ["", "delivered"]);
});

for (const code of [1000, 1001, 1006, 1013, 4000]) {
  test(`after a close with ${code} a connection is wanted again`, () => {
    const store = joinedStore();
    store.closed(code);
    assert.equal(store.state.connection, "lost");
    assert.equal(store.wanted(), true);
  });
}

test("after 4001 no connection is wanted until the reader says so; then what was unanswered is repeated", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.closed(4001);
  assert.equal(store.state.connection, "replaced");
  assert.equal(store.wanted(), false);
  store.network(true);
  store.look(true);
  assert.equal(store.wanted(), false);
  store.resume(store.state.id);
  assert.equal(store.wanted(), true);
  store.opened();
  store.said();
  store.received([RESUMED]);
  assert.deepEqual(saidOf(store, "send"), [{ type: "send", to: "bob", body: "hello", ref: "ref 1" }]);
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
  assert.equal(store.current().messages.at(-1).body, `mid-${KNOWN_MAX - 2}`);
  come("second");
  assert.equal(store.current().messages.at(-1).body, "second");
});

test("another id knows nothing of the mids of the one before", () => {
  const store = joinedStore();
  store.received([message("bob", "1", "1")]);
  store.leave();
  store.join("alice");
  store.received([JOINED, message("bob", "1", "1")]);
  store.open("bob");
  assert.equal(store.current().messages.length, 1);
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
  store.open("carol");
  assert.equal(store.current().unread, 0);
});

test("what arrives in the open conversation is read if the page can be seen", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([message("bob", "1")]);
  assert.equal(store.current().unread, 0);
  store.look(false);
  store.received([message("bob", "2")]);
  assert.equal(store.current().unread, 1);
  store.look(true);
  assert.equal(store.current().unread, 0);
  store.back();
  store.received([message("bob", "3")]);
  assert.equal(store.state.conversations.get("bob").unread, 1);
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
  assert.deepEqual(store.current().messages.map(({ body }) => body), bodies);
});

test("a draft stays with its conversation", () => {
  const store = joinedStore();
  store.open("bob");
  store.draft("for bob");
  store.open("carol");
  assert.equal(store.current().draft, "");
  store.open("bob");
  assert.equal(store.current().draft, "for bob");
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
  assert.match(store.state.alert, /too long/);
  assert.deepEqual(states(store), []);
  assert.notEqual(store.current().draft, "");

  const fitting = joinedStore();
  writeTo(fitting, "bob", "x".repeat(room));
  assert.equal(fitting.state.alert, "");
  assert.equal(fitting.current().messages.length, 1);
});

test("a line that turns out to be too long for the server fails, and holds nothing up", () => {
  const store = freshStore();
  store.resume("alice");
  writeTo(store, "bob", "x".repeat(600));
  writeTo(store, "bob", "short");
  store.received([{ ...JOINED, max_message: 512 }]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["short"]);
  assert.equal(store.current().messages[0].state, "failed");
  assert.match(store.current().messages[0].reason, /^too long/);
});

test("presence is what the server told on this connection", () => {
  const store = joinedStore();
  store.open("bob");
  assert.equal(store.current().presence, "");
  store.received([{ type: "presence", id: "bob", online: true }, { type: "presence", id: "nobody", online: true }]);
  assert.equal(store.current().presence, "online");
  store.received([{ type: "presence", id: "bob", online: false }]);
  assert.equal(store.current().presence, "away");
  store.closed(1006);
  assert.equal(store.current().presence, "");
});

test("an impossible peer is refused and does not get among the watched", () => {
  const store = joinedStore();
  store.open("not an id");
  assert.match(store.state.alert, /not an id/);
  assert.equal(store.state.conversations.size, 0);
  assert.deepEqual(store.said(), []);
});

test("the oldest messages of a conversation are forgotten", () => {
  const store = joinedStore();
  store.received(Array.from({ length: MESSAGES_MAX + 3 }, (_, index) => message("bob", String(index))));
  store.open("bob");
  assert.equal(store.current().messages.length, MESSAGES_MAX);
  assert.equal(store.current().messages[0].body, "3");
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
