/**
 * The search in the open conversation: the places of the messages that hold a text.
 *
 * **Invariants**
 * - It is over all messages that are kept: while it is open, the earlier ones are loaded.
 *
 * It does not know how a message is shown.
 */

export class Search {
	#state;
	#conversations;

	/**
	 * @param {StateOfSearch} state
	 * @param {import("./conversations.js").Conversations} conversations
	 */
	constructor(state, conversations) {
		this.#state = state;
		this.#conversations = conversations;
	}

	open() {
		const { openPeer: peer } = this.#state;
		this.#state.search = { peer, text: "", places: [], at: 0, messages: 0 };
	}

	close() {
		this.#state.search = null;
	}

	/** @param {string} text */
	find(text) {
		const { search } = this.#state;
		if (search) Object.assign(search, { text, messages: -1 });
	}

	/** Goes to the match before, or with 1 to the one behind; behind the last is the first. */
	move(step = -1) {
		const { search } = this.#state;
		const count = search?.places.length;
		if (search && count) search.at = (search.at + step + count) % count;
	}

	/** Follows each change: messages come and go, and the reader opens another conversation. */
	follow() {
		const { search } = this.#state;
		const { current } = this.#conversations;
		if (!search) return;
		if (current?.peer !== search.peer) return this.close();
		this.#conversations.loadEarlier(Infinity);
		const { messages } = current;
		if (search.messages === messages.length) return;
		const shown = search.places[search.at];
		const wanted = folded(search.text);
		const found = messages.filter(({ body }) => {
			return wanted && typeof body === "string" && folded(body).includes(wanted);
		});
		search.places = found.map(({ place }) => place);
		const at = search.places.indexOf(shown);
		search.at = at < 0 ? Math.max(0, found.length - 1) : at;
		search.messages = messages.length;
	}
}

/** Leaves out case and accents, which a reader may not remember. @param {string} text */
function folded(text) {
	return text.trim().normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
}
