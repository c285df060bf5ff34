/**
 * Texts that look alike.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { skeleton, isMixed, doubtsOf } = await load("skeleton.js");

test("texts that look alike have one skeleton", () => {
  const pairs = [
    ["bob", "b0b"], ["alice", "aIice"], ["alice", "a1ice"], ["alice", "аlісе"],
    ["mira", "rnira"], ["bob", "\u{1d41b}\u{1d428}\u{1d41b}"], ["BOB", "ВОВ"], ["oskar", "οskαr"],
    ["Bob", "bob"], ["will", "vvill"], ["bob", "ｂｏｂ"],
  ];
  for (const [one, other] of pairs) assert.equal(skeleton(one), skeleton(other), other);
  for (const other of ["bab", "bobo", "bób", "bo"]) assert.notEqual(skeleton("bob"), skeleton(other));
});

test("letters that no language mixes are told", () => {
  for (const text of ["bоb", "аlice", "αlice", "мирω", "日本а"]) assert.ok(isMixed(text), text);
  const fine = ["bob", "мир", "ωmega".slice(1), "日本語テスト", "web日本", "한국tv", "josé_1", "ид-7", ""];
  for (const text of fine) assert.ok(!isMixed(text), text);
});

test("stranger is doubted for the peer it looks like, not the peer", () => {
  const doubts = doubtsOf([
    { peer: "bob", accepted: true }, { peer: "b0b", accepted: false },
    { peer: "A1ice", accepted: false }, { peer: "cаrol", accepted: false },
    { peer: "dave", accepted: false }, { peer: "Dave", accepted: false },
  ], "alice");
  assert.deepEqual([...doubts], [
    ["b0b", { code: "alike", to: "bob" }], ["A1ice", { code: "alike", to: "alice" }],
    ["cаrol", { code: "mixed" }],
  ]);
});
