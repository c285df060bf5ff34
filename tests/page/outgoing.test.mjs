/**
 * Messages of ours: how they are sent, repeated and retried, and how they get their fates.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import {
  JOINED, RESUMED, freshStore, joinedStore, writeTo, message, reconnect, sent, delivered,
  expired, online, offline, states, saidOf,
} from "./played_store.mjs";

const { RETURN_GRACE_MS } = await load("outgoing.js");
const { SENDS_MAX } = await load("protocol.js");

test("message is sending until the server has answered", () => {
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

test("unknown refs, types and keys change nothing", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.received([
    { type: "sent", ref: "?", at: 1 },
    { type: "news", ref: "ref 1" },
    { type: "signal", body: 1 },
    [],
  ]);
  assert.deepEqual(states(store), [["hello", "sending"]]);
});

test("refused message has failed, and goes again under a new ref", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.said();
  store.received([
    { type: "error", code: "offline", ref: "ref 1", to: "bob", text: "bob is not here" },
  ]);
  const [failed] = store.current.messages;
  assert.deepEqual(
    [failed.state, failed.reason.code, failed.reason.to, store.state.alert],
    ["failed", "offline", "bob", null],
  );
  store.retry(failed);
  assert.equal(failed.state, "sending");
  assert.deepEqual(store.said(), [{ type: "send", to: "bob", body: "hello", ref: "ref 2" }]);
  store.received([{ type: "sent", ref: "ref 2", at: 1 }]);
  assert.equal(failed.state, "sent");
});

test("messages written while disconnected go in order once joined", () => {
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

test("unanswered messages are repeated first, under their refs", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  writeTo(store, "bob", "2");
  writeTo(store, "bob", "3");
  store.received([sent("ref 2", "22")]);
  store.closed(1006);
  writeTo(store, "bob", "4");
  assert.deepEqual(
    states(store),
    [["1", "sending"], ["2", "sent"], ["3", "sending"], ["4", "sending"]],
  );
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

test("no more are unanswered than the server remembers", () => {
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
  store.received([
    { type: "error", code: "full", ref: "ref 1", to: "bob", text: "full" },
    sent("ref 2", "22"),
  ]);
  assert.deepEqual(refs(), [`ref ${SENDS_MAX + 2}`, `ref ${SENDS_MAX + 3}`]);
});

test("message is sent, then delivered", () => {
  const store = joinedStore();
  writeTo(store, "bob", "hello");
  store.received([{ ...sent("ref 1", "1"), held: true }]);
  assert.deepEqual(states(store), [["hello", "sent"]]);
  store.received([delivered("bob", "1")]);
  assert.deepEqual(states(store), [["hello", "delivered"]]);
});

test("fate that comes before its answer is applied", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  writeTo(store, "bob", "2");
  writeTo(store, "carol", "3");
  reconnect(store, RESUMED, delivered("bob", "11", "33"), expired("bob", "22"));
  store.received([sent("ref 1", "11"), sent("ref 2", "22"), sent("ref 3", "33")]);
  assert.deepEqual(states(store), [["3", "sent"]], "bob cannot tell of what went to carol");
  store.open("bob");
  assert.deepEqual(states(store), [["1", "delivered"], ["2", "waiting"]]);
});

test("fates of unknown mids wait for unanswered messages only", () => {
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

test("only its recipient can tell the fate of a message", () => {
  const store = joinedStore();
  store.received([message("bob", "hi", "in")]);
  writeTo(store, "bob", "hello");
  store.received([sent("ref 1", "1")]);
  store.received([
    delivered("carol", "1"), expired("carol", "1"), delivered("bob", "in", "?"),
    expired("bob", "in"),
  ]);
  assert.deepEqual(states(store), [["hi", "received"], ["hello", "sent"]]);
});

/** Returns a store whose messages to bob have expired. Bob is away. */
function expiredMessages(...texts) {
  const store = joinedStore();
  for (const text of texts) writeTo(store, "bob", text);
  store.received(texts.map((_, index) => sent(`ref ${index + 1}`, String(index + 1))));
  store.received([online("bob", false), expired("bob", ...texts.map((_, index) => `${index + 1}`))]);
  store.said();
  return store;
}

