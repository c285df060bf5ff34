/**
 * Everything the page knows, and one function for each change of it.
 *
 * **Invariants**
 * - A gesture, a text of the server or an answer of the storage is one call and ends in one notice,
 *   `changed`.
 * - While we are "joined", every peer in the list is watched.
 *
 * It does not know the DOM, the socket, the storage or the clock: they come in as functions.
 */

import { Arrivals } from "./arrivals.js";
import { Conversations } from "./conversations.js";
import { Identity } from "./identity.js";
import { isId, normalId } from "./ids.js";
import { isMissing } from "./ledger.js";
import { Outgoing, RETURN_GRACE_MS } from "./outgoing.js";
import { CLOSE_REPLACED, lineBytes } from "./protocol.js";
import { Search } from "./search.js";
import { Signals } from "./signals.js";
import { newState, SETTINGS_DEFAULT } from "./state.js";
import { Trust } from "./trust.js";
import { Unsaved } from "./unsaved.js";

export class Store {
	state;
	#outside;
	#unsaved = new Unsaved();
	#outgoing;
	#identity;
	#conversations;
	#signals;
	#search;
	#trust;
	#arrivals;
	#joins = 0;
	#isProbing = false;
	/** The server has forgotten an id that was ours, and others. */
	#hasRestarted = false;
	/** The storage has answered, so the conversations here are those that are kept. */
	#isLoaded = false;
	/** The server's last one. @type {JoinedLine} */
	#joinedLine = { type: "joined", resumed: false, max_message: 0 };
	/** Stands in lines that are only measured. */
	#anyRef;

