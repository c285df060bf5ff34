/**
 * The memory of the browser between visits, also of one that refuses, as with cookies blocked.
 */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { load } from "./load.mjs";

const { Remembered } = await load("remembered.js");

const NAMES = ["localStorage", "sessionStorage", "history"];

/** Plays a tab. It is loaded again by another `Remembered`. */
function playTab({ refuses = false } = {}) {
  for (const name of NAMES.slice(0, 2)) {
    const values = new Map();
    const storage = {
      getItem: (key) => values.get(key) ?? null,
      setItem: (key, value) => values.set(key, value),
      removeItem: (key) => values.delete(key),
    };
    const get = () => {
      if (refuses) throw new DOMException("", "SecurityError");
      return storage;
    };
    Object.defineProperty(globalThis, name, { configurable: true, get });
  }
  globalThis.history = {
    state: null,
    replaceState(state) { this.state = structuredClone(state); },
  };
}

afterEach(() => NAMES.forEach((name) => delete globalThis[name]));

test("remembered ids are normalised", () => {
  playTab();
  sessionStorage.setItem("id", "Zoe\u0308");
  sessionStorage.setItem("peer", "bo\u0308b");
  const { id, peer } = new Remembered();
  assert.deepEqual([id, peer], ["Zo\u00eb", "b\u00f6b"]);
});

const state = (connection, id, openPeer = "") =>
  ({ connection, id, openPeer, settings: { read: false } });

for (const refuses of [false, true]) {
  const where = refuses ? "with cookies blocked" : "with a storage";

  test(`page loaded again has its id and key, ${where}`, () => {
    playTab({ refuses });
    const first = new Remembered();
    const key = first.keyOf("alice");
    first.update(state("joined", "alice", "bob"));
    const second = new Remembered();
    assert.deepEqual([second.id, second.peer, second.keyOf("alice")], ["alice", "bob", key]);
    assert.deepEqual(second.settings, { read: false });
    assert.notEqual(second.keyOf("carol"), key);
  });

  test(`refused id stays remembered, ${where}`, () => {
    playTab({ refuses });
    const first = new Remembered();
    const key = first.keyOf("alice");
    first.update(state("joined", "alice"));
    for (const [connection, id] of [["lost", "alice"], ["none", "alice"], ["none", "other"]]) {
      first.update(state(connection, id));
      const second = new Remembered();
      assert.deepEqual([second.id, second.keyOf("alice")], ["alice", key]);
    }
    first.update(state("none", ""));
    assert.equal(new Remembered().id, "");
  });
}

test("tab that remembers its id leaves other state of its history", () => {
  playTab({ refuses: true });
  history.state = { conversation: true };
  new Remembered().update(state("joined", "alice"));
  assert.equal(history.state.conversation, true);
});

test("id that was never ours is not remembered", () => {
  playTab();
  const remembered = new Remembered();
  remembered.keyOf("alice");
  remembered.update(state("joining", "alice"));
  remembered.update(state("none", "alice"));
  assert.equal(new Remembered().id, "");
});
