/**
 * Finds out why the server took no connection. Browsers hide why a WebSocket was refused, but plain
 * requests are refused alike, and show it.
 *
 * **Invariants**
 * - A fault that only an operator can mend is told after an answer that nothing else leads to, and
 *   that of a proxy after the second failure in a row: a server that restarts looks like one.
 *
 * It does not know what is shown, or when the next attempt is made.
 */

/** @type {Record<number, Outage>} by the status of `readyz` */
const OUTAGES = { 421: "address", 502: "down", 503: "full", 504: "down" };

export class Diagnosis {
	#ask;
	#failures = 0;

	/** @param {(path: string, method: string) => Promise<Response | null>} ask */
	constructor(ask) {
		this.#ask = ask;
	}

	/** The server took a connection. */
	connected() {
		this.#failures = 0;
	}

	/** Resolves to the reason why an attempt failed; to "" as long as it is not known. */
	async explain() {
		const failures = ++this.#failures;
		const ready = await this.#ask("readyz", "GET");
		if (!ready?.ok) return OUTAGES[ready?.status ?? 0] ?? "";
		// As browsers ask for the WebSocket, with an Origin: a GET of the page's own server has none.
		const answer = await this.#ask("ws", "OPTIONS");
		if (answer?.status === 403) return "address";
		return answer?.ok && failures > 1 ? "proxy" : "";
	}

	/**
	 * Resolves to the text at a path, without its line break; empty: there is none.
	 * @param {string} path
	 */
	async text(path) {
		const answer = await this.#ask(path, "GET");
		const text = answer?.ok && await answer.text().catch(() => "");
		return (text || "").trim();
	}
}
