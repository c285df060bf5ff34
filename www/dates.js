/**
 * Days and times as the reader's language writes them, in `<time>` elements.
 */

import { make } from "./dom.js";
import { isSameDay } from "./text.js";

/** @typedef {ReturnType<typeof createDates>} Dates */

const DAY_MS = 86_400_000;

/**
 * @param {import("./words.js").Words} words @param {readonly string[]} languages those that the reader asks for
 * @param {() => number} now milliseconds since 1970
 */
export function createDates(words, languages, now) {
  // With the reader's own region, where it is one of the language that the page speaks.
  const locales = [...languages.filter((tag) => tag.toLowerCase().split("-")[0] === words.language), words.language];
  const clock = new Intl.DateTimeFormat(locales, { hour: "2-digit", minute: "2-digit" });
  const weekday = new Intl.DateTimeFormat(locales, { weekday: "long", day: "numeric", month: "long" });
  const full = new Intl.DateTimeFormat(locales, { day: "numeric", month: "long", year: "numeric" });
  const short = new Intl.DateTimeFormat(locales, { day: "2-digit", month: "2-digit", year: "2-digit" });

  function element(at, text, title) {
    const time = make("time", "", text);
    time.dateTime = new Date(at).toISOString();
    time.title = title;
    return time;
  }

  function dayText(at) {
    if (isSameDay(at, now())) return words.today;
    if (isSameDay(at, now() - DAY_MS)) return words.yesterday;
    return (now() - at < 300 * DAY_MS ? weekday : full).format(at);
  }

  return {
    /** @param {number} at milliseconds since 1970 */
    time: (at) => element(at, clock.format(at), `${full.format(at)}, ${clock.format(at)}`),
    /** @param {number} at milliseconds since 1970 */
    day: (at) => element(at, dayText(at), full.format(at)),
    /** The time for today, else the day. @param {number} at milliseconds since 1970 */
    brief: (at) => (isSameDay(at, now()) ? clock : short).format(at),
  };
}
