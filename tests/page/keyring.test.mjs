/**
 * Our keys: made, kept before they are published, replaced in time, destroyed, restored by a code.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { PlayedClock, settled } from "./played_clock.mjs";
import { PlayedDatabase } from "./played_database.mjs";

const { checkCard } = await load("card.js");
const { Keyring } = await load("keyring.js");
const { Remembered } = await load("remembered.js");
const { Vault } = await load("vault.js");

const HOUR_S = 3600;
const START_S = 1_800_000_000;

/** A storage of the browser in play. */
class PlayedStorage {
  #values = new Map();
  getItem = (name) => this.#values.get(name) ?? null;
  setItem = (name, value) => void this.#values.set(name, value);
  removeItem = (name) => void this.#values.delete(name);
}

/** A browser in play: what it keeps outlives its pages. */
function browser({ hasCrypto = true } = {}) {
  const clock = new PlayedClock();
  const database = new PlayedDatabase();
  const told = [];
  globalThis.localStorage = new PlayedStorage();
  globalThis.sessionStorage = new PlayedStorage();
  const visit = () => {
    const remembered = new Remembered();
    const vault = new Vault(() => database.factory, clock);
    const keyring = new Keyring({
      remembered, vault, clock, hasCrypto,
      now: () => START_S * 1000 + clock.now,
      renewed: () => told.push(keyring.card),
    });
    return { keyring, remembered };
  };
  return { clock, database, told, visit };
}

/** Resolves when the keyring has done all that it began. */
async function done(keyring) {
  await settled();
  await keyring.renew();
}

async function opened(page, id = "alice") {
  page.keyring.open(id);
  await done(page.keyring);
  return page.keyring;
}

/** Claims the id, so that the browser remembers it. */
const claim = ({ remembered }, id = "alice") => {
  remembered.update({ connection: "joined", id, openPeer: "", settings: {} });
};

test("an id gets an identity, a valid card, and a key from one seed", async () => {
  const { visit } = browser();
  const page = visit();
  const keyring = await opened(page);
  assert.ok(await checkCard("alice", keyring.card));
  assert.equal(keyring.card.until, START_S + 2 * HOUR_S);
  assert.equal(keyring.pairOf(keyring.card.seal), keyring.pair);
  assert.match(page.remembered.keyOf("alice"), /^[\w-]{43}$/);
});

test("a page that is loaded again has the same identity and seal key", async () => {
  const { visit, database } = browser();
  const first = visit();
  const { card } = await opened(first);
  claim(first);
  const again = await opened(visit());
  assert.deepEqual(again.card, card);
  assert.deepEqual(database.rows("keys").map(({ seal }) => seal), [card.seal]);
  for (const { secret } of database.rows("keys")) assert.ok(secret instanceof Uint8Array);
});

test("the hold of the server makes the same seal key last longer", async () => {
  const { visit, told } = browser();
  const page = visit();
  const keyring = await opened(page);
  const { seal } = keyring.card;
  keyring.renew(600);
  await done(keyring);
  assert.equal(told.length, 1);
  assert.deepEqual([keyring.card.seal, keyring.card.until], [seal, START_S + 2 * HOUR_S + 600]);
  keyring.renew(600);
  await done(keyring);
  assert.equal(told.length, 1, "and the same again changes nothing");
  claim(page);
  assert.equal((await opened(visit())).card.until, keyring.card.until, "it is kept with the key");
});

test("a seal key is replaced in time, and destroyed when nothing is held for it", async () => {
  const { visit, clock, told, database } = browser();
  const keyring = await opened(visit());
  keyring.renew(600);
  await done(keyring);
  const { seal } = keyring.card;
  await clock.pass(HOUR_S * 1000 + 1000);
  await done(keyring);
  assert.notEqual(told.at(-1).seal, seal, "by the timer, after an hour");
  assert.ok(keyring.pairOf(seal), "what was sealed for the first one is opened still");
  // The first one's time is two hours and ten minutes, and messages are held for ten more.
  await clock.pass((HOUR_S + 15 * 60) * 1000);
  keyring.renew();
  await done(keyring);
  assert.ok(keyring.pairOf(seal));
  await clock.pass(HOUR_S * 1000);
  await done(keyring);
  assert.equal(keyring.pairOf(seal), undefined);
  assert.ok(!database.rows("keys").some((key) => key.seal === seal));
});

test("a clock that was put back replaces the seal key", async () => {
  const { visit, clock } = browser();
  const page = visit();
  const { card } = await opened(page);
  claim(page);
  clock.now = -2 * HOUR_S * 1000;
  assert.notEqual((await opened(visit())).card.seal, card.seal);
});

