/**
 * Days and times in `<time>` elements, as the reader's language writes them, also where the page
 * speaks another one.
 */

import { make } from "./dom.js";
import { isSameDay } from "./text.js";

/** A day of this age is shown with its year. */
const YEAR_SHOWN_MS = 300 * 86_400_000;

export class Dates {
	#words;
	#now;
	#language;
	#clock;
	#weekday;
	#full;
	#short;

	/**
	 * @param {Words} words @param {readonly string[]} languages as the reader prefers them
	 * @param {() => number} now milliseconds since 1970, as all times here
	 */
	constructor(words, languages, now) {
		const known = [...languages.filter(isKnown), words.language];
		/** @param {Intl.DateTimeFormatOptions} options */
		const format = (options) => new Intl.DateTimeFormat(known, options);
		this.#words = words;
		this.#now = now;
		this.#clock = format({ timeStyle: "short" });
		this.#weekday = format({ weekday: "long", day: "numeric", month: "long" });
		this.#full = format({ dateStyle: "long" });
		this.#short = format({ dateStyle: "short" });
		({ locale: this.#language } = this.#clock.resolvedOptions());
	}

	/** The day that is called "Today" now. */
	get today() {
		return new Date(this.#now()).toDateString();
	}

	/** @param {number} at */
	time(at) {
		const time = this.#clock.format(at);
		return this.#element(at, time, `${this.#full.format(at)}, ${time}`);
	}

	/** @param {number} at */
	day(at) {
		const name = this.#name(at);
		const format = this.#now() - at < YEAR_SHOWN_MS ? this.#weekday : this.#full;
		const element = this.#element(at, name || format.format(at), this.#full.format(at));
		if (name) element.lang = this.#words.language;
		return element;
	}

	/** Returns the time for today, otherwise the day. @param {number} at */
	brief(at) {
		return (isSameDay(at, this.#now()) ? this.#clock : this.#short).format(at);
	}

	/** Returns the word for this day, if it has one. @param {number} at */
	#name(at) {
		const now = this.#now();
		// By the calendar: where clocks change, a day has 23 or 25 hours.
		const yesterday = new Date(now).setDate(new Date(now).getDate() - 1);
		if (isSameDay(at, now)) return this.#words.today;
		return isSameDay(at, yesterday) ? this.#words.yesterday : "";
	}

	/** @param {number} at @param {string} text @param {string} title */
	#element(at, text, title) {
		const time = make("time", "", text);
		time.lang = this.#language;
		time.dateTime = new Date(at).toISOString();
		time.title = title;
		return time;
	}
}

/** Some systems make up tags that no browser can read: "en-US@posix". @param {string} tag */
function isKnown(tag) {
	try {
		return Intl.DateTimeFormat.supportedLocalesOf(tag).length > 0;
	} catch {
		return false;
	}
}
