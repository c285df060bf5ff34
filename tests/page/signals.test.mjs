/**
 * Presence and signals, those to peers and those of peers.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import {
  JOINED, RESUMED, joinedStore, writeTo, message, reconnect, sent, online, signal, saidOf,
} from "./played_store.mjs";

const { TYPING_MS_EVERY, TYPING_MS_SHOWN } = await load("signals.js");

test("presence is known for the present connection only", () => {
  const store = joinedStore();
  store.open("bob");
  assert.equal(store.current.presence, "");
  store.received([
    { type: "presence", id: "bob", online: true },
    { type: "presence", id: "nobody", online: true },
  ]);
  assert.equal(store.current.presence, "online");
  store.received([{ type: "presence", id: "bob", online: false }]);
  assert.equal(store.current.presence, "away");
  store.closed(1006);
  assert.equal(store.current.presence, "");
});

/** Takes the signals of read messages that were said, as pairs of peer and mid. */
function reads(store) {
  const signals = saidOf(store, "signal").filter(({ body }) => body.read);
  return signals.map(({ to, body }) => [to, body.read]);
}

test("read messages are told once, with the last mid", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([message("bob", "1", "1"), message("bob", "2", "2")]);
  const [first, second] = store.current.messages;
  store.seen(first);
  store.seen(second);
  store.seen(second);
  assert.deepEqual(reads(store), [["bob", "1"], ["bob", "2"]]);
});

test("returning peer is told again what we have read", () => {
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

test("strangers and blocked peers are told nothing", () => {
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
  const block = (store) => {
    store.accept();
    store.block(true);
  };
  const turnOff = (store) => {
    store.accept();
    store.changeSetting("read", false);
    store.changeSetting("typing", false);
  };
  for (const change of [() => {}, block, turnOff]) assert.deepEqual(bob(change), []);
  assert.equal(bob((store) => store.accept()).length, 2);
});

test("answer accepts a stranger and tells what we have read", () => {
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

test("peer opened by id is accepted, one from the list is not", () => {
  const store = joinedStore();
  store.received([message("bob", "1"), message("carol", "2")]);
  store.choose("bob");
  assert.equal(store.current.accepted, false);
  store.open("carol");
  assert.equal(store.current.accepted, true);
  store.open("dave");
  assert.equal(store.current.accepted, true);
});

test("messages are read up to the mid that their peer names", () => {
  const store = joinedStore();
  for (const text of ["1", "2", "3"]) writeTo(store, "bob", text);
  store.received([
    message("bob", "theirs", "t"), sent("ref 1", "1"), sent("ref 2", "2"), sent("ref 3", "3"),
  ]);
  const [, second] = store.current.messages;
  store.received([
    signal("carol", { read: "3" }), signal("bob", { read: "t" }), signal("bob", { read: 3 }),
    signal("bob", null),
  ]);
  assert.equal(store.current.readTo, 0);
  store.received([signal("bob", { read: "2" }), signal("bob", { read: "1" })]);
  assert.equal(store.current.readTo, second.place);
});

test("typing is told seldom, and not for an empty draft", () => {
  const store = joinedStore();
  store.open("bob");
  store.said();
  for (const text of ["", "a", "ab"]) store.draft(text);
  assert.deepEqual(store.said(), [{ type: "signal", to: "bob", body: { typing: true } }]);
  store.pass(TYPING_MS_EVERY);
  store.draft("abc");
  assert.equal(saidOf(store, "signal").length, 1);
});

test("peer stops typing after a signal, message, loss or time", () => {
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

test("peer that goes on typing is still shown as typing", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([signal("bob", { typing: true })]);
  store.pass(TYPING_MS_SHOWN - 1);
  store.received([signal("bob", { typing: true })]);
  store.pass(1);
  assert.ok(store.current.typing);
});

test("block is said on each connection until it is undone", () => {
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
