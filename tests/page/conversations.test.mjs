/**
 * The list of conversations, the open one, and its draft.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import {
  JOINED, joinedStore, writeTo, message, offline, online, sent, signal, states, saidOf,
} from "./played_store.mjs";

const { CONVERSATIONS_MAX, MESSAGES_MAX } = await load("conversations.js");
const { standing } = await load("state.js");

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

test("typed id is alike to a known one that differs by case only", () => {
  const store = joinedStore();
  for (const peer of ["bob", "Zo\u00eb"]) store.open(peer);
  assert.equal(store.alike(" Bob "), "bob");
  assert.equal(store.alike("ZOE\u0308"), "Zo\u00eb");
  for (const typed of ["bob", "bobby", "", "not an id"]) assert.equal(store.alike(typed), "", typed);
  store.open("Bob");
  assert.equal(store.alike("Bob"), "");
});

test("deleted conversation is no longer kept, listed or watched", () => {
  const store = joinedStore({ keeps: false });
  writeTo(store, "bob", "hello");
  store.takeUnsaved();
  store.said();
  store.remove();
  assert.equal(store.current, undefined);
  assert.equal(store.state.conversations.size, 0);
  assert.deepEqual(store.said(), [{ type: "unwatch", ids: ["bob"] }]);
  const { cleared, conversations, messages } = store.takeUnsaved();
  assert.deepEqual([[...cleared], conversations.size, messages.size], [["bob"], 0, 0]);
  store.remove();
});

test("deleted conversation of a blocked peer is hidden until opened", () => {
  const store = joinedStore({ keeps: false });
  writeTo(store, "bob", "hello");
  store.draft("half a thou");
  store.block(true);
  store.said();
  store.remove();
  const bob = store.state.conversations.get("bob");
  assert.deepEqual([bob.hidden, bob.blocked, bob.draft, bob.messages], [true, true, "", []]);
  const [kept] = store.takeUnsaved().conversations;
  assert.deepEqual([kept.peer, kept.hidden], ["bob", true]);
  assert.deepEqual(store.said(), []);
  store.open("bob");
  assert.deepEqual([bob.hidden, bob.blocked], [false, true]);
});

test("message taken before a block shows a deleted conversation again", () => {
  const store = joinedStore();
  store.open("bob");
  store.block(true);
  store.remove();
  store.received([message("bob", "sent before")]);
  assert.equal(store.state.conversations.get("bob").hidden, false);
});

test("peer without any sign of its existence stands as nobody", () => {
  const store = joinedStore();
  const stands = () => standing(store.current);
  writeTo(store, "bob", "anybody?");
  const [{ ref }] = saidOf(store, "send");
  assert.equal(stands(), "");
  store.received([online("bob", false)]);
  assert.equal(stands(), "nobody");
  store.received([offline(ref, "bob")]);
  assert.equal(stands(), "nobody");
  store.draft("and now?");
  store.write();
  store.received([sent(saidOf(store, "send")[0].ref, "mid")]);
  assert.equal(stands(), "away", "the server holds the message for bob");
  store.received([online("bob"), signal("bob", { typing: true })]);
  assert.equal(stands(), "typing");
  store.block(true);
  assert.equal(stands(), "isBlocked");
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
