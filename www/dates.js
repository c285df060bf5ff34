/**
 * Days and times in `<time>` elements, as the reader's language writes them.
 */

import { make } from "./dom.js";
import { isSameDay } from "./text.js";

/** A day of this age is shown with its year. */
const YEAR_SHOWN_MS = 300 * 86_400_000;

export class Dates {
	#words;
	#now;
	#clock;
	#weekday;
	#full;
	#short;

	/**
	 * @param {Words} words @param {readonly string[]} languages as the reader prefers them
	 * @param {() => number} now milliseconds since 1970, as all times here
	 */
	constructor(words, languages, now) {
		const { language } = words;
		// The reader's own region, if its language is the one that the page speaks.
		const regions = languages.filter((tag) => tag.toLowerCase().split("-")[0] === language);
		/** @param {Intl.DateTimeFormatOptions} options */
		const format = (options) => new Intl.DateTimeFormat([...regions, language], options);
		this.#words = words;
		this.#now = now;
		this.#clock = format({ hour: "2-digit", minute: "2-digit" });
		this.#weekday = format({ weekday: "long", day: "numeric", month: "long" });
		this.#full = format({ day: "numeric", month: "long", year: "numeric" });
		this.#short = format({ day: "2-digit", month: "2-digit", year: "2-digit" });
	}

	/** The day that is called "Today" now. */
	get today() {
		return new Date(this.#now()).toDateString();
	}

	/** @param {number} at */
	time(at) {
		const time = this.#clock.format(at);
		return timeElement(at, time, `${this.#full.format(at)}, ${time}`);
	}

	/** @param {number} at */
	day(at) {
		return timeElement(at, this.#dayText(at), this.#full.format(at));
	}

	/** Returns the time for today, otherwise the day. @param {number} at */
	brief(at) {
		return (isSameDay(at, this.#now()) ? this.#clock : this.#short).format(at);
	}

	/** @param {number} at */
	#dayText(at) {
		const now = this.#now();
		// By the calendar: where clocks change, a day has 23 or 25 hours.
		const yesterday = new Date(now).setDate(new Date(now).getDate() - 1);
		if (isSameDay(at, now)) return this.#words.today;
		if (isSameDay(at, yesterday)) return this.#words.yesterday;
		return (now - at < YEAR_SHOWN_MS ? this.#weekday : this.#full).format(at);
	}
}

/** @param {number} at @param {string} text @param {string} title */
function timeElement(at, text, title) {
	const time = make("time", "", text);
	time.dateTime = new Date(at).toISOString();
	time.title = title;
	return time;
}
