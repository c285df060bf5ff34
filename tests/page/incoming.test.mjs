/**
 * Messages to us: how they are acknowledged, and known again.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import {
  JOINED, RESUMED, joinedStore, writeTo, message, reconnect, sent, delivered, states, saidOf,
} from "./played_store.mjs";

const { KNOWN_MAX } = await load("arrivals.js");
const { CONVERSATIONS_MAX } = await load("conversations.js");

test("messages are acknowledged by sender, one line for a text", () => {
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

test("repeated message is acknowledged again, but not shown", () => {
  const store = joinedStore();
  store.received([message("bob", "1", "1"), message("bob", "2", "2")]);
  reconnect(
    store, RESUMED, message("bob", "2", "2"), message("bob", "3", "3"), message("bob", "3", "3"),
  );
  assert.deepEqual(saidOf(store, "ack"), [{ type: "ack", to: "bob", mids: ["2", "3", "3"] }]);
  store.open("bob");
  assert.deepEqual(states(store).map(([body]) => body), ["1", "2", "3"]);
});

test("numbered message is shown once, whatever its mid", () => {
  const store = joinedStore();
  const numbered = (peer, mid) => message(peer, { text: "hi", number: 7 }, mid);
  store.received([numbered("bob", "1"), numbered("bob", "2"), numbered("carol", "3")]);
  store.received([message("bob", { text: "other", number: 8 }, "4")]);
  store.received([message("bob", { body: { any: 1 }, number: 9 }, "5")]);
  assert.deepEqual(saidOf(store, "ack").map(({ to, mids }) => [to, ...mids]), [
    ["bob", "1", "2"], ["carol", "3"], ["bob", "4"], ["bob", "5"],
  ]);
  store.open("bob");
  assert.deepEqual(states(store).map(([body]) => body), ["hi", "other", { any: 1 }]);
  store.open("carol");
  assert.deepEqual(states(store).map(([body]) => body), ["hi"]);
});

test("only the latest mids are known again", () => {
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

test("another id does not know earlier mids", () => {
  const store = joinedStore();
  store.received([message("bob", "1", "1")]);
  store.leave();
  store.join("alice");
  store.received([JOINED, message("bob", "1", "1")]);
  store.open("bob");
  assert.equal(store.current.messages.length, 1);
});

for (const max_message of [512, 4096, 65536]) {
  test(`lists fit a server that takes ${max_message} bytes`, () => {
    const store = joinedStore();
    const peers = Array.from(
      { length: CONVERSATIONS_MAX }, (_, index) => String(index).padStart(64, "x"),
    );
    const mids = Array.from({ length: 1000 }, (_, index) => String(index).padStart(32, "0"));
    store.received(peers.map((peer) => message(peer, "hi")));
    store.closed(1006);
    store.said();
    store.received([
      { ...RESUMED, max_message },
      ...mids.map((mid) => message(peers[0], mid, mid)),
    ]);
    const lines = store.said();
    for (const line of lines) {
      assert.ok(JSON.stringify(line).length <= max_message);
      assert.ok((line.ids ?? line.mids).length <= 256);
    }
    assert.deepEqual(lines.flatMap(({ ids }) => ids ?? []), peers);
    assert.deepEqual(lines.flatMap((line) => line.mids ?? []), mids);
  });
}

test("note to ourselves is shown once, whatever comes first", () => {
  const arrival = message("alice", "note", "1");
  for (const lines of [[sent("ref 1", "1"), arrival], [arrival, sent("ref 1", "1")]]) {
    const store = joinedStore();
    writeTo(store, "alice", "note");
    store.received(lines);
    assert.deepEqual(saidOf(store, "ack"), [{ type: "ack", to: "alice", mids: ["1"] }]);
    store.received([delivered("alice", "1"), arrival]);
    assert.deepEqual(states(store), [["note", "delivered"]]);
    assert.deepEqual([store.current.unread, store.outside.arrived], [0, []]);
  }
});

test("note of a visit that was not kept is shown", () => {
  const store = joinedStore();
  store.received([message("alice", "note", "1")]);
  store.open("alice");
  assert.deepEqual(states(store), [["note", "received"]]);
});

test("we do not tell ourselves that we type or read", () => {
  const store = joinedStore();
  store.received([message("alice", "note", "1")]);
  writeTo(store, "alice", "another");
  store.seen(store.current.messages[0]);
  assert.deepEqual(saidOf(store, "signal"), []);
});
