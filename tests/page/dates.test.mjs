/**
 * Days and times, as the reader's language writes them. The test plays the clock, and as much of
 * the DOM as `<time>` needs.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

process.env.TZ = "Europe/Berlin";
globalThis.document = {
  createElement: () => ({
    append(text) {
      this.text = text;
    },
  }),
};

const { Dates } = await load("dates.js");
const { LANGUAGES } = await load("words.js");
const [english] = LANGUAGES;
const at = (text) => new Date(text).getTime();

test("day is named by the calendar of now", () => {
  let now = at("2026-11-27T23:59:50");
  const dates = new Dates(english, ["en-US"], () => now);
  const day = (text) => dates.day(at(text)).text;
  assert.equal(day("2026-11-27T08:00"), "Today");
  const { today } = dates;
  now += 20_000;
  assert.notEqual(dates.today, today);
  assert.equal(day("2026-11-27T08:00"), "Yesterday");
  assert.equal(day("2026-11-28T00:00:05"), "Today");
  now = at("2026-11-26T12:00");
  assert.match(day("2026-11-27T08:00"), /November 27/);
});

test("yesterday is right where clocks change", () => {
  // The 29th of March has 23 hours in Berlin.
  const dates = new Dates(english, ["en-US"], () => at("2026-03-30T00:30"));
  assert.equal(dates.day(at("2026-03-29T12:00")).text, "Yesterday");
  assert.match(dates.day(at("2026-03-28T23:45")).text, /March 28/);
});

test("times and dates follow the reader's language and region", () => {
  const now = () => at("2026-11-27T12:00");
  const written = (...languages) => {
    const dates = new Dates(english, languages, now);
    return [dates.time(at("2026-11-27T09:05")).text, dates.brief(at("2026-11-20T09:05"))]
      .map((text) => text.replace(/\s/gu, " "));
  };
  assert.deepEqual(written("en-US"), ["9:05 AM", "11/20/26"]);
  assert.deepEqual(written("en-GB"), ["09:05", "20/11/2026"]);
  assert.deepEqual(written("de-AT", "de"), ["09:05", "20.11.26"]);
  assert.deepEqual(written("fr-FR", "en"), ["09:05", "20/11/2026"]);
  assert.deepEqual(written("es"), ["9:05", "20/11/26"]);
  assert.deepEqual(written("ja"), ["9:05", "2026/11/20"]);
  assert.deepEqual(written("ar-EG")[0], "٩:٠٥ ص");
  assert.deepEqual(written("en-US@posix", "C.UTF-8"), written("en"));
});

test("time has the language that it is written in", () => {
  const dates = new Dates(english, ["fr-FR"], () => at("2026-11-27T12:00"));
  assert.equal(dates.time(at("2026-11-27T09:05")).lang, "fr-FR");
  assert.equal(dates.day(at("2026-11-20T09:05")).text, "vendredi 20 novembre");
  const { text, lang } = dates.day(at("2026-11-27T09:05"));
  assert.deepEqual([text, lang], ["Today", "en"]);
});