test("expired messages wait, and go once, in order, with their peer", () => {
  const store = expiredMessages("1", "2");
  assert.deepEqual(states(store), [["1", "waiting"], ["2", "waiting"]]);
  writeTo(store, "bob", "3");
  assert.deepEqual(states(store)[2], ["3", "waiting"]);
  assert.deepEqual(saidOf(store, "send"), []);
  store.received([online("bob")]);
  const sends = saidOf(store, "send");
  assert.deepEqual(sends.map(({ body }) => body), ["1", "2", "3"]);
  assert.ok(!sends.some(({ ref }) => ["ref 1", "ref 2"].includes(ref)), "a ref is never used twice");
  store.received(sends.map(({ ref }, index) => sent(ref, `again ${index}`)));
  store.received([expired("bob", "1"), online("bob", false), online("bob")]);
  assert.deepEqual(states(store), [["1", "sent"], ["2", "sent"], ["3", "sent"]]);
  assert.deepEqual(saidOf(store, "send"), []);
});

test("message that expires again waits again", () => {
  const store = expiredMessages("1");
  store.received([online("bob")]);
  const [{ ref }] = saidOf(store, "send");
  store.received([sent(ref, "2"), online("bob", false), expired("bob", "2")]);
  assert.deepEqual(states(store), [["1", "waiting"]]);
  store.received([online("bob")]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["1"]);
});

test("message whose peer was back before it expired goes at once", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  store.received([sent("ref 1", "1")]);
  reconnect(store, RESUMED, online("bob"), expired("bob", "1"));
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["1"]);
  const { ref } = store.current.messages[0];
  store.received([offline(ref, "bob")]);
  assert.deepEqual(states(store), [["1", "waiting"]]);
  assert.deepEqual(saidOf(store, "send"), [], "not again until bob is back");
});

test("message that expired before its answer came goes at once", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  reconnect(store, RESUMED, online("bob"), expired("bob", "1"), sent("ref 1", "1"));
  assert.deepEqual(saidOf(store, "send").map(({ ref }) => ref), ["ref 1", "ref 2"]);
});

test("waiting messages are tried after each join", () => {
  const store = expiredMessages("1", "2");
  for (const answer of [RESUMED, JOINED]) {
    reconnect(store, answer);
    const sends = saidOf(store, "send");
    assert.deepEqual(sends.map(({ body }) => body), ["1", "2"]);
    assert.deepEqual(states(store), [["1", "waiting"], ["2", "waiting"]]);
    store.received(sends.map(({ ref }) => offline(ref, "bob")));
    store.pass(RETURN_GRACE_MS);
    assert.deepEqual(states(store), [["1", "waiting"], ["2", "waiting"]]);
  }
});

test("withdrawn message does not go, and can be sent after all", () => {
  const store = expiredMessages("1", "2");
  const [first] = store.current.messages;
  store.withdraw(first);
  store.received([online("bob")]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["2"]);
  assert.deepEqual(states(store), [["1", "withdrawn"], ["2", "waiting"]]);
  store.withdraw(store.current.messages[1]);
  assert.deepEqual(states(store)[1], ["2", "waiting"], "it is on its way");
  store.retry(first);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["1"]);
});

test("waiting message is kept as one, and goes after a reload", () => {
  const store = expiredMessages("1");
  const [waiting] = store.takeUnsaved()?.messages ?? store.outside.kept.messages;
  const kept = {
    conversations: [{ peer: "bob", last: waiting.place, tail: [{ ...waiting }] }],
    open: [{ ...waiting }],
    mids: [],
  };
  const later = freshStore({ kept });
  later.resume("alice");
  later.opened();
  later.received([JOINED, online("bob")]);
  const sends = saidOf(later, "send");
  assert.deepEqual(sends.map(({ body }) => body), ["1"]);
  later.choose("bob");
  later.received([sent(sends[0].ref, "9")]);
  assert.deepEqual(states(later), [["1", "sent"]]);
});

