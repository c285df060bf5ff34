/**
 * The modules that seal: the numbers of sealed.json, and properties from a seed that is printed.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { load } from "./load.mjs";
import { checkVectors } from "./vectors.mjs";

const [bytes, hpke, card, sealed] = await Promise.all(
  ["bytes.js", "hpke.js", "card.js", "sealed.js"].map(load),
);
const { subtle } = crypto;
const vectors = JSON.parse(readFileSync(new URL("sealed.json", import.meta.url), "utf8"));

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
after(() => console.log(`SEED=${seed}`));

/** Returns whole numbers below a bound, the same for the same seed (xorshift, Marsaglia 2003). */
function randomFrom(start) {
  let state = start | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

/** Returns a person with an identity, a seal key and a card. */
async function person(id) {
  const identity = await card.identityOf(await card.newSeed(), id);
  const pair = await hpke.newPair();
  const own = await card.makeCard(identity, id, bytes.encoded(pair.public), 1795399800);
  return { id, pair, identity, card: own };
}

const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map(person));
const HELLO = { number: 5, after: 0, got: 0, body: "hello" };

const sealFrom = (from, to, content = HELLO, kind = "message") => sealed.sealBody({
  kind, from: from.id, to: to.id, card: from.card, pair: from.pair, recipient: to.card, content,
});
const openAs = (from, to, body, kind = "message") => sealed.openBody({
  kind, from: from.id, to: to.id, body, sign: to.card.sign,
  pairOf: (seal) => (seal === to.card.seal ? to.pair : undefined),
});
const jsonBytes = (value) => Buffer.byteLength(JSON.stringify(value));

test("numbers of every section are the known ones", async () => {
  assert.deepEqual(await checkVectors({ bytes, hpke, card, sealed }, vectors), []);
});

test("any content opens as what was sealed", async () => {
  const random = randomFrom(seed);
  const texts = ["", "x".repeat(random(3000)), "नमस्ते 🎉", "\0\u2028\"\\", "\ud800"];
  const bodies = [...texts, null, 0, -1.5, true, [], {}, [{ a: [texts] }], { "": null }];
  for (let n = 0; n < 100; n += 1) {
    const content = { number: 1 + random(2 ** 31), after: random(9), got: random(9) };
    const whole = { ...content, body: bodies[n % bodies.length], later: random(9) };
    const body = JSON.parse(JSON.stringify(await sealFrom(alice, bob, whole)));
    assert.equal(jsonBytes(body), sealed.sealedBytes(jsonBytes(whole), jsonBytes(alice.card)));
    assert.deepEqual(await openAs(alice, bob, body), { card: alice.card, content: whole });
  }
  const signal = await sealFrom(alice, bob, { number: 1, typing: true }, "signal");
  assert.equal((await openAs(alice, bob, signal, "signal")).content.typing, true);
  const wrong = await sealFrom(alice, bob, { number: 1, read: "1" }, "signal");
  await assert.rejects(openAs(alice, bob, wrong, "signal"), /^Error: content$/);
});

test("changed byte of a body is refused, wherever it is", async () => {
  const body = await sealFrom(alice, bob);
  const random = randomFrom(seed);
  for (const key of ["for", "enc", "box"]) {
    const good = bytes.decoded(body[key]);
    for (let at = 0; at < good.length; at += 1) {
      const bad = good.map((byte, n) => (n === at ? byte ^ 1 << random(8) : byte));
      const changed = { ...body, [key]: bytes.encoded(bad) };
      await assert.rejects(openAs(alice, bob, changed), ({ message, card: told }) => {
        assert.ok(["for", "open", "low_order"].includes(message), message);
        return told === changed.card;
      });
    }
  }
  for (const [key, value] of Object.entries(body.card)) {
    const other = key === "v" || key === "until" ? value + 1 : bob.card[key];
    const changed = { ...body, card: { ...body.card, [key]: other } };
    await assert.rejects(openAs(alice, bob, changed), (error) => {
      assert.equal(error.message, "card");
      return !("card" in error);
    });
  }
});

test("body opens under no other kind, id or identity", async () => {
  const body = await sealFrom(alice, bob);
  const failed = (from, to, kind, given = body) =>
    assert.rejects(openAs(from, to, given, kind), /^Error: (open|card)$/);
  await openAs(alice, bob, body);
  await failed(alice, bob, "signal");
  await failed(carol, bob);
  await failed(alice, { ...bob, id: "carol" });
  await failed(alice, { ...bob, card: { ...bob.card, sign: carol.card.sign } });
  // Carol, with alice's seal key in a card of her own, under both ids.
  for (const id of ["carol", "alice"]) {
    const stolen = await card.makeCard(carol.identity, id, alice.card.seal, 1795399800);
    await failed({ ...carol, id }, bob, "message", { ...body, card: stolen });
  }
});

