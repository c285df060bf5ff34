/**
 * The batches for the storage, and the messages of an earlier visit.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import {
  JOINED, RESUMED, NOTHING_KEPT, freshStore, joinedStore, writeTo, message, sent, delivered,
  states, saidOf,
} from "./played_store.mjs";

const { PAGE_MESSAGES } = await load("conversations.js");

test("message is acknowledged once it is kept, not before", () => {
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

test("batch of another id or connection is not acknowledged", () => {
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
  const kept = () => {
    const messages = [...(store.takeUnsaved()?.messages ?? [])];
    return messages.map(({ state, said }) => [state, said]);
  };
  writeTo(store, "bob", "1");
  assert.deepEqual(kept(), [["sending", true]]);
  const steps = [[sent("ref 1", "1"), "sent"], [delivered("bob", "1"), "delivered"]];
  for (const [line, state] of steps) {
    store.received([line]);
    assert.deepEqual([...store.outside.kept.messages].map((one) => one.state), [state]);
  }
});

test("kept conversations and mids are known again", () => {
  const tail = [
    { peer: "bob", place: 5, mine: false, body: "kept", at: 1, state: "received", mid: "old" },
  ];
  const kept = {
    conversations: [
      { peer: "carol", last: 1, tail: [] },
      { peer: "bob", last: 5, draft: "dra", unread: 1, accepted: true, tail },
    ],
    open: [],
    mids: ["old"],
  };
  const store = joinedStore({ kept });
  assert.deepEqual([...store.state.conversations.keys()], ["carol", "bob"]);
  store.received([message("bob", "kept", "old")]);
  assert.deepEqual(saidOf(store, "ack"), [{ type: "ack", to: "bob", mids: ["old"] }]);
  store.choose("bob");
  const { draft, messages, unread } = store.current;
  assert.deepEqual([draft, messages.length, unread], ["dra", 1, 1]);
});

/** Messages without a fate, as an earlier visit left them. */
function openOnes() {
  const ours = (place, rest) => ({ peer: "bob", place, mine: true, at: 1, ...rest });
  return [
    ours(1, { body: "sent", state: "sent", ref: "r1", mid: "m1", said: true }),
    ours(2, { body: "said", state: "sending", ref: "r2", said: true }),
    ours(3, { body: "unsaid", state: "sending", ref: "r3" }),
  ];
}

/** Takes up the messages of an earlier visit, with this answer to the `join`. */
function visitAgain(answer) {
  const open = openOnes();
  const conversations = [{ peer: "bob", last: 3, accepted: true, tail: [{ ...open[2] }] }];
  const store = freshStore({ kept: { conversations, open, mids: [] } });
  store.resume("alice");
  store.opened();
  store.received([answer]);
  return { store, open };
}

test("open messages of an earlier visit go on", () => {
  const { store } = visitAgain(RESUMED);
  const sends = saidOf(store, "send").map(({ ref, body }) => [ref, body]);
  assert.deepEqual(sends, [["r2", "said"], ["r3", "unsaid"]]);
  store.received([sent("r2", "m2"), sent("r3", "m3"), delivered("bob", "m1", "m2")]);
  store.choose("bob");
  assert.deepEqual(states(store), [["unsaid", "sent"]]);
});

test("said messages of an earlier visit may be lost", () => {
  const { store, open } = visitAgain(JOINED);
  assert.deepEqual(saidOf(store, "send").map(({ ref }) => ref), ["r3"]);
  assert.deepEqual(open.map(({ state }) => state), ["doubtful", "failed", "sending"]);
  assert.equal(store.state.alert.code, "forgotten_all");
});

test("loaded page goes in front, open messages stay the same", () => {
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

test("page loaded for a cleared conversation is ignored", () => {
  const { store } = visitAgain(RESUMED);
  store.choose("bob");
  store.clear();
  store.loaded("bob", openOnes().slice(0, 2), false);
  assert.deepEqual(states(store), []);
});

test("closed conversation leaves a page in memory", () => {
  for (const [kept, left] of [[NOTHING_KEPT, PAGE_MESSAGES], [null, PAGE_MESSAGES + 5]]) {
    const store = joinedStore({ kept });
    store.open("bob");
    store.received(
      Array.from({ length: PAGE_MESSAGES + 5 }, (_, index) => message("bob", String(index))),
    );
    store.back();
    const bob = store.state.conversations.get("bob");
    assert.deepEqual([bob.messages.length, bob.earlier], [left, left === PAGE_MESSAGES]);
  }
});

test("cleared messages are neither kept nor sent", () => {
  const store = joinedStore({ keeps: false });
  writeTo(store, "bob", "said");
  store.closed(1006);
  writeTo(store, "bob", "unsaid");
  store.clear();
  const batch = store.takeUnsaved();
  assert.deepEqual(
    [[...batch.cleared], batch.messages.size, batch.conversations.size],
    [["bob"], 0, 1],
  );
  store.said();
  store.received([RESUMED, sent("ref 1", "1"), delivered("bob", "1")]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["said"]);
  assert.deepEqual([...(store.takeUnsaved()?.messages ?? [])], []);
  assert.equal(store.current.messages.length, 0);
});

test("browser that keeps nothing is reported once", () => {
  const store = joinedStore({ kept: null });
  assert.deepEqual([store.state.kept, store.state.alert.code], [false, "unkept"]);
  store.received([message("bob", "1", "1")]);
  assert.deepEqual(saidOf(store, "ack"), [{ type: "ack", to: "bob", mids: ["1"] }]);
  store.setAlert(null);
  store.unkept();
  assert.equal(store.state.alert, null);
});

test("storage that is full is reported once", () => {
  const store = joinedStore();
  store.unkept();
  assert.equal(store.state.alert.code, "unkept");
});
