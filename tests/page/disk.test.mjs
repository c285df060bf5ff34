/**
 * A server that writes to a disk: its answers come late, and while the disk fails it refuses what
 * it could not keep.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import {
  JOINED, RESUMED, freshStore, joinedStore, writeTo, message, reconnect, sent, delivered, states,
  saidOf,
} from "./played_store.mjs";

const { LANGUAGES, reasonText } = await load("words.js");

/** The server's own words, in each refusal for its disk. */
const DISK = "this server can't write to its disk at the moment: try again later";

const refused = (code, ref, to) => ({ type: "error", code, ref, to, text: DISK });

test("answers behind refusals of later messages find theirs", () => {
  const store = joinedStore();
  for (const text of ["1", "2", "3", "4"]) writeTo(store, "bob", text);
  store.received([
    refused("full", "ref 2", "bob"), message("bob", "between"), refused("full", "ref 4", "bob"),
  ]);
  store.received([sent("ref 1", "11"), delivered("bob", "11"), sent("ref 3", "33")]);
  const expected = [["1", "delivered"], ["2", "failed"], ["3", "sent"], ["4", "failed"]];
  assert.deepEqual(states(store), [...expected, ["between", "received"]]);
  store.received([delivered("bob", "33")]);
  assert.equal(states(store)[2][1], "delivered");
  assert.equal(store.awaitsAnswer, false);
});

test("answer that waits for the disk comes over a later connection", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  for (let attempt = 0; attempt < 3; attempt += 1) {
    reconnect(store, RESUMED);
    const repeated = saidOf(store, "send").map(({ ref, body }) => [ref, body]);
    assert.deepEqual(repeated, [["ref 1", "1"]], "the same message each time");
  }
  store.received([sent("ref 1", "11"), delivered("bob", "11")]);
  assert.deepEqual([states(store), store.state.alert], [[["1", "delivered"]], null]);
});

test("message refused for the disk goes once when it is retried", () => {
  const store = joinedStore();
  writeTo(store, "bob", "1");
  store.received([refused("full", "ref 1", "bob")]);
  const [failed] = store.current.messages;
  assert.deepEqual([failed.state, failed.reason.code], ["failed", "full"]);
  store.said();
  for (let time = 0; time < 2; time += 1) {
    reconnect(store, RESUMED);
    assert.deepEqual(saidOf(store, "send"), [], "nothing goes again unasked");
  }
  store.retry(failed);
  const [again, ...more] = saidOf(store, "send");
  assert.deepEqual([again.body, more], ["1", []]);
  assert.notEqual(again.ref, "ref 1");
  store.received([sent(again.ref, "11"), delivered("bob", "11")]);
  assert.deepEqual(states(store), [["1", "delivered"]]);
  assert.equal(store.current.messages[0].reason, undefined);
});

test("refusal for the disk is told as what it is", () => {
  for (const words of LANGUAGES) {
    const full = reasonText(words, { code: "full", to: "bob", text: DISK });
    assert.doesNotMatch(full, /waiting for|wartet/, "nothing waits for bob");
    assert.match(full, /later|später/);
    const many = reasonText(words, { code: "too_many", text: DISK });
    assert.ok(many.endsWith(DISK));
    assert.doesNotMatch(many, /limit|Grenze/, "the reader has done nothing too often");
  }
});

test("first join that a failing disk refuses can be tried again", () => {
  const store = freshStore();
  store.join("alice");
  store.opened();
  store.received([refused("too_many")]);
  const { connection, id, alert } = store.state;
  assert.deepEqual([connection, id, alert.code, alert.text], ["none", "alice", "too_many", DISK]);
  assert.equal(store.wanted, false);
  store.join("alice");
  assert.equal(store.state.alert, null);
  store.opened();
  store.received([JOINED]);
  assert.equal(store.state.connection, "joined");
});

test("id of an earlier visit that is refused for the disk stays ours", () => {
  const store = freshStore({ kept: null });
  store.resume("alice");
  writeTo(store, "bob", "1");
  store.opened();
  store.received([refused("too_many")]);
  assert.deepEqual([store.state.connection, store.state.ours], ["none", true]);
  store.join("alice");
  store.opened();
  store.said();
  store.received([JOINED, sent("ref 1", "11"), delivered("bob", "11")]);
  assert.deepEqual(saidOf(store, "send").map(({ ref, body }) => [ref, body]), [["ref 1", "1"]]);
  assert.deepEqual(states(store), [["1", "delivered"]]);
});

test("first joined that waits for the disk comes over a later connection", () => {
  const store = freshStore();
  store.join("alice");
  for (let attempt = 0; attempt < 3; attempt += 1) {
    store.opened();
    assert.equal(store.awaitsAnswer, true);
    store.closed(1006);
    assert.deepEqual([store.state.connection, store.wanted], ["joining", true]);
  }
  store.opened();
  store.received([JOINED]);
  assert.deepEqual([store.state.connection, store.state.alert], ["joined", null]);
});
