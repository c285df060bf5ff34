/**
 * The changes that the storage does not have yet.
 *
 * **Invariants**
 * - A message, its conversation and its mid are in the same batch.
 * - So is its acknowledgement, so no message is acknowledged before it is kept.
 *
 * It does not know the storage.
 */

export class Unsaved {
	#changes = noChanges();

	/** @param {Message} message */
	addMessage(message) {
		if (!message.cleared) this.#changes.messages.add(message);
	}

	/** @param {Conversation} conversation */
	addConversation(conversation) {
		this.#changes.conversations.add(conversation);
	}

	/** @param {string} mid */
	addMid(mid) {
		this.#changes.mids.push(mid);
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
		for (const message of conversation.messages) messages.delete(message);
	}

	/** Leaves arrived messages to the tab that has the id now: the server repeats them there. */
	keepOurs() {
		const ours = [...this.#changes.messages].filter(({ mine }) => mine);
		this.#changes = { ...noChanges(), messages: new Set(ours) };
	}

	/** Takes the changes, if there are any. @param {string} id @returns {Batch | null} */
	take(id) {
		const batch = { id, ...this.#changes };
		const { messages, conversations, cleared, acks } = batch;
		if (!(messages.size + conversations.size + cleared.size + acks.size)) return null;
		this.forget();
		return batch;
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
