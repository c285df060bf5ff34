/**
 * Links and emoji in a text, and its short line.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { partsOf, isEmojiOnly, lineOf, shownLength, initialOf, hueOf } = await load("text.js");

/** Returns the text and target of each link, and checks that the parts are the whole text. */
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
  assert.deepEqual(
    links("http://b\u00fccher.example"),
    [["http://b\u00fccher.example", "http://xn--bcher-kva.example/"]],
  );
});

test("addresses are links without a scheme", () => {
  assert.deepEqual(links("www.example.com/a or Bob.B+c@mail.example.com, or www."), [
    ["www.example.com/a", "https://www.example.com/a"],
    ["Bob.B+c@mail.example.com", "mailto:Bob.B+c@mail.example.com"],
  ]);
  assert.deepEqual(links("\u90ae\u4ef6bob@example.com\u5427"), [["bob@example.com", "mailto:bob@example.com"]]);
  const not = ["www.a", "awww.a.example", "bob@home", "@bob", "ftp://bob@a.example", "a@b@c", "x@-"];
  for (const text of not) assert.deepEqual(links(text), [], text);
});

test("link that looks like another one has its true host", () => {
  const host = (text) => partsOf(text)[0].host;
  for (const [text, expected] of [
    ["https://p\u0430ypal.com/x", "xn--pypal-4ve.com"],
    ["www.\u0430\u0440\u0440\u04cf\u0435.com", "www.xn--80ak6aa92e.com"],
    ["https://google.com@evil.example/", "evil.example"],
    ["https://paypal.com/", undefined],
    ["https://b\u00fccher.example:80/", undefined],
    ["https://\u043f\u0440\u0438\u043c\u0435\u0440.com/", undefined],
    ["https://\u043e\u043a\u0430.\u0440\u0444/", undefined],
    ["https://\u30c6\u30b9\u30c8web.example/", undefined],
    ["mailto:bob@example.com", undefined],
  ]) assert.equal(host(text), expected, text);
});

test("punctuation of the sentence is not part of the link", () => {
  for (const [text, link] of [
    ["Go to https://a.example.", "https://a.example"],
    ["(https://a.example/b)", "https://a.example/b"],
    ["https://a.example/b_(c)", "https://a.example/b_(c)"],
    ["(https://a.example/b_(c)).", "https://a.example/b_(c)"],
    ["https://a.example/?!", "https://a.example/"],
    ["<https://a.example>", "https://a.example"],
    ["\u201chttps://a.example\u201d", "https://a.example"],
    ["[https://a.example/b]", "https://a.example/b"],
    ["{https://a.example/b}", "https://a.example/b"],
    ["https://a.example/?b[]=c&d={e}", "https://a.example/?b[]=c&d={e}"],
    ["[see (https://a.example/b_(c))].", "https://a.example/b_(c)"],
    ["`https://a.example/b`", "https://a.example/b"],
    ["'https://a.example/b'", "https://a.example/b"],
    ["\u00abhttps://a.example/b\u00bb", "https://a.example/b"],
    ["https://a.example/b\u3002\u6b21", "https://a.example/b"],
    ["\u300chttps://a.example/b\u300d\uff01", "https://a.example/b"],
    ["(www.a.example/b)", "www.a.example/b"],
    ["mail bob@a.example.", "bob@a.example"],
  ]) assert.equal(links(text)[0][0], link, text);
});

test("other schemes and incomplete addresses are not links", () => {
  const not = [
    "javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
    "ftp://a.example", "//a.example", "http://", "https://.", "mailto:", "a.example",
    "xhttp://a.example", "https://a b", "java\nscript:alert(1)", "",
  ];
  for (const text of not) {
    const others = links(text).filter(([, href]) => !href.startsWith("https://a"));
    assert.deepEqual(others, [], text);
  }
});

test("link ends at a character that reverses the text", () => {
  assert.deepEqual(
    links("https://a.example/\u202egpj.exe"),
    [["https://a.example/", "https://a.example/"]],
  );
});

test("up to six emoji and nothing else are large", () => {
  const large = ["😄", "👋🏽", "👩‍👩‍👧", "🇮🇹", "❤️", "1️⃣", " 😄 😄 ", "😄".repeat(6)];
  for (const text of large) assert.equal(isEmojiOnly(text), true, text);
  const small = ["", " ", "1", "#", "a", "😄 a", "12", "😄".repeat(7)];
  for (const text of small) assert.equal(isEmojiOnly(text), false, text);
});

test("long text of emoji or schemes takes no time", () => {
  assert.equal(isEmojiOnly(`${"👩‍".repeat(20_000)}a`), false);
  const long = [")", ".", "a", "a.", "@", "www.", "www.a", "a@", "a@b.", "(", ").", "https://"];
  const started = performance.now();
  for (const part of long) links(`https://a.example/${part.repeat(60_000 / part.length)}x`);
  for (const part of long) links(`${part.repeat(60_000 / part.length)} x`);
  assert.ok(performance.now() - started < 2000);
});

test("line of any body is short", () => {
  assert.equal(lineOf("a\n  b", "?"), "a b");
  for (const body of [null, 1, {}, ["x"]]) assert.equal(lineOf(body, "?"), "?");
  assert.ok(lineOf("x".repeat(60_000), "?").length < 250);
});

test("id always has the same initial and colour", () => {
  const hindi = "\u0928\u0940";
  const initials = [["bob", "B"], ["_x", "X"], [hindi, hindi], ["..", "."], ["", ""]];
  for (const [id, initial] of initials) assert.equal(initialOf(id), initial);
  assert.equal(hueOf("bob"), hueOf("bob"));
  assert.ok(hueOf("x".repeat(64)) < 360);
});

test("long text is shown up to its thirtieth line", () => {
  const shown = (text) => text.slice(0, shownLength(text));
  const lines = (count) => Array.from({ length: count }, (_, index) => `line ${index}`).join("\n");
  for (const short of ["", "one line", "\n\n\n", lines(30), "x".repeat(1800), "\r".repeat(9)]) {
    assert.equal(shown(short), short);
  }
  assert.equal(shown(lines(31)), `${lines(30)}\n`);
  assert.equal(shown("\n".repeat(20_000)).length, 30);
  assert.equal(shown("W".repeat(60_000)).length, 1800);
  assert.equal(shown("\u{1f600}".repeat(5000)).length, 3600, "no emoji is cut in two");
  assert.equal(shown(`${"x".repeat(100)}\n`.repeat(20)).split("\n").length, 16);
});
