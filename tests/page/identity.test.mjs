/**
 * Our id: how it is claimed, refused, given up.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import {
  JOINED, RESUMED, freshStore, joinedStore, writeTo, message, saidOf,
} from "./played_store.mjs";

const { isId, normalId } = await load("ids.js");
const { SENDS_MAX } = await load("protocol.js");

test("entered id is ours once the server confirms it", () => {
  const store = freshStore();
  store.join(" alice ");
  assert.equal(store.state.connection, "joining");
  assert.equal(store.wanted, true);
  store.opened();
  assert.deepEqual(store.said(), [{ type: "join", id: "alice", key: "key of alice" }]);
  store.received([JOINED]);
  assert.equal(store.state.connection, "joined");
});

test("id is claimed once, unless it is empty or another follows", () => {
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

test("entered ids are normalised", () => {
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
  test(`${code} leads back to the join screen, which keeps the id`, () => {
    const store = freshStore();
    store.join("alice");
    store.opened();
    store.received([{ type: "error", code, text: "no" }]);
    const { connection, id, alert } = store.state;
    assert.deepEqual(
      { connection, id, code: alert.code },
      { connection: "none", id: "alice", code },
    );
    assert.equal(store.wanted, false);
    store.join("alice2");
    assert.equal(store.state.alert, null);
  });
}

test("id that was ours and is refused can be tried again", () => {
  for (const earlier of ["in this visit", "in an earlier visit"]) {
    const store = earlier === "in this visit" ? joinedStore() : freshStore();
    if (earlier === "in this visit") store.closed(1006);
    else store.resume("alice");
    for (let attempt = 0; attempt < 2; attempt += 1) {
      store.opened();
      store.received([{ type: "error", code: "id_taken", text: "no" }]);
      const { connection, id, ours, alert } = store.state;
      assert.deepEqual([connection, id, ours, alert.code], ["none", "alice", true, "id_lost"], earlier);
      store.join("alice");
      assert.equal(store.wanted, true);
    }
    store.received([JOINED]);
    assert.equal(store.state.connection, "joined");
  }
});

test("id of another is not ours, also after our own", () => {
  const store = joinedStore();
  store.leave();
  for (const id of ["alice", "carol"]) {
    store.join(id);
    store.received([{ type: "error", code: "id_taken", text: "no" }]);
    assert.deepEqual([store.state.ours, store.state.alert.code], [false, "id_taken"]);
  }
});

test("reader who waits for the server hears so and can give up", () => {
  const store = freshStore();
  store.join("alice");
  assert.equal(store.state.outage, "");
  store.closed(1006);
  assert.deepEqual([store.state.connection, store.state.outage], ["joining", "unreachable"]);
  store.setOutage("full");
  store.closed(1006);
  assert.equal(store.state.outage, "full");
  store.cancelJoin();
  const { connection, id, outage } = store.state;
  assert.deepEqual([connection, id, outage, store.wanted], ["none", "alice", "", false]);
  store.join("alice2");
  store.received([JOINED]);
  store.cancelJoin();
  assert.equal(store.state.connection, "joined");
});

test("refused id finds its conversations again, another does not", () => {
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

test("inviter is known until its conversation is opened", () => {
  const store = freshStore();
  store.invited(" bo\u0308b ");
  assert.equal(store.state.invite, "b\u00f6b");
  store.join("alice");
  store.received([{ type: "error", code: "id_taken", text: "no" }]);
  assert.equal(store.state.invite, "b\u00f6b");
  store.join("carol");
  store.received([JOINED]);
  store.open("b\u00f6b");
  assert.equal(store.state.invite, "");
  store.invited("<b>no id</b>");
  assert.equal(store.state.invite, "");
});

test("settings go with an id that is given up, and no other way", () => {
  const store = joinedStore();
  for (const name of ["sound", "read"]) store.changeSetting(name, name === "sound");
  store.leave();
  assert.deepEqual([store.state.settings.sound, store.state.settings.read], [true, false]);
  store.join("alice");
  store.received([JOINED]);
  store.giveUp();
  assert.deepEqual([store.state.settings.sound, store.state.settings.read], [false, true]);
});

test("id that is given up leaves nothing behind", () => {
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

test("each gesture and each text is one notice", () => {
  const store = freshStore();
  store.join("alice");
  store.received([JOINED, message("bob", "1"), message("bob", "2"), message("carol", "3")]);
  assert.equal(store.notices(), 3);
});

test("error without a message is shown until it is dismissed", () => {
  const store = joinedStore();
  store.received([{ type: "error", code: "too_many", text: "too many watched" }]);
  assert.deepEqual(
    [store.state.alert.code, store.state.alert.text],
    ["too_many", "too many watched"],
  );
  assert.equal(store.state.connection, "joined");
  store.setAlert(null);
  assert.equal(store.state.alert, null);
});