test("a clock that was ahead leaves one seal key for each hour, not for each visit", async () => {
  const { visit, clock, database } = browser();
  clock.now = 100 * HOUR_S * 1000;
  const page = visit();
  await opened(page);
  claim(page);
  clock.now = 0;
  for (let visits = 0; visits < 4; visits += 1) await opened(visit());
  assert.equal(database.rows("keys").length, 2);
});

test("a seal key is not destroyed sooner because the server holds for less time", async () => {
  const { visit } = browser();
  const keyring = await opened(visit());
  keyring.renew(7 * 24 * HOUR_S);
  await done(keyring);
  const { until } = keyring.card;
  keyring.renew(60);
  await done(keyring);
  assert.equal(keyring.card.until, until);
});

test("a code that the server refuses leaves what was remembered", async () => {
  const home = visitOf(browser());
  const code = await (await opened(home)).code();
  const { visit } = browser();
  const page = visit();
  const { sign } = await opened(page);
  claim(page);
  const key = page.remembered.keyOf("alice");
  const tried = visit();
  assert.equal(await tried.keyring.restore(code, "alice"), true);
  assert.notEqual((await opened(tried)).sign, sign);
  const again = visit();
  assert.deepEqual([(await opened(again)).sign, again.remembered.keyOf("alice")], [sign, key]);
});

test("an id of an earlier page keeps its key, and has no recovery code", async () => {
  const { visit } = browser();
  localStorage.setItem("key alice", "0123456789abcdef");
  const page = visit();
  const keyring = await opened(page);
  assert.ok(keyring.card);
  assert.equal(page.remembered.keyOf("alice"), "0123456789abcdef");
  assert.equal(await keyring.code(), "");
});

test("a recovery code brings identity and key to another browser", async () => {
  const home = visitOf(browser());
  const keyring = await opened(home);
  const [code, { sign }] = [await keyring.code(), keyring];
  const key = home.remembered.keyOf("alice");
  const away = visitOf(browser());
  assert.equal(await away.keyring.restore(code, "bob"), false);
  assert.equal(await away.keyring.restore(code.toLowerCase().replaceAll("-", " "), "alice"), true);
  const restored = await opened(away);
  assert.deepEqual([restored.sign, away.remembered.keyOf("alice")], [sign, key]);
});

const visitOf = ({ visit }) => visit();

test("without cryptography there is no card, and a key all the same", async () => {
  const { visit } = browser({ hasCrypto: false });
  const page = visit();
  const keyring = await opened(page);
  assert.deepEqual([keyring.card, keyring.sign, await keyring.code()], [undefined, "", ""]);
  assert.match(page.remembered.keyOf("alice"), /^[\da-f]{32}$/);
});

test("a storage that fails or never answers leaves a card for this visit", async () => {
  for (const way of ["UnknownError", new Promise(() => {})]) {
    const { visit, database, clock } = browser();
    database.openings.push(way, way);
    const page = visit();
    page.keyring.open("alice");
    await clock.pass(4000);
    await done(page.keyring);
    assert.ok(await checkCard("alice", page.keyring.card));
  }
});

test("an id that is given up leaves no keys", async () => {
  const { visit, database } = browser();
  const page = visit();
  const keyring = await opened(page);
  claim(page);
  page.remembered.forgetKey("alice");
  keyring.forget("alice");
  await done(keyring);
  assert.deepEqual([database.rows("keys"), keyring.card], [[], undefined]);
  assert.equal(localStorage.getItem("seed alice"), null);
});

test("another id has other keys, and the first finds its own again", async () => {
  const { visit } = browser();
  const page = visit();
  const { card } = await opened(page);
  claim(page);
  const other = await opened(page, "bob");
  assert.notEqual(other.card.sign, card.sign);
  assert.equal(other.pairOf(card.seal), undefined);
  assert.deepEqual((await opened(page)).card, card);
});

test("pins are kept by id and peer, and go with the id", () => {
  const { remembered } = visitOf(browser());
  remembered.notePin("alice", "bob", "b");
  remembered.notePin("alice", "carol", "c");
  remembered.notePin("dave", "bob", "other");
  assert.deepEqual(remembered.pinsOf("alice"), { bob: "b", carol: "c" });
  remembered.notePin("alice", "carol");
  assert.deepEqual(remembered.pinsOf("alice"), { bob: "b" });
  remembered.forgetKey("alice");
  assert.deepEqual([remembered.pinsOf("alice"), remembered.pinsOf("dave")], [{}, { bob: "other" }]);
});
