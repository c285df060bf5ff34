/**
 * The search in a conversation.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { joinedStore, message, writeTo } from "./played_store.mjs";

/** Returns a store with these messages of bob, and an open search. */
function searching(...bodies) {
  const store = joinedStore();
  store.open("bob");
  store.received(bodies.map((body) => message("bob", body)));
  store.setSearch(true);
  return store;
}

/** Returns the text of the match that is shown, its number, and the number of all. */
function shown({ state: { search }, current }) {
  const { body } = current.messages.find(({ place }) => place === search.places[search.at]) ?? {};
  return [body, search.at + 1, search.places.length];
}

test("search begins at the last match and goes round", () => {
  const store = searching("a cat", "a dog", "Cats!", { cat: 1 }, "concat");
  store.find("cat");
  assert.deepEqual(shown(store), ["concat", 3, 3]);
  const way = [1, 2].map(() => {
    store.findNext();
    return shown(store)[0];
  });
  assert.deepEqual(way, ["Cats!", "a cat"]);
  store.findNext();
  assert.deepEqual(shown(store), ["concat", 3, 3]);
  store.findNext(1);
  assert.deepEqual(shown(store), ["a cat", 1, 3]);
});

test("search leaves out case and accents, and finds nothing in nothing", () => {
  const store = searching("Über den Fluß", "uber", "Élan", "ｗｉｄｅ");
  for (const [text, count] of [["ÜBER", 2], ["elan", 1], ["wide", 1], ["x", 0], [" ", 0], ["", 0]]) {
    store.find(text);
    assert.equal(store.state.search.places.length, count, text);
  }
});

test("search stays at its match while messages come", () => {
  const store = searching("cat 1", "cat 2");
  store.find("cat");
  store.findNext();
  store.received([message("bob", "cat 3")]);
  assert.deepEqual(shown(store), ["cat 1", 1, 3]);
  store.find("cat 2");
  assert.deepEqual(shown(store), ["cat 2", 1, 1]);
});

test("search loads all that is kept, and finds it", () => {
  const row = { peer: "bob", last: 9, unread: 0, seen: 9, readTo: 0, draft: "", accepted: true };
  const kept = (place) => ({ peer: "bob", place, mine: true, body: `cat ${place}`, at: 1, state: "delivered" });
  const store = joinedStore({
    kept: { conversations: [{ ...row, tail: [kept(9)] }], open: [], mids: [] },
  });
  store.choose("bob");
  store.setSearch(true);
  // The answer to the conversation's first request comes later than the search.
  store.find("cat");
  assert.deepEqual(shown(store), ["cat 9", 1, 1]);
  store.loaded("bob", [kept(7), kept(8)], true);
  assert.deepEqual(store.outside.loads.at(-1), ["bob", 7, Infinity]);
  store.loaded("bob", [1, 2, 3].map(kept), false);
  assert.deepEqual(shown(store), ["cat 9", 6, 6]);
  assert.equal(store.outside.loads.length, 2);
});

test("search ends with its conversation", () => {
  const store = searching("cat");
  store.choose("carol");
  assert.equal(store.state.search, null);
  for (const leave of [() => store.back(), () => store.leave(), () => store.setSearch(false)]) {
    writeTo(store, "bob", "cat");
    store.setSearch(true);
    leave();
    assert.equal(store.state.search, null);
  }
});
