/**
 * The list of conversations, the open one, and its draft.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { JOINED, joinedStore, writeTo, message, states, saidOf } from "./played_store.mjs";

const { CONVERSATIONS_MAX, MESSAGES_MAX } = await load("conversations.js");

test("stranger's message starts a conversation, but opens none", () => {
  const store = joinedStore();
  store.open("bob");
  store.said();
  store.received([message("carol", "hi"), message("carol", "hi?")]);
  assert.equal(store.state.openPeer, "bob");
  assert.equal(store.state.conversations.get("carol").unread, 2);
  assert.deepEqual(saidOf(store, "watch"), [{ type: "watch", ids: ["carol"] }]);
});

test("messages in view are read while the page is visible", () => {
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

test("unseen messages are new when opened, until answered", () => {
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

test("messages to a hidden page are new", () => {
  const store = joinedStore();
  store.open("bob");
  store.received([message("bob", "1")]);
  store.setVisible(false);
  store.received([message("bob", "2"), message("bob", "3")]);
  assert.equal(store.current.newAfter, store.current.messages[0].place);
});

test("latest conversation is the last one", () => {
  const store = joinedStore();
  store.received([message("bob", "1"), message("carol", "2"), message("bob", "3")]);
  assert.deepEqual([...store.state.conversations.keys()], ["carol", "bob"]);
});

test("body may be any JSON value", () => {
  const store = joinedStore();
  const bodies = [null, 0, false, "", [], JSON.parse(`{"toString":1,"__proto__":2}`), "\u202etxt"];
  store.received(bodies.map((body) => message("bob", body)));
  store.open("bob");
  assert.deepEqual(store.current.messages.map(({ body }) => body), bodies);
});

test("draft stays with its conversation", () => {
  const store = joinedStore();
  store.open("bob");
  store.draft("for bob");
  store.open("carol");
  assert.equal(store.current.draft, "");
  store.open("bob");
  assert.equal(store.current.draft, "for bob");
});

test("draft of white space is not sent", () => {
  const store = joinedStore();
  writeTo(store, "bob", " \n ");
  assert.deepEqual(states(store), []);
});

test("draft that is too long stays, and an alert tells it", () => {
  const empty = { type: "send", to: "bob", body: "", ref: "ref 1" };
  const capacity = JOINED.max_message - JSON.stringify(empty).length;
  const store = joinedStore();
  writeTo(store, "bob", "\u00eb".repeat(capacity / 2 + 1));
  assert.equal(store.state.alert.code, "long");
  assert.deepEqual(states(store), []);
  assert.notEqual(store.current.draft, "");

  const fitting = joinedStore();
  writeTo(fitting, "bob", "x".repeat(capacity));
  assert.equal(fitting.state.alert, null);
  assert.equal(fitting.current.messages.length, 1);
});

test("impossible peer is refused, and never watched", () => {
  const store = joinedStore();
  store.open("not an id");
  assert.deepEqual(store.state.alert, { code: "bad_id", to: "not an id" });
  assert.equal(store.state.conversations.size, 0);
  assert.deepEqual(store.said(), []);
});

test("oldest messages of a conversation are forgotten", () => {
  const store = joinedStore();
  store.received(
    Array.from({ length: MESSAGES_MAX + 3 }, (_, index) => message("bob", String(index))),
  );
  store.open("bob");
  assert.equal(store.current.messages.length, MESSAGES_MAX);
  assert.equal(store.current.messages[0].body, "3");
});

test("strangers push out strangers, and no others", () => {
  const store = joinedStore();
  writeTo(store, "friend", "hello");
  store.open("open");
  store.said();
  const strangers = Array.from(
    { length: CONVERSATIONS_MAX + 8 }, (_, index) => message(`stranger${index}`, "buy"),
  );
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
