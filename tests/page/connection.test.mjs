/**
 * The connection: when it is wanted, how its loss is shown, and which tab has it.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import {
  JOINED, RESUMED, NOTHING_KEPT, freshStore, joinedStore, writeTo, message, online, saidOf, sent,
} from "./played_store.mjs";

const { QUIET_MS } = await load("identity.js");

for (const code of [1000, 1001, 1006, 1013, 4000]) {
  test(`connection is wanted again after a close with ${code}`, () => {
    const store = joinedStore();
    store.closed(code);
    assert.equal(store.state.connection, "lost");
    assert.equal(store.wanted, true);
  });
}

test("connection after 4001 is not wanted until asked for", () => {
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

test("unanswered messages survive 4001 without a storage", () => {
  const store = joinedStore({ kept: null });
  writeTo(store, "bob", "hello");
  store.closed(4001);
  store.resume("alice", true);
  store.opened();
  store.said();
  store.received([RESUMED]);
  assert.deepEqual(
    saidOf(store, "send"),
    [{ type: "send", to: "bob", body: "hello", ref: "ref 1" }],
  );
});

test("another tab keeps arrived messages, this one its own", () => {
  const store = freshStore({ keeps: false });
  store.join("alice");
  store.received([JOINED]);
  writeTo(store, "bob", "mine");
  store.received([message("bob", "theirs")]);
  store.replaced();
  assert.deepEqual([...store.takeUnsaved().messages].map(({ body }) => body), ["mine"]);
  assert.equal(store.wanted, false);
});

test("kept messages of an id that was left are not taken up", () => {
  const store = freshStore();
  for (const answer of ["restored", "claimedElsewhere"]) {
    store.join("alice");
    store.leave();
    store[answer]("alice", NOTHING_KEPT);
    assert.deepEqual([store.state.connection, store.wanted], ["none", false]);
  }
});

test("connection that is back at once is never shown as lost", () => {
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

test("lost network is shown at once", () => {
  const store = joinedStore();
  store.setOnline(false);
  store.closed(1006);
  assert.equal(store.state.quiet, false);
});

test("outage is shown until there is a connection", () => {
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

test("probe is answered, and is said only once joined", () => {
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

test("nobody is present for an id that is taken up again", () => {
  const store = joinedStore({ kept: null });
  store.open("bob");
  store.received([online("bob")]);
  store.resume("alice");
  assert.equal(store.current.presence, "");
});

test("answer is awaited for a join, a message and a probe", () => {
  const store = freshStore();
  store.join("alice");
  store.opened();
  assert.equal(store.awaitsAnswer, true);
  store.received([JOINED]);
  assert.equal(store.awaitsAnswer, false);
  writeTo(store, "bob", "hello");
  assert.equal(store.awaitsAnswer, true);
  store.received([sent("ref 1", "1")]);
  assert.equal(store.awaitsAnswer, false);
  for (const end of [() => store.received([online("alice")]), () => store.closed(1006)]) {
    store.probe();
    store.received([online("bob")]);
    assert.equal(store.awaitsAnswer, true);
    end();
    store.received([RESUMED]);
    assert.equal(store.awaitsAnswer, false);
  }
});