test("sent message of a cleared conversation does not go again", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  store.received([sent("ref 1", "1")]);
  store.clear();
  store.received([online("bob", false), expired("bob", "1"), online("bob")]);
  assert.deepEqual(saidOf(store, "send").map(({ ref }) => ref), ["ref 1"]);
});

test("block withdraws messages that wait for the peer", () => {
  const store = expiredMessages("1", "2");
  store.block(true);
  assert.deepEqual(states(store), [["1", "withdrawn"], ["2", "withdrawn"]]);
  store.received([online("bob")]);
  assert.deepEqual(saidOf(store, "send"), []);
});

test("messages wait in the order in which they were written", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  store.received([sent("ref 1", "1")]);
  writeTo(store, "bob", "2");
  store.received([online("bob", false), expired("bob", "1")]);
  writeTo(store, "bob", "3");
  store.received([offline("ref 2", "bob")]);
  store.said();
  store.received([online("bob")]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["1", "2", "3"]);
});

test("message behind others that go again can be withdrawn", () => {
  const texts = Array.from({ length: SENDS_MAX + 2 }, (_, index) => String(index + 1));
  const store = joinedStore();
  store.received([message("bob", "hi")]);
  reconnect(store, JOINED);
  for (const text of texts) {
    writeTo(store, "bob", text);
    store.received([offline(store.current.messages.at(-1).ref, "bob")]);
  }
  store.said();
  store.received([online("bob")]);
  store.withdraw(store.current.messages.at(-2));
  const sends = saidOf(store, "send");
  store.received(sends.map(({ ref }, index) => sent(ref, `mid ${index}`)));
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), [texts.at(-1)]);
});

test("peer that has read a message was here before", () => {
  const tail = [{ peer: "bob", place: 9, mine: true, body: "0", state: "failed", ref: "r" }];
  const kept = { conversations: [{ peer: "bob", last: 9, readTo: 5, tail }], open: [], mids: [] };
  const store = joinedStore({ kept });
  reconnect(store, JOINED);
  writeTo(store, "bob", "1");
  store.received([offline(store.current.messages.at(-1).ref, "bob")]);
  assert.equal(states(store).at(-1)[1], "waiting");
});

test("forgetful server for one id is not that of the next", () => {
  const open = [
    { peer: "bob", place: 1, mine: true, body: "1", state: "sent", ref: "r", mid: "m", said: true },
  ];
  const kept = { conversations: [{ peer: "bob", last: 1, tail: open }], open, mids: [] };
  const store = joinedStore({ kept });
  store.leave();
  open[0].state = "sent";
  store.join("carol");
  store.received([RESUMED]);
  store.choose("bob");
  assert.deepEqual(states(store), [["1", "sent"]]);
});

test("expired message of a cleared conversation does not go", () => {
  const store = expiredMessages("1");
  store.clear();
  store.received([online("bob")]);
  assert.deepEqual(saidOf(store, "send"), []);
});

test("message to a known peer waits after a restart only", () => {
  for (const earlier of [
    (store) => store.received([message("bob", "hi")]),
    (store) => {
      writeTo(store, "bob", "hi");
      store.received([sent("ref 1", "1"), delivered("bob", "1")]);
    },
  ]) {
    const store = joinedStore();
    earlier(store);
    for (const state of ["failed", "waiting"]) {
      writeTo(store, "bob", "hello");
      store.received([offline(store.current.messages.at(-1).ref, "bob")]);
      assert.equal(states(store).at(-1)[1], state);
      reconnect(store, JOINED);
    }
  }
});

test("repeated fates and answers change nothing", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  writeTo(store, "bob", "2");
  store.received([
    sent("ref 1", "1"), sent("ref 2", "2"), delivered("bob", "1"), expired("bob", "2"),
  ]);
  store.received([delivered("bob", "2"), expired("bob", "1"), sent("ref 1", "1")]);
  assert.deepEqual(states(store), [["1", "delivered"], ["2", "waiting"]]);
  reconnect(store, RESUMED, delivered("bob", "1"), expired("bob", "2"));
  assert.deepEqual(states(store), [["1", "delivered"], ["2", "waiting"]]);
});

