/**
 * The post between store and socket: lines keep their order, whatever sealing and opening takes.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { settled } from "./played_clock.mjs";

const { encoded } = await load("bytes.js");
const { identityOf, makeCard, newSeed } = await load("card.js");
const { newPair } = await load("hpke.js");
const { Post } = await load("post.js");

/** Makes the keyring of a person. */
async function keysOf(id) {
  const identity = await identityOf(await newSeed(), id);
  const pair = await newPair();
  const card = await makeCard(identity, id, encoded(pair.public), 9e9);
  const renewals = [];
  return {
    card, pair, sign: identity.sign, renewals,
    pairOf: (seal) => (seal === card.seal ? pair : undefined),
    renew: async (hold) => void renewals.push(hold),
  };
}

/** Returns a post with a played store and socket, and what they heard. */
function stage(id, keyring) {
  const heard = { said: [], received: [], applied: [], opened: 0 };
  const store = {
    wanted: true, state: { id }, known: [],
    opened: () => (heard.opened += 1),
    received: (lines) => heard.received.push(...lines),
    knows: (mid) => store.known.includes(mid),
    sealed: () => (heard.sealed += 1),
  };
  const socket = {
    say: (line) => heard.said.push(line),
    applied: () => heard.applied.push(heard.received.length),
  };
  const post = new Post({ keyring, store, socket });
  return { post, store, heard };
}

const [alice, bob] = [await keysOf("alice"), await keysOf("bob")];
const content = { number: 1, body: "hello" };
const toBob = (more) => ({ kind: "message", card: bob.card, content, ...more });
const send = (ref) => ({ type: "send", to: "bob", ref, body: null });

/** Seals contents of alice for bob, each as a line that comes to him. */
async function letters(...contents) {
  const { post, heard } = stage("alice", alice);
  for (const one of contents) post.say(send("r"), toBob({ content: one }));
  await settled();
  return heard.said.map(({ body }, index) => {
    return { type: "message", from: "alice", mid: `m${index}`, at: 1, body };
  });
}

test("a line that needs no sealing goes at once, but behind one that is sealed", async () => {
  const { post, heard } = stage("alice", alice);
  const sealed = [];
  post.say({ type: "watch", ids: ["bob"] });
  assert.equal(heard.said.length, 1);
  post.say(send("1"), toBob({ done: (body) => sealed.push(body) }));
  post.say({ type: "ack", to: "bob", mids: ["m"] });
  assert.equal(heard.said.length, 1);
  await settled();
  assert.deepEqual(heard.said.map(({ type }) => type), ["watch", "send", "ack"]);
  assert.deepEqual(heard.said[1].body, sealed[0]);
  assert.equal(JSON.stringify(heard.said).includes("hello"), false);
  post.say({ type: "ack", to: "bob", mids: ["m"] });
  assert.equal(heard.said.length, 4, "and the way is free again");
});

test("what was to be said on a connection that has ended is not said", async () => {
  const { post, heard } = stage("alice", alice);
  post.say(send("1"), toBob({ done: () => assert.fail("it was not said") }));
  post.ended();
  post.opened();
  await settled();
  assert.deepEqual([heard.said, heard.opened], [[], 1]);
});

test("a leave waits for nothing", () => {
  const { post, heard } = stage("alice", alice);
  post.say(send("1"), toBob());
  post.say({ type: "leave" });
  post.ended();
  assert.deepEqual(heard.said, [{ type: "leave" }]);
});

test("a body that cannot be sealed is told, and later lines go on", async () => {
  const { post, heard } = stage("alice", alice);
  const failures = [];
  const zero = { ...bob.card, seal: "A".repeat(43) };
  post.say(send("1"), toBob({ card: zero, failed: () => failures.push("1") }));
  post.say(send("2"), toBob());
  await settled();
  assert.deepEqual([failures, heard.said.map(({ ref }) => ref)], [["1"], ["2"]]);
});

test("sealed lines come opened, in the order of all lines", async () => {
  const { post, heard } = stage("bob", bob);
  const [first, second] = await letters(content, { number: 2, body: "more" });
  const presence = { type: "presence", id: "alice", online: true };
  post.received([first, presence]);
  post.received([presence]);
  post.received([second]);
  await settled();
  const { received } = heard;
  assert.deepEqual(received.map(({ type }) => type), ["message", "presence", "presence", "message"]);
  assert.deepEqual(received[0].opened, { card: alice.card, content });
  assert.equal(received[3].opened.content.body, "more");
});

test("the socket is told when lines were applied: another answer may be awaited now", async () => {
  const { post, heard } = stage("bob", bob);
  post.received(await letters(content));
  post.received([{ type: "presence", id: "alice", online: true }]);
  assert.deepEqual(heard.applied, []);
  await settled();
  assert.deepEqual(heard.applied, [1, 2]);
});

test("a message that does not open comes with the card that can be asked", async () => {
  const { post, heard } = stage("bob", bob);
  const [line] = await letters(content);
  const { body } = line;
  post.received([
    { ...line, from: "carol" },
    { ...line, body: { ...body, for: alice.card.seal } },
    { ...line, body: { sealed: 2 } },
    { ...line, body: "plain" },
  ]);
  await settled();
  assert.deepEqual(heard.received.map(({ opened }) => opened),
    [{ card: undefined }, { card: alice.card }, { card: undefined }, undefined]);
});

test("a message that came before is not opened again", async () => {
  const { post, store, heard } = stage("bob", bob);
  const [line] = await letters(content);
  store.known.push("m0");
  post.received([line]);
  await settled();
  assert.equal(heard.received[0].opened, undefined);
});

test("a card that its identity has not signed counts as none", async () => {
  const { post, heard } = stage("bob", bob);
  const line = { type: "card", id: "alice", claimed: true };
  post.received([
    { ...line, card: alice.card }, { ...line, id: "carol", card: alice.card },
    { ...line, card: { ...alice.card, until: 1 } }, line,
  ]);
  await settled();
  assert.deepEqual(heard.received.map(({ card }) => card),
    [alice.card, undefined, undefined, undefined]);
});

test("lines of a connection that has ended are dropped", async () => {
  const { post, heard } = stage("bob", bob);
  post.received(await letters(content));
  post.ended();
  await settled();
  assert.deepEqual(heard.received, []);
});

test("a connection is told once the keys are there, if it is wanted still", async () => {
  let ready;
  const keyring = { ...bob, renew: () => new Promise((resolve) => (ready = resolve)) };
  const { post, store, heard } = stage("bob", keyring);
  post.opened();
  await settled();
  assert.equal(heard.opened, 0);
  ready();
  await settled();
  assert.equal(heard.opened, 1);
  store.wanted = false;
  post.opened();
  ready();
  await settled();
  assert.equal(heard.opened, 1);
});

test("joined tells the keyring how long messages are held", async () => {
  const { post } = stage("bob", bob);
  post.received([{ type: "joined", hold: 600 }]);
  await settled();
  assert.equal(bob.renewals.at(-1), 600);
});
