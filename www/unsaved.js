/**
 * The changes that the storage does not have yet.
 *
 * **Invariants**
 * - A message, its conversation and its mid are in the same batch.
 * - So is its acknowledgement, so no message is acknowledged before it is kept.
 *
 * It does not know the storage.
 */

/** The most messages and mids that wait for a storage that does not answer. */
export const WAITING_MAX = 65536;

export class Unsaved {
	#changes = noChanges();

	/** @param {Message} message */
	addMessage(message) {
		const { messages } = this.#changes;
		if (!message.cleared) messages.add(message);
		const [oldest] = messages;
		if (messages.size > WAITING_MAX) messages.delete(oldest);
	}

	/** @param {Conversation} conversation */
	addConversation(conversation) {
		this.#changes.conversations.add(conversation);
	}

	/** @param {string} mid */
	addMid(mid) {
		const { mids } = this.#changes;
		mids.push(mid);
		if (mids.length > WAITING_MAX) mids.shift();
	}

	/** @param {string} peer @param {string} mid */
	addAck(peer, mid) {
		const { acks } = this.#changes;
		const mids = acks.get(peer) ?? [];
		mids.push(mid);
		acks.set(peer, mids);
	}

	/** Keeps nothing of the conversation as it was until now. @param {Conversation} conversation */
	clear(conversation) {
		const { messages, conversations, cleared } = this.#changes;
		cleared.add(conversation.peer);
		conversations.delete(conversation);
		for (const message of messages) {
			if (message.peer === conversation.peer) messages.delete(message);
		}
	}

	/** Leaves out a message that is kept already. @param {Message} message */
	drop(message) {
		this.#changes.messages.delete(message);
	}

	/** Leaves arrived messages to the tab that has the id now: the server repeats them there. */
	keepOurs() {
		const ours = [...this.#changes.messages].filter(({ mine }) => mine);
		this.#changes = { ...noChanges(), messages: new Set(ours) };
	}

	get isEmpty() {
		const { messages, conversations, cleared, acks } = this.#changes;
		return messages.size + conversations.size + cleared.size + acks.size === 0;
	}

	/** Takes the changes, if there are any. @param {string} id @returns {Batch | null} */
	take(id) {
		if (this.isEmpty) return null;
		// A batch may be kept late, with other fields as they are then. But a number that came meanwhile
		// must not be kept before its message.
		const conversations = [...this.#changes.conversations].map((conversation) => {
			const keys = { value: structuredClone(conversation.keys) };
			return /** @type {Conversation} */ (Object.create(conversation, { keys }));
		});
		const batch = { id, ...this.#changes, conversations: new Set(conversations) };
		this.forget();
		return batch;
	}

	/** Takes the acknowledgements only: the other changes go on waiting for the storage. */
	takeAcks() {
		const { acks } = this.#changes;
		this.#changes.acks = new Map();
		return acks;
	}

	forget() {
		this.#changes = noChanges();
	}
}

/** @returns {Changes} */
function noChanges() {
	return {
		messages: new Set(), conversations: new Set(), cleared: new Set(), mids: [], acks: new Map(),
	};
}
