/**
 * The words: each language says the same things.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "./load.mjs";

const { LANGUAGES, chooseWords, reasonText } = await load("words.js");

/** Which words there are, and what each wants to know. */
function shape(words) {
  if (typeof words === "function") return words.length;
  if (typeof words === "string") return "text";
  return Object.fromEntries(Object.entries(words).map(([name, word]) => [name, shape(word)]));
}

test("each language says the same things", () => {
  for (const words of LANGUAGES) assert.deepEqual(shape(words), shape(LANGUAGES[0]), words.language);
});

test("each element of the page that wants words has them", () => {
  const page = readFileSync(new URL("../../www/index.html", import.meta.url), "utf8");
  const names = [...page.matchAll(/data-(?:text|label|hint)="(\w+)"/g)].map(([, name]) => name);
  assert.ok(names.length > 20);
  for (const name of names) assert.equal(typeof LANGUAGES[0][name], "string", name);
});

test("the first language is spoken that the reader asks for and the page knows", () => {
  for (const [wanted, language] of [[["de-AT", "en"], "de"], [["fr", "de"], "de"], [["fr"], "en"], [[], "en"], [["DE"], "de"]]) {
    assert.equal(chooseWords(wanted).language, language);
  }
});

test("each refusal of the protocol has words, and what has none is told in the server's", () => {
  const codes = ["bad_id", "bad_key", "id_taken", "offline", "slow", "full", "too_many"];
  for (const words of LANGUAGES) {
    for (const code of codes) assert.notEqual(reasonText(words, { code, to: "bob", text: "?!" }), "?!", code);
    assert.match(reasonText(words, { code: "offline", to: "bob" }), /bob/);
    assert.equal(reasonText(words, { code: "bad_request", text: "as it says" }), "as it says");
    assert.equal(reasonText(words, { code: "toString", text: "as it says" }), "as it says");
  }
  assert.equal(reasonText(LANGUAGES[0], { code: "offline", to: "bob" }), "bob is not here");
});