	/** @param {StoreOutside} outside */
	constructor(outside) {
		const unsaved = this.#unsaved;
		this.#outside = outside;
		this.#anyRef = outside.newRef();
		this.state = newState(outside.settings);
		const { conversations } = this.state;
		const ownCard = () => outside.ownCard();
		this.#trust = new Trust(this.state, {
			...outside,
			unsaved,
			ownCard,
			stop: (peer, reason) => this.#outgoing.stop(peer, reason),
			notePin: (peer, sign) => outside.notePin(this.state.id, peer, sign),
		});
		this.#outgoing = new Outgoing({
			...outside,
			unsaved,
			wayTo: (peer) => this.#trust.wayTo(peer),
			numberMessage: (peer) => this.#trust.numberMessage(peer),
			ownCardBytes: () => lineBytes(ownCard() ?? {}),
			isPinned: (peer) => conversations.get(peer)?.keys.pin !== undefined,
			gotFrom: (peer) => conversations.get(peer)?.keys.pin?.got ?? 0,
			isOnline: (peer) => conversations.get(peer)?.presence === "online",
			// Peers of an earlier day come back to a server that was restarted, each in their time.
			/** @param {string} peer @returns {boolean} */
			isExpected: (peer) => this.#hasRestarted && this.#conversations.hasMet(peer),
		});
		const parts = {
			...outside,
			outgoing: this.#outgoing,
			unsaved,
			changed: () => this.#changed(),
			/** @param {string} peer */
			pinOf: (peer) => new Map(Object.entries(outside.pinsOf(this.state.id))).get(peer),
			/** @param {string} peer */
			unpin: (peer) => outside.notePin(this.state.id, peer),
		};
		this.#identity = new Identity(this.state, parts);
		this.#conversations = new Conversations(this.state, parts);
		this.#search = new Search(this.state, this.#conversations);
		this.#signals = new Signals(this.state, {
			...parts,
			trust: this.#trust,
			lost: (peer, mids, isForeign) => void this.#arrivals.sealAgain(peer, mids, isForeign),
		});
		this.#arrivals = new Arrivals(this.state, {
			...parts,
			trust: this.#trust,
			conversations: this.#conversations,
		});
	}

	/** @param {IncomingMessage[]} arrived */
	#changed(arrived = []) {
		this.#search.follow();
		this.#outside.changed(arrived);
	}

	// ---- our id

	/** @param {string} text as the reader entered it */
	join(text) {
		const id = normalId(text);
		if (this.#identity.mayJoin(id)) this.#begin(id, "joining");
	}

	/** Takes up the id of an earlier visit. @param {string} id @param {boolean} [take] */
	resume(id, take) {
		this.#begin(id, "lost", take);
	}

	/** @param {string} id @param {"joining" | "lost"} connection @param {boolean} [take] */
	#begin(id, connection, take = false) {
		// After a refusal the same id finds its conversations again. Another one must not.
		if (id !== this.state.id) this.#forget();
		this.#identity.enter(connection, id);
		this.#disconnected();
		this.setAlert(null);
		this.#outside.prepare(id, take);
	}

	/** The storage has not answered yet: goes on without it, until it does. @param {string} id */
	goOn(id) {
		if (!this.#identity.isPreparing(id)) return;
		this.#identity.prepared();
		this.#changed();
	}

	/**
	 * Takes up the kept messages, if the browser keeps any. They may come late.
	 * @param {string} id @param {Kept} [kept]
	 */
	restored(id, kept) {
		if (id !== this.state.id || !(this.#identity.isPreparing(id) || this.wanted)) return;
		this.state.kept = Boolean(kept);
		this.#warn("unkept", kept ? null : {});
		if (kept) this.#restore(kept);
		this.#identity.prepared();
		this.#changed();
	}

	/** @param {Kept} kept */
	#restore({ conversations, open, mids }) {
		const { openPeer, connection } = this.state;
		// Another tab may have written since then.
		if (this.#isLoaded) this.#forget();
		this.#isLoaded = true;
		this.#outgoing.restore(open);
		this.#conversations.drop(this.#arrivals.restore(mids));
		this.#conversations.restore(conversations);
		for (const conversation of this.state.conversations.values()) this.#trust.expect(conversation);
		if (openPeer) this.#conversations.reopen(openPeer);
		if (connection === "joined") this.#begun({ ...this.#joinedLine, resumed: true });
	}

	/** Another tab has the id, and we did not take it. @param {string} id */
	claimedElsewhere(id) {
		if (this.#identity.isPreparing(id)) this.replaced();
	}

	/** Another tab has taken the id. */
	replaced() {
		this.#identity.enter("replaced");
		this.#disconnected();
		this.#unsaved.keepOurs();
		this.#changed();
	}

	/** The reader waits for the server no longer. The id stays in its field, to be edited. */
	cancelJoin() {
		if (this.state.connection === "joining") this.#identity.enter("none");
		this.#changed();
	}

	/** Shows the join screen. The id stays ours for a while, and its messages are kept. */
	leave() {
		this.#forget();
		this.#identity.enter("none", "");
		this.setAlert(null);
	}

	/** Gives the id up, with all that the server holds for it. */
	giveUp() {
		if (this.state.connection === "joined") this.#outside.say({ type: "leave" });
		Object.assign(this.state.settings, SETTINGS_DEFAULT);
		this.leave();
	}

	/** Leaves nothing behind for another id. */
	#forget() {
		for (const part of [this.#conversations, this.#outgoing, this.#unsaved]) part.forget();
		this.#arrivals.forget();
		this.#isLoaded = this.#hasRestarted = false;
	}

	// ---- gestures and browser events

	/** The open conversation. */
	get current() {
		return this.#conversations.current;
	}

	/**
	 * Returns the id in the list that a typed one differs from by case only.
	 * @param {string} text
	 */
	alike(text) {
		return this.#conversations.alike(normalId(text));
	}

	/** Shows whose invite link was opened, until its conversation is. @param {string} text */
	invited(text) {
		const peer = normalId(text);
		this.state.invite = isId(peer) ? peer : "";
		this.#changed();
	}

	/**
	 * Opens any conversation. Returns `false` if the text is no id.
	 * @param {string} text @param {string} [sign] the peer's identity, as its invite link has it
	 */
	open(text, sign) {
		const peer = normalId(text);
		// The server refuses a whole `watch` for one bad id, so none may get into the list.
		const isPossible = isId(peer);
		this.state.invite = "";
		this.#warn("bad_id", isPossible ? null : { to: peer });
		if (isPossible) this.#conversations.open(peer);
		if (this.current && sign) this.#trust.invited(this.current, sign);
		this.#trust.lookUp(this.current);
		// A peer that the reader looks for is no stranger.
		if (isPossible) this.accept();
		else this.#changed();
		return isPossible;
	}

	/**
	 * Shows an alert, or ends the one with this code.
	 * @param {string} code @param {Partial<Reason> | null} details
	 */
	#warn(code, details) {
		if (details) this.state.alert = { ...details, code };
		else if (this.state.alert?.code === code) this.state.alert = null;
	}

	/** Opens a conversation of the list. @param {string} peer */
	choose(peer) {
		this.#conversations.open(peer);
		this.#trust.lookUp(this.current);
		this.#changed();
	}

	back() {
		this.#conversations.close();
		this.#changed();
	}

	/** @param {number} [count] */
	loadEarlier(count) {
		this.#conversations.loadEarlier(count);
	}

	/** @param {boolean} open */
	setSearch(open) {
		if (open) this.#search.open();
		else this.#search.close();
		this.#changed();
	}

	/** @param {string} text */
	find(text) {
		this.#search.find(text);
		this.#changed();
	}

	/** Goes to the match before, or with 1 to the one behind. @param {number} [step] */
	findNext(step) {
		this.#search.move(step);
		this.#changed();
	}

	/**
	 * @param {string} peer
	 * @param {Message[]} messages @param {boolean} earlier even more are kept
	 */
	loaded(peer, messages, earlier) {
		if (this.#conversations.loaded(peer, messages, earlier)) this.#changed();
	}

	/**
	 * Each conversation has its own draft, so no text goes to another peer.
	 * @param {string} text
	 */
	draft(text) {
		const { current } = this;
		if (!current) return;
		current.draft = text;
		this.#unsaved.addConversation(current);
		if (text) this.#signals.tellTyping(current);
		this.#changed();
	}

	/** Sends the draft. */
	write() {
		const { current } = this;
		if (!current?.draft.trim()) return;
		const left = this.bytesLeft();
		this.#warn("long", left < 0 ? { bytes: -left } : null);
		if (left >= 0) this.#send(current);
		this.#changed();
	}

	/** @param {Conversation} conversation */
	#send(conversation) {
		const { peer, draft: body } = conversation;
		const { now, newRef } = this.#outside;
		conversation.draft = "";
		conversation.newAfter = undefined;
		conversation.typedAt = 0;
		// An answer accepts a stranger.
		this.#accept(conversation);
		this.#trust.expect(conversation);
		this.#outgoing.add(this.#conversations.append({
			peer, place: 0, mine: true, body, at: now(), state: "sending", ref: newRef(),
		}));
		this.#signals.tellRead(conversation);
	}

	/** Returns by how many bytes the draft may grow, or below 0, must shrink. */
	bytesLeft() {
		const { peer, draft: body } = this.current ?? { peer: "", draft: "" };
		return this.#outgoing.bytesLeft({ peer, body, ref: this.#anyRef });
	}

	/** @param {OutgoingMessage} message one that failed, may be lost, or was withdrawn */
	retry(message) {
		message.state = "sending";
		message.ref = this.#outside.newRef();
		message.reason = message.sealed = message.sealedFor = undefined;
		message.said = false;
		const conversation = this.state.conversations.get(message.peer);
		if (conversation) this.#trust.expect(conversation);
		this.#unsaved.addMessage(message);
		this.#outgoing.add(message);
		this.#changed();
	}

	/** @param {OutgoingMessage} message one that waits for its peer */
	withdraw(message) {
		this.#outgoing.withdraw(message);
		this.#changed();
	}

	accept() {
		const { current } = this;
		if (!current) return;
		this.#accept(current);
		this.#unsaved.addConversation(current);
		this.#signals.tellRead(current);
		this.#changed();
	}

	/** @param {Conversation} conversation */
	#accept(conversation) {
		if (conversation.accepted) return;
		conversation.accepted = true;
		// While the peer was a stranger, its page was not asked for unreadable messages.
		this.#arrivals.askAnew(conversation);
	}

	/** @param {boolean} blocked */
	block(blocked) {
		const { current } = this;
		if (!current) return;
		current.blocked = blocked;
		// Otherwise they would go once the peer is back.
		if (blocked) this.#outgoing.withdrawAll(current.peer);
		this.#unsaved.addConversation(current);
		this.#sayIds(blocked ? "block" : "unblock", [current]);
		this.#changed();
	}

	/** Answers the question about another identity of the open peer. @param {boolean} isPeers */
	decide(isPeers) {
		if (this.current) this.#trust.decide(this.current, isPeers);
		this.#outgoing.sayWaiting();
		this.#changed();
	}

	/**
	 * The reader has compared the numbers of both, or takes that back.
	 * @param {boolean} verified
	 */
	verify(verified) {
		if (this.current) this.#trust.verify(this.current, verified);
		this.#changed();
	}

	/** Goes on without encryption, as the reader wants it. */
	allowPlain() {
		if (this.current) this.#trust.allowPlain(this.current);
		this.#changed();
	}

	clear() {
		if (this.current) this.#conversations.clear(this.current);
		this.#changed();
	}

	/** Deletes the open conversation. */
	remove() {
		if (this.current) this.#conversations.remove(this.current);
		this.#changed();
	}

	/** @param {keyof Settings} name @param {boolean} on */
	changeSetting(name, on) {
		this.state.settings[name] = on;
		this.#changed();
	}

	/** @param {State["notifying"]} notifying */
	setNotifying(notifying) {
		this.state.notifying = notifying;
		this.changeSetting("notify", notifying === "granted");
	}

	/** The server asks for a password. @param {boolean} [isPrivate] */
	setPrivate(isPrivate = true) {
		this.state.isPrivate = isPrivate;
		this.#changed();
	}

	/** The server has a newer page. */
	setOutdated() {
		this.state.outdated = true;
		this.#changed();
	}

	/** @param {Reason | null} reason */
	setAlert(reason) {
		this.state.alert = reason;
		this.#changed();
	}

	/** The reader has seen all messages up to this one. @param {Message} message */
	seen(message) {
		const { current } = this;
		if (!current || !this.#conversations.markSeen(message)) return;
		this.#signals.tellRead(current);
		this.#changed();
	}

	/** @param {boolean} visible */
	setVisible(visible) {
		this.state.visible = visible;
		this.#changed();
	}

	/** @param {boolean} online */
	setOnline(online) {
		this.state.online = online;
		this.#changed();
	}

	// ---- the connection

	/** Returns `true` if there should be a connection. */
	get wanted() {
		return this.#identity.wanted;
	}

	opened() {
		const { id } = this.state;
		const card = this.#outside.ownCard();
		const [password, token] = [this.#outside.password(), this.#outside.token()];
		this.state.seals = card !== undefined;
		const more = { ...(card && { card }), ...(password && { password }), ...(token && { token }) };
		this.#outside.say({ type: "join", id, key: this.#outside.keyOf(id), ...more });
	}

	/** We have a new card. */
	renewed() {
		const card = this.#outside.ownCard();
		if (this.state.connection !== "joined" || !this.#joinedLine.card || !card) return;
		this.#outside.say({ type: "card", card });
	}

	/** Returns `true` if the message before this one has not come yet. @param {Message} message */
	isMissing({ peer, after = 0 }) {
		const { pin } = this.state.conversations.get(peer)?.keys ?? {};
		return pin !== undefined && isMissing(pin, after);
	}

	/** A message was sealed and said, or could not be. */
	sealed() {
		this.#changed();
	}

	/** Returns `true` for a message that came before. @param {string} mid */
	knows(mid) {
		return this.#arrivals.knows(mid);
	}

	/** Says a line that the server answers at any time. */
	probe() {
		const { connection, id } = this.state;
		if (connection !== "joined") return;
		this.#isProbing = true;
		this.#outside.say({ type: "watch", ids: [id] });
	}

	/** Returns `true` if the server has to answer: our `join`, a message or a probe. */
	get awaitsAnswer() {
		const isJoined = this.state.connection === "joined";
		const parts = [this.#outgoing, this.#trust];
		return !isJoined || this.#isProbing || parts.some(({ awaitsAnswer }) => awaitsAnswer);
	}

	/** @param {number} code of the close */
	closed(code) {
		if (code === CLOSE_REPLACED) return this.replaced();
		this.#identity.lost(code);
		this.#disconnected();
		this.#changed();
	}

	/** @param {Outage} outage */
	setOutage(outage) {
		this.#identity.setOutage(outage);
		this.#changed();
	}

	#disconnected() {
		this.#isProbing = false;
		this.#outgoing.disconnected();
		this.#signals.disconnected();
		this.#trust.disconnected();
	}

	// ---- lines of the server

	/** @param {ServerLine[]} lines all lines of one text */
	received(lines) {
		const arrived = lines.map((line) => this.#apply(line));
		this.#arrivals.askAgain();
		this.#changed(arrived.filter((message) => message !== undefined));
	}

	/** Returns a new message. Unknown types belong to later versions. @param {ServerLine} line */
	#apply(line) {
		switch (line.type) {
			case "joined": return void this.#joined(line);
			case "message": return this.#arrivals.arrive(line);
			case "sent": return void this.#outgoing.sent(line);
			case "delivered": return void this.#outgoing.delivered(line);
			case "expired": return void this.#outgoing.expired(line);
			case "signal": return void this.#signals.received(line);
			case "presence": return void this.#presence(line);
			case "card": return void this.#heard(line);
			case "error": return void this.#refused(line);
		}
		return undefined;
	}

	/** @param {JoinedLine} line */
	#joined(line) {
		const { ours } = this.state;
		const { ownership: before } = this.#joinedLine;
		const { ownership = before } = line;
		// The first `joined` of a new ownership may have been lost.
		const isNew = ours && before && ownership !== before;
		const resumed = line.resumed && !isNew;
		if (ours && !resumed) this.#hasRestarted = true;
		this.#identity.enter("joined");
		this.#joinedLine = { ...line, resumed };
		this.#startReturnGrace();
		this.#signals.connected();
		this.#trust.connected(line);
		this.#begun(this.#joinedLine);
	}

	/** The server hears of our conversations. @param {JoinedLine} line */
	#begun(line) {
		if (this.#outgoing.connected(line)) this.state.alert = { code: "forgotten_all" };
		const conversations = [...this.state.conversations.values()];
		this.#sayIds("watch", conversations);
		// The server forgets blocks with the id.
		this.#sayIds("block", conversations.filter(({ blocked }) => blocked));
		this.#outgoing.repeatUnanswered();
	}

	#startReturnGrace() {
		const join = ++this.#joins;
		this.#outside.later(() => {
			if (join !== this.#joins || this.state.connection !== "joined") return;
			this.#outgoing.endReturnGrace();
			this.#changed();
		}, RETURN_GRACE_MS);
	}

	/** @param {"watch" | "block" | "unblock"} type @param {Conversation[]} conversations */
	#sayIds(type, conversations) {
		if (this.state.connection !== "joined") return;
		// A bad id, kept by an earlier page, would have the whole line refused.
		const peers = conversations.map(({ peer }) => peer).filter(isId);
		for (const ids of this.#outgoing.parts(peers)) this.#outside.say({ type, ids });
	}

	/** @param {CardLine} line */
	#heard(line) {
		const wasKnown = this.state.conversations.get(line.id)?.keys.card !== undefined;
		const conversation = this.#trust.heard(line);
		if (!conversation) return;
		if (!wasKnown) this.#arrivals.askAnew(conversation);
		if (conversation.heard === "unclaimed") this.#outgoing.unclaimed(line.id);
		this.#outgoing.sayWaiting();
		this.#signals.tellRead(conversation);
	}

	/** @param {PresenceLine} line */
	#presence(line) {
		if (line.id === this.state.id) this.#isProbing = false;
		const wasAway = this.state.conversations.get(line.id)?.presence === "away";
		const conversation = this.#signals.presence(line);
		if (!conversation) return;
		this.#trust.peerReturned(conversation, wasAway);
		this.#arrivals.askAnew(conversation);
		this.#outgoing.peerReturned(line.id);
		this.#signals.peerReturned(conversation);
	}

	/** @param {ErrorLine} line */
	#refused(line) {
		if (this.#outgoing.refused(line)) return;
		const { to = this.state.id, text } = line;
		let code = line.code === "id_taken" && this.state.ours ? "id_lost" : line.code;
		if (code === "forbidden") {
			if (this.#outside.password()) code = "wrong_password";
			this.#outside.dropPassword();
			this.state.isPrivate = true;
		}
		this.state.alert = { code, to, text };
		// Before `joined` only `join` is said, so it was refused.
		if (this.state.connection !== "joined") this.#identity.enter("none");
	}

	// ---- the storage

	/** Takes the changes to be kept, if there are any. Then `saved` is called with them. */
	takeUnsaved() {
		return this.#unsaved.take(this.state.id);
	}

	get hasUnsaved() {
		return !this.#unsaved.isEmpty;
	}

	/**
	 * Acknowledges the messages of a batch: it is kept, or cannot be.
	 * @param {Pick<Batch, "id" | "acks">} batch
	 */
	saved({ id, acks }) {
		if (this.state.connection !== "joined" || id !== this.state.id) return;
		for (const [to, all] of acks) {
			for (const mids of this.#outgoing.parts(all)) {
				this.#outside.say({ type: "ack", to, mids });
			}
		}
	}

	/** Acknowledges the messages that wait for the storage, and leaves them waiting. */
	acknowledge() {
		this.saved({ id: this.state.id, acks: this.#unsaved.takeAcks() });
	}

	/** The storage does not come back, at least not soon. */
	unkept() {
		if (!this.state.kept) return;
		this.state.kept = false;
		this.setAlert({ code: "unkept" });
	}

	/** The storage is back. */
	keptAgain() {
		if (this.state.kept) return;
		this.state.kept = true;
		this.#warn("unkept", null);
		this.#changed();
	}
}
