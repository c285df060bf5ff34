/**
 * The texts of the page, which are the same in each language.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "./load.mjs";

const { LANGUAGES, chooseWords, reasonText } = await load("words.js");

/** Returns the names of all words, each with the number of its parameters. */
function shape(words) {
  if (typeof words === "function") return words.length;
  if (typeof words === "string") return "text";
  return Object.fromEntries(Object.entries(words).map(([name, word]) => [name, shape(word)]));
}

test("each language has the same words", () => {
  const [first] = LANGUAGES;
  for (const words of LANGUAGES) assert.deepEqual(shape(words), shape(first), words.language);
});

test("every word that index.html names exists", () => {
  const page = readFileSync(new URL("../../www/index.html", import.meta.url), "utf8");
  const names = [...page.matchAll(/data-(?:text|label|hint)="(\w+)"/g)].map(([, name]) => name);
  assert.ok(names.length > 20);
  for (const name of names) assert.equal(typeof LANGUAGES[0][name], "string", name);
});

test("first known language of the reader is chosen, or English", () => {
  const chosen = (...wanted) => chooseWords(wanted).language;
  const german = [["de-AT", "en"], ["fr", "de"], ["DE"]];
  for (const wanted of german) assert.equal(chosen(...wanted), "de");
  for (const wanted of [["fr"], []]) assert.equal(chosen(...wanted), "en");
});

test("known refusals have words, others keep the server's text", () => {
  const codes = ["bad_id", "bad_key", "forbidden", "id_taken", "offline", "slow", "full", "too_many"];
  for (const words of LANGUAGES) {
    for (const code of codes) {
      assert.notEqual(reasonText(words, { code, to: "bob", text: "?!" }), "?!", code);
    }
    assert.match(reasonText(words, { code: "offline", to: "bob" }), /bob/);
    assert.equal(reasonText(words, { code: "bad_request", text: "as it says" }), "as it says");
    assert.equal(reasonText(words, { code: "toString", text: "as it says" }), "as it says");
  }
  assert.equal(reasonText(LANGUAGES[0], { code: "offline", to: "bob" }), "bob is offline");
});
