/**
 * What is seen in a text: links, emoji, one line.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { partsOf, isEmojiOnly, lineOf, initialOf, hueOf } = await load("text.js");

/** The links in a text, each as it is shown and where it leads; and nothing of the text is lost. */
function links(text) {
  const parts = partsOf(text);
  assert.equal(parts.map((part) => part.text).join(""), text);
  return parts.filter(({ href }) => href).map((part) => [part.text, part.href]);
}

test("web and mail addresses are links", () => {
  assert.deepEqual(links("see https://example.com/a?b=c#d and mailto:bob@example.com"), [
    ["https://example.com/a?b=c#d", "https://example.com/a?b=c#d"],
    ["mailto:bob@example.com", "mailto:bob@example.com"],
  ]);
  assert.deepEqual(links("HTTP://EXAMPLE.COM"), [["HTTP://EXAMPLE.COM", "http://example.com/"]]);
  assert.deepEqual(links("http://b\u00fccher.example"), [["http://b\u00fccher.example", "http://xn--bcher-kva.example/"]]);
});

test("what belongs to the sentence does not belong to the link", () => {
  for (const [text, link] of [
    ["Go to https://a.example.", "https://a.example"],
    ["(https://a.example/b)", "https://a.example/b"],
    ["https://a.example/b_(c)", "https://a.example/b_(c)"],
    ["(https://a.example/b_(c)).", "https://a.example/b_(c)"],
    ["https://a.example/?!", "https://a.example/"],
    ["<https://a.example>", "https://a.example"],
    ["\u201chttps://a.example\u201d", "https://a.example"],
  ]) assert.equal(links(text)[0][0], link, text);
});

test("nothing else is a link", () => {
  const not = [
    "javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "ftp://a.example", "//a.example",
    "http://", "https://.", "mailto:", "a.example", "xhttp://a.example", "https://a b", "java\nscript:alert(1)", "",
  ];
  for (const text of not) assert.deepEqual(links(text).filter(([, href]) => !href.startsWith("https://a")), [], text);
});

test("a link ends where the direction of the text is turned around", () => {
  assert.deepEqual(links("https://a.example/\u202egpj.exe"), [["https://a.example/", "https://a.example/"]]);
});

test("a few emoji alone are large; digits, words and many are not", () => {
  const large = ["😄", "👋🏽", "👩‍👩‍👧", "🇮🇹", "❤️", "1️⃣", " 😄 😄 ", "😄".repeat(6)];
  for (const text of large) assert.equal(isEmojiOnly(text), true, text);
  for (const text of ["", " ", "1", "#", "a", "😄 a", "12", "😄".repeat(7)]) assert.equal(isEmojiOnly(text), false, text);
});

test("a long word of emoji takes no time", () => {
  assert.equal(isEmojiOnly(`${"👩‍".repeat(20_000)}a`), false);
  assert.equal(links(`${"https://".repeat(5000)}`).length >= 0, true);
});

test("a body in a line is short, whatever it is", () => {
  assert.equal(lineOf("a\n  b", "?"), "a b");
  for (const body of [null, 1, {}, ["x"]]) assert.equal(lineOf(body, "?"), "?");
  assert.ok(lineOf("x".repeat(60_000), "?").length < 250);
});

test("an id has an initial and a colour, always the same", () => {
  for (const [id, initial] of [["bob", "B"], ["_x", "X"], ["\u0928\u0940", "\u0928\u0940"], ["..", "."], ["", ""]]) {
    assert.equal(initialOf(id), initial);
  }
  assert.equal(hueOf("bob"), hueOf("bob"));
  assert.ok(hueOf("x".repeat(64)) < 360);
});
