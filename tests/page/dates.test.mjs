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
