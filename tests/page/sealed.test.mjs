/**
 * The cryptography of the page: numbers of other implementations, and what holds for any content.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "./load.mjs";
import { checkVectors } from "./vectors.mjs";

const names = ["hpke", "card", "sealed", "bytes"];
const loaded = await Promise.all(names.map((name) => load(`${name}.js`)));
const modules = Object.fromEntries(names.map((name, index) => [name, loaded[index]]));
const { card: { checkCard, identityOf, makeCard, newSeed }, hpke: { newPair } } = modules;
const { contentBytesMax, openBody, padded, sealBody, sealedBytes } = modules.sealed;
const { encoded } = modules.bytes;

const vectors = JSON.parse(readFileSync(new URL("sealed.json", import.meta.url), "utf8"));

const bytesOf = (value) => new TextEncoder().encode(JSON.stringify(value)).length;

test("all numbers of other implementations come out", async () => {
  const { failures, count } = await checkVectors(modules, vectors);
  assert.deepEqual(failures, []);
  assert.ok(count > 450, `${count} comparisons`);
});

/** Makes a person with a card. */
async function person(id) {
  const identity = await identityOf(await newSeed(), id);
  const pair = await newPair();
  return { id, identity, pair, card: await makeCard(identity, id, encoded(pair.public), 2000) };
}

const [alice, bob] = [await person("alice"), await person("bob")];

const seal = (content, kind = "message", to = bob) => sealBody({
  kind, from: alice.id, to: to.id, card: alice.card, pair: alice.pair, recipient: to.card, content,
});

/** Opens a body that alice has sealed for bob, unless something is otherwise. */
function open(body, { kind = "message", from = "alice", to = "bob", sign = bob.card.sign } = {}) {
  const pairOf = (name) => (name === bob.card.seal ? bob.pair : undefined);
  return openBody({ kind, from, to, body, sign, pairOf });
}

const contents = [
  { number: 1, body: "" },
  { number: 2, after: 1, got: 3, body: { text: "Grüße \u2028 🎉", list: [1, null, true] } },
  { number: 3, body: "x".repeat(9000) },
];

test("what was sealed is opened again, and no enc comes twice", async () => {
  const encs = new Set();
  for (const content of [...contents, ...contents]) {
    const body = await seal(content);
    encs.add(body.enc);
    const { card, content: opened } = await open(JSON.parse(JSON.stringify(body)));
    assert.deepEqual([card, opened], [alice.card, content]);
  }
  assert.equal(encs.size, 6);
});

test("another kind, id or identity does not open it", async () => {
  const body = await seal(contents[0]);
  const others = [
    { kind: "signal" }, { from: "bob" }, { from: "alicia" }, { to: "alice" }, { to: "bobby" },
    { sign: alice.card.sign },
  ];
  for (const other of others) await assert.rejects(open(body, other), JSON.stringify(other));
});

test("any letter that changes keeps it from being opened", async () => {
  const text = JSON.stringify(await seal(contents[0]));
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at] === "A" ? "B" : "A";
    const changed = text.slice(0, at) + letter + text.slice(at + 1);
    let body;
    try {
      body = JSON.parse(changed);
    } catch {
      continue;
    }
    await assert.rejects(open(body), `${at}: ${text.slice(at - 10, at + 5)}`);
  }
});

test("an error tells the card that came with a body, if it is valid", async () => {
  const body = await seal(contents[0]);
  const error = await open({ ...body, for: alice.card.seal }).catch((error) => error);
  assert.deepEqual([error.message, error.card], ["for", alice.card]);
  const forged = { ...body, card: { ...alice.card, until: 3000 } };
  assert.equal((await open(forged).catch((error) => error)).card, undefined);
});

test("the length of a body tells the bucket of its content only", async () => {
  const lengths = new Map();
  for (const length of [0, 1, 100, 200, 230, 300, 301, 1000, 1023, 9000, 9100]) {
    const content = { number: 1, body: "x".repeat(length) };
    const body = await seal(content);
    const bucket = padded(bytesOf(content));
    lengths.set(bucket, (lengths.get(bucket) ?? new Set()).add(bytesOf(body)));
    assert.equal(sealedBytes(bytesOf(content), bytesOf(alice.card)), bytesOf(body));
  }
  for (const [bucket, seen] of lengths) assert.equal(seen.size, 1, `bucket ${bucket}`);
});

test("the longest content that fits does, and one byte more does not", () => {
  for (let bytes = 700; bytes < 70_000; bytes += 37) {
    const most = contentBytesMax(bytes, 250);
    if (most < 0) {
      assert.ok(sealedBytes(1, 250) > bytes);
      continue;
    }
    assert.ok(sealedBytes(most, 250) <= bytes, `${bytes}`);
    assert.ok(sealedBytes(most + 1, 250) > bytes, `${bytes}`);
  }
});

test("a card holds for one id", async () => {
  assert.deepEqual(await Promise.all(["alice", "alicia", ""].map((id) => checkCard(id, alice.card))),
    [true, false, false]);
});