test("forgetful server makes undelivered messages doubtful", () => {
  const store = joinedStore();
  for (const text of ["delivered", "sent", "unanswered"]) writeTo(store, "bob", text);
  store.received([sent("ref 1", "1"), delivered("bob", "1"), sent("ref 2", "2")]);
  store.closed(1006);
  writeTo(store, "bob", "new");
  store.said();
  store.received([JOINED]);
  const expected = [
    ["delivered", "delivered"],
    ["sent", "doubtful"],
    ["unanswered", "failed"],
    ["new", "sending"],
  ];
  assert.deepEqual(states(store), expected);
  assert.equal(store.current.messages[2].reason.code, "forgotten");
  assert.equal(store.state.alert.code, "forgotten_all");
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["new"]);
  store.received([sent("ref 3", "3"), sent("ref 4", "4")]);
  assert.deepEqual(states(store).slice(2), [["unanswered", "failed"], ["new", "sent"]]);
});

test("doubtful message can be retried, or turn out delivered", () => {
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
  test(`forgetful server is reported for one ${answers.length ? "sent" : "said"} message`, () => {
    const store = joinedStore();
    writeTo(store, "bob", "hello");
    store.received(answers);
    reconnect(store, JOINED);
    assert.equal(store.state.alert.code, "forgotten_all");
  });
}

test("forgetful server is not reported if nothing may be lost", () => {
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

test("message too long for the server fails, and blocks no other", () => {
  const store = freshStore();
  store.resume("alice");
  writeTo(store, "bob", "x".repeat(600));
  writeTo(store, "bob", "short");
  store.received([{ ...JOINED, max_message: 512 }]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["short"]);
  assert.equal(store.current.messages[0].state, "failed");
  assert.equal(store.current.messages[0].reason.code, "long");
});

/** Two messages were written while the server was down, and refused because bob is not back yet. */
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

test("messages wait in order for a peer that has not returned", () => {
  const store = refusedAfterRestart();
  writeTo(store, "bob", "3");
  writeTo(store, "carol", "other");
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["other"]);
  store.received([online("bob")]);
  const said = saidOf(store, "send");
  assert.deepEqual(said.map(({ body }) => body), ["1", "2", "3"]);
  assert.ok(!said.some(({ ref }) => ["ref 1", "ref 2"].includes(ref)), "a ref is never used twice");
});

test("messages to a peer that does not return fail", () => {
  const store = refusedAfterRestart();
  store.pass(RETURN_GRACE_MS);
  const { messages } = store.current;
  assert.deepEqual(
    messages.map(({ state, reason }) => [state, reason.code, reason.to]),
    Array(2).fill(["failed", "offline", "bob"]),
  );
  store.received([online("bob")]);
  assert.deepEqual(saidOf(store, "send"), []);
});

test("messages to a known peer that does not return wait", () => {
  const store = refusedAfterRestart();
  store.received([message("bob", "from an earlier day")]);
  store.pass(RETURN_GRACE_MS);
  assert.deepEqual(states(store).slice(0, 2), [["1", "waiting"], ["2", "waiting"]]);
  store.received([online("bob")]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["1", "2"]);
});

test("parked messages stay in order over another loss", () => {
  const store = refusedAfterRestart();
  writeTo(store, "bob", "3");
  reconnect(store, JOINED);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["1", "2", "3"]);
});

test("message written after the restart is refused at once", () => {
  const store = joinedStore();
  reconnect(store, JOINED);
  writeTo(store, "bob", "1");
  store.received([offline("ref 1", "bob")]);
  assert.deepEqual(states(store), [["1", "failed"]]);
});

test("another loss gives a peer the whole grace again", () => {
  const store = refusedAfterRestart();
  store.pass(RETURN_GRACE_MS - 1);
  reconnect(store, JOINED);
  const refs = store.current.messages.map(({ ref }) => ref);
  store.received(refs.map((ref) => offline(ref, "bob")));
  store.pass(1);
  assert.deepEqual(states(store), [["1", "sending"], ["2", "sending"]]);
});