test("key and box differ each time, and the length only with the bucket", async () => {
  const [seen, lengths] = [new Set(), new Map()];
  for (let n = 0; n < 600; n += 1) {
    const content = { ...HELLO, body: "x".repeat(n) };
    const body = await sealFrom(alice, bob, content);
    seen.add(body.enc).add(body.box);
    const bucket = sealed.sealedBytes(jsonBytes(content), 0);
    assert.equal(jsonBytes(body), bucket + jsonBytes(alice.card));
    lengths.set(bucket, (lengths.get(bucket) ?? 0) + 1);
  }
  assert.equal(seen.size, 1200);
  // 256 bytes; steps of 16 bytes up to 512, and of 32 up to 640.
  assert.equal(lengths.size, 1 + 16 + 4);
});

test("longest content that fits is told exactly", () => {
  for (let most = 0; most < 4000; most += 1) {
    const content = sealed.contentBytesMax(most, 300);
    if (content > 0) assert.ok(sealed.sealedBytes(content, 300) <= most, `${most}`);
    assert.ok(sealed.sealedBytes(Math.max(content, 0) + 1, 300) > most, `${most}`);
  }
});

test("signature of a card is verified once, while the card is remembered", async (context) => {
  const verify = context.mock.method(subtle, "verify");
  const dora = await person("dora");
  const body = await sealFrom(dora, bob);
  for (let n = 0; n < 3; n += 1) await openAs(dora, bob, JSON.parse(JSON.stringify(body)));
  assert.equal(verify.mock.callCount(), 1);
  await assert.rejects(openAs({ ...dora, id: "eve" }, bob, body), /^Error: card$/);
  await assert.rejects(openAs({ ...dora, id: "eve" }, bob, body), /^Error: card$/);
  assert.equal(verify.mock.callCount(), 3);
  for (let n = 0; n < 32; n += 1) {
    const later = await card.makeCard(dora.identity, "dora", dora.card.seal, n);
    await openAs(dora, bob, await sealFrom({ ...dora, card: later }, bob));
  }
  await openAs(dora, bob, body);
  assert.equal(verify.mock.callCount(), 3 + 32 + 1);
});

test("card of an identity of order 8, which anybody signs for, is refused", async () => {
  // The points of small order that are encoded in the canonical way.
  const small = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  ].map((hex) => Uint8Array.from(Buffer.from(hex, "hex")));
  for (const key of small.slice(4)) {
    const verifier = await subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    const forged = { v: 1, sign: bytes.encoded(key), seal: alice.card.seal, until: 0 };
    const isForged = async (point) => {
      const by = Uint8Array.from([...point, ...new Uint8Array(32)]);
      forged.by = bytes.encoded(by);
      const { sign, seal, until } = forged;
      const text = bytes.utf8(`sotto card 1\nalice\n${sign}\n${seal}\n${until}`);
      return subtle.verify("Ed25519", verifier, by, text);
    };
    let isDone = false;
    while (!isDone) {
      forged.until += 1;
      for (const point of small) isDone ||= await isForged(point);
    }
    assert.equal(await card.checkCard("alice", forged), false);
  }
});

test("shared secret of zeros is refused in an engine that returns it", async (context) => {
  context.mock.method(subtle, "deriveBits", async () => new ArrayBuffer(32));
  await assert.rejects(sealFrom(alice, bob), /^Error: low_order$/);
});

test("secret that begins with a zero byte is drawn again", async (context) => {
  const { getRandomValues } = crypto;
  let drawn = [new Uint8Array(32)];
  const draw = context.mock.method(crypto, "getRandomValues", (given) => {
    const next = drawn.shift();
    return next ? given.set(next) ?? given : getRandomValues.call(crypto, given);
  });
  const pair = await hpke.newPair();
  assert.notEqual(pair.secret[0], 0);
  assert.deepEqual((await hpke.pairOf(pair.secret)).public, pair.public);

  const beginsWithZero = async (seed) =>
    !(await hpke.derived(await hpke.material(seed), ["sotto identity 1\n"]))[0];
  const bad = new Uint8Array(16);
  const counter = new DataView(bad.buffer);
  while (!await beginsWithZero(bad)) counter.setUint32(0, counter.getUint32(0) + 1);
  drawn = [bad];
  const before = draw.mock.callCount();
  const good = await card.newSeed();
  assert.ok(draw.mock.callCount() >= before + 2);
  assert.equal(await beginsWithZero(good), false);
});

test("modules load where there is no WebCrypto", () => {
  const script = `
    Object.defineProperty(globalThis, "crypto", { value: { getRandomValues() {} } });
    const { load } = await import(${JSON.stringify(new URL("load.mjs", import.meta.url))});
    for (const file of ["bytes.js", "hpke.js", "card.js", "sealed.js"]) await load(file);
  `;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  assert.equal(status, 0, String(stderr));
});
