/**
 * sotto's client: messages to an id, each once and in order, over connections that break.
 *
 *     const me = connect("wss://chat.example/ws", { id: "alice", store: localStorage });
 *     me.onmessage = async ({ from, body }) => { await save(from, body); };
 *     await me.send("bob", { hello: "world" }).delivered;
 *
 * A message is acknowledged when `onmessage` resolves. The server serves this file in one piece
 * with the modules below, of which the page is made, too. `client.d.ts` tells programs the rest.
 *
 * **Invariants**
 * - A message is handled once, and acknowledged after that. It is known again by the number that
 *   its sender gave it, otherwise by its mid.
 * - Messages go to the server in the order in which they were sent. At most `SENDS_MAX` of them
 *   wait for an answer, because the server knows no more of them again.
 * - A message that the server has forgotten, because it was restarted without a store, is repeated
 *   under its number.
 *
 * It does not know the DOM, conversations or encryption.
 */

import { Memory, newFate, NOWHERE } from "./memory.js";
import {
	CLOSE_NORMAL, CLOSE_REPLACED, CLOSE_TRY_LATER, contentOf, lineBytes, listParts,
	MESSAGE_BYTES_DEFAULT, numbered, randomHex, sendLine, WATCHED_MAX,
} from "./protocol.js";
import { isLostUnder, Sends } from "./sends.js";
import { Delay, Socket, SUBPROTOCOL } from "./socket.js";

/** The most messages without a fate. */
const PENDING_MAX = 65536;

/**
 * After a restart of a server without a store all peers come back, but not at once. One that is not
 * back after the longest delay of a client (20 s) and a bit is offline.
 */
const RETURN_GRACE_MS = 25_000;
const ASK_AGAIN_MS = 1000;

/** These answers to `join` end it: to try again would help only after a change. */
const FINAL = ["id_taken", "bad_id", "bad_key", "bad_request", "forbidden"];

/** The codes are those of the protocol, and some of the client's own: see `client.d.ts`. */
export class SottoError extends Error {
	/** @param {string} code @param {string} [text] */
	constructor(code, text = code) {
		super(text);
		this.name = "SottoError";
		this.code = code;
	}
}

/** @param {string} url of the endpoint @param {ClientOptions} options */
export function connect(url, options) {
	return new Client(url, options);
}

/** One id, and the connection to it. */
export class Client {
	#options;
	#memory;
	#delay;
	#socket;
	/** @type {ClientState} */
	state = "connecting";
	/** @type {Sends<ClientSend>} */
	#sends = new Sends();
	/** Not said yet, in their order. @type {ClientSend[]} */
	#waiting = [];
	/** Arrived, and not handled yet. @type {MessageLine[]} */
	#inbox = [];
	#isHandling = false;
	#isGathering = false;
	/** Mids to acknowledge, by sender. @type {Map<string, string[]>} */
	#acks = new Map();
	/** @type {Map<string, (presence: { id: string, online: boolean }) => void>} */
	#watched = new Map();
	/** Blocked ids, and those that have to be unblocked. @type {Map<string, boolean>} */
	#blocked = new Map();
	#ownership = "";
	/** Until then, peers that are offline may be on their way back to a restarted server. */
	#graceEnd = 0;
	/** Peers that are back since then. @type {Set<string>} */
	#returned = new Set();
	/**
	 * Peers with one message under way, and the later ones to them, which must not overtake it.
	 * @type {Map<string, ClientSend[]>}
	 */
	#asked = new Map();
	#messageBytesMax = MESSAGE_BYTES_DEFAULT;
	#number = 0;
	/** The number of the present connection. */
	#connection = 0;
	#isProbing = false;
	#isLeaving = false;
	#isClosing = false;
	/** @type {MessageHandler | null} */
	#onmessage = null;
	/** @type {(signal: { from: string, body: any }) => void} */
	onsignal = () => {};
	/** @type {(state: ClientState, error?: SottoError) => void} */
	onstate = () => {};
	/**
	 * Is told what no promise tells: an error of `onmessage`, a refused `watch`.
	 * @type {(error: unknown) => void}
	 */
	onerror = (error) => console.error(error);

	/** @param {string} url @param {ClientOptions} options */
	constructor(url, { store = NOWHERE, ...options }) {
		const WebSocket = options.WebSocket ?? globalThis.WebSocket;
		if (!WebSocket) throw new Error("no WebSocket here: node has it from version 22 on");
		this.id = options.id;
		this.#memory = new Memory(store, `sotto ${url} ${options.id} `);
		this.#options = { ...options, key: options.key ?? this.#memory.key() };
		[this.#ownership, this.#graceEnd] = this.#memory.ownership;
		// The clock may have been put back.
		this.#graceEnd = Math.min(this.#graceEnd, Date.now() + RETURN_GRACE_MS);
		this.#restore(this.#memory.messages());
		/** @type {Clock} */
		const clock = {
			setTimer: (call, ms) => setTimeout(call, ms), clearTimer: (timer) => clearTimeout(timer),
		};
		this.#delay = new Delay({ ...clock, random: Math.random });
		this.#socket = new Socket({
			connect: () => new WebSocket(url, SUBPROTOCOL),
			delay: this.#delay,
			clock,
			opened: () => void this.#join(),
			received: (lines) => this.#received(lines),
			closed: (code) => this.#closed(code),
			awaitsAnswer: () => this.#awaitsAnswer,
			probe: () => this.#probe(),
		});
		this.#socket.start();
		globalThis.addEventListener?.("online", this.#wake);
	}

	/** Messages wait until there is a handler. It is called for one after the other. */
	get onmessage() {
		return this.#onmessage;
	}

	set onmessage(handler) {
		this.#onmessage = handler;
		void this.#handle();
	}

	/** The messages without a fate in their order, also those of an earlier run of the program. */
	get pending() {
		return this.#memory.open.map(({ peer: to, body, ref, delivered }) => {
			return { to, body: contentOf(body).content, ref, delivered };
		});
	}

	// ---- what a program says

	/**
	 * Sends a message, now or as soon as it can be. With a store it is kept when this returns.
	 * @param {string} to @param {unknown} body any value that JSON has @returns {Posted}
	 */
	send(to, body) {
		if (this.#hasEnded) throw new SottoError(this.state);
		if (this.#memory.size >= PENDING_MAX) throw new SottoError("full");
		this.#number = Math.max(this.#number + 1, Date.now() * 1000);
		// A copy, because a repeated message has to be the same.
		const copy = JSON.parse(JSON.stringify(numbered(body, this.#number)));
		if (Object.keys(copy).length < 2) throw new TypeError("a body is a value that JSON has");
		const message = { peer: to, body: copy, ref: randomHex(), place: 0, ...newFate() };
		this.#memory.add(message);
		this.#waiting.push(message);
		this.#sayWaiting();
		return { ref: message.ref, delivered: message.delivered };
	}

	/**
	 * Sends something of passing interest, which is dropped if it cannot arrive now.
	 * @param {string} to @param {unknown} body
	 */
	signal(to, body) {
		// A message of the same handler goes first.
		if (this.#isGathering) return void setTimeout(() => this.signal(to, body));
		/** @type {TellLine} */
		const line = { type: "signal", to, body };
		if (lineBytes(line) > this.#messageBytesMax) throw new SottoError("long");
		// None overtakes a message.
		if (this.state === "joined" && !this.#waiting.length) this.#socket.say(line);
	}

	/**
	 * Calls `tell` now and at each change of whether these ids are online, and after each join. A
	 * second watch of an id takes the place of the first. Returns a function that ends it.
	 * @param {string[]} ids @param {(presence: { id: string, online: boolean }) => void} tell
	 */
	watch(ids, tell) {
		// One is for the probe.
		const all = new Set([...this.#watched.keys(), ...ids, this.id]);
		if (all.size > WATCHED_MAX) throw new SottoError("too_many");
		for (const id of ids) this.#watched.set(id, tell);
		this.#sayIds("watch", ids);
		return () => {
			const own = ids.filter((id) => this.#watched.get(id) === tell);
			for (const id of own) this.#watched.delete(id);
			this.#sayIds("unwatch", own.filter((id) => id !== this.id));
		};
	}

	/** Nothing more comes from these ids, and we look offline to them. @param {string[]} ids */
	block(...ids) {
		for (const id of ids) this.#blocked.set(id, true);
		this.#sayIds("block", ids);
	}

	/** @param {string[]} ids */
	unblock(...ids) {
		for (const id of ids) this.#blocked.set(id, false);
		this.#sayBlocks();
	}

	/** Ends the connection. The id stays ours for some days, and messages wait for it. */
	close() {
		this.#isClosing = true;
		// A handler that is about to end has its message acknowledged.
		if (this.#isHandling) setTimeout(() => this.#end("closed"));
		else this.#end("closed");
	}

	/** Gives the id up, with everything that waits for it, as soon as there is a connection. */
	leave() {
		this.#isLeaving = true;
		if (this.state === "joined") this.#socket.say({ type: "leave" });
	}

	// ---- the connection

	#wake = () => this.#socket.wake();

	get #hasEnded() {
		return !["connecting", "joined", "lost"].includes(this.state);
	}

	get #awaitsAnswer() {
		const isWaiting = this.state !== "joined" || this.#isProbing || this.#isLeaving;
		return isWaiting || this.#sends.unanswered.size > 0;
	}

	/** The answer shows that the server is there: programs see no pings. */
	#probe() {
		this.#isProbing = true;
		this.#socket.say({ type: "watch", ids: [this.id] });
	}

	async #join() {
		const connection = this.#connection;
		const { key, password, token: given } = this.#options;
		try {
			const token = given instanceof Function ? await given() : given;
			const line = { type: /** @type {const} */ ("join"), id: this.id, key, password, token };
			if (connection === this.#connection) this.#socket.say(line);
		} catch (error) {
			if (connection === this.#connection) this.#socket.giveUp();
			this.onerror(error);
		}
	}

	/** @param {ClientState} state @param {SottoError} [error] */
	#enter(state, error) {
		if (state === this.state) return;
		this.state = state;
		this.#guard(() => this.onstate(state, error));
	}

	/** @param {number} code */
	#closed(code) {
		this.#connection += 1;
		this.#isProbing = false;
		this.#acks.clear();
		for (const peer of [...this.#asked.keys()]) this.#release(peer);
		// What was not handled is offered again.
		this.#inbox = [];
		if (code === CLOSE_REPLACED) this.#end("replaced");
		else if (this.#isLeaving && code === CLOSE_NORMAL) this.#end("left");
		else if (!this.#hasEnded) this.#enter("lost");
		// The server is short of something, and no one waits for an attempt.
		if (code === CLOSE_TRY_LATER) this.#socket.giveUp();
	}

	/** @param {ClientState} state @param {SottoError} [error] */
	#end(state, error = new SottoError(state)) {
		if (this.#hasEnded) return;
		this.#sayAcks();
		globalThis.removeEventListener?.("online", this.#wake);
		this.#socket.stop();
		this.#connection += 1;
		this.#inbox = [];
		const { unanswered, sent } = this.#sends;
		const asked = [...this.#asked.values()].flat();
		const open = [...sent.values(), ...unanswered.values(), ...asked, ...this.#waiting];
		this.#sends.clear();
		this.#waiting = [];
		this.#enter(state, error);
		for (const message of open) {
			if (state === "left") this.#guard(() => this.#memory.drop(message));
			message.reject(error);
		}
	}

	// ---- what the server says

	/** @param {ServerLine[]} lines */
	#received(lines) {
		this.#isProbing = false;
		for (const line of lines) this.#apply(line);
		this.#socket.applied();
	}

	/** @param {ServerLine} line */
	#apply(line) {
		if (this.#hasEnded) return;
		if (line.type === "joined") this.#joined(line);
		else if (line.type === "message" && this.#inbox.push(line)) void this.#handle();
		else if (line.type === "signal") this.#guard(() => this.onsignal(line));
		else if (line.type === "presence") this.#guard(() => this.#watched.get(line.id)?.(line));
		else if (line.type === "sent") this.#taken(line);
		else if (line.type === "delivered") this.#fated(line.from, line.mids, "delivered");
		else if (line.type === "expired") this.#fated(line.to, line.mids, "expired");
		else if (line.type === "error") this.#refused(line);
	}

	/** @param {JoinedLine} line */
	#joined({ ownership = "", resumed, max_message, hold = Infinity }) {
		const isNew = !resumed || ownership !== this.#ownership;
		if (this.#ownership && isNew) {
			this.#graceEnd = Date.now() + RETURN_GRACE_MS;
			this.#returned.clear();
		}
		this.#ownership = ownership;
		this.#guard(() => (this.#memory.ownership = [ownership, this.#graceEnd]));
		this.#messageBytesMax = max_message;
		this.#delay.reset();
		if (this.#isLeaving) return this.#socket.say({ type: "leave" });
		this.#repeatLost(!resumed);
		// The server tells the fates of the last 128 only, if we were away.
		const over = [...this.#sends.sent].filter(([, { at = 0 }]) => at < Date.now() - hold * 1000);
		for (const [mid, message] of over) {
			this.#sends.sent.delete(mid);
			this.#settle(message, new SottoError("unknown"));
		}
		for (const message of this.#sends.unanswered.values()) this.#socket.say(sendLine(message));
		this.#enter("joined");
		this.#sayIds("watch", [...this.#watched.keys()]);
		this.#sayBlocks();
		this.#sayWaiting();
	}

	/** @param {boolean} isForgotten */
	#repeatLost(isForgotten) {
		const { sent, unanswered } = this.#sends;
		const lost = [...sent.values(), ...unanswered.values()].filter((message) => {
			return isLostUnder(message, this.#ownership, isForgotten);
		});
		for (const message of lost) {
			sent.delete(message.mid ?? "");
			unanswered.delete(message.ref);
			const unsaid = { ref: randomHex(), mid: undefined, ownership: undefined };
			this.#keep(Object.assign(message, unsaid));
		}
		this.#waiting = [...lost, ...this.#waiting].sort((one, other) => one.place - other.place);
	}

	/** @param {ClientSend[]} messages of an earlier run, in their order */
	#restore(messages) {
		for (const message of messages) {
			if (message.mid) this.#sends.sent.set(message.mid, message);
			else if (message.ownership) this.#sends.unanswered.set(message.ref, message);
			else this.#waiting.push(message);
		}
	}

	#sayWaiting() {
		const maySay = this.state === "joined" && !this.#isGathering;
		while (maySay && this.#waiting.length && !this.#sends.isFull) {
			const message = /** @type {ClientSend} */ (this.#waiting.shift());
			const line = sendLine(message);
			const later = this.#asked.get(message.peer);
			if (lineBytes(line) > this.#messageBytesMax) {
				this.#settle(message, new SottoError("long"));
			} else if (later) {
				later.push(message);
			} else {
				if (this.#mayReturn(message.peer)) this.#asked.set(message.peer, []);
				this.#keep(Object.assign(message, { ownership: this.#ownership }));
				this.#sends.unanswered.set(message.ref, message);
				this.#socket.say(line);
			}
		}
	}

	/** Lets the later messages to a peer go. @param {string} peer */
	#release(peer) {
		const later = this.#asked.get(peer);
		if (!this.#asked.delete(peer) || !later?.length) return;
		this.#waiting = [...later, ...this.#waiting];
	}

	/** @param {string} peer */
	#mayReturn(peer) {
		return !this.#returned.has(peer) && Date.now() < this.#graceEnd;
	}

	/** Says a message to an absent peer again after a while. @param {ClientSend} message */
	#ask(message) {
		const { peer } = message;
		this.#keep(Object.assign(message, { ref: randomHex(), ownership: undefined }));
		this.#asked.set(peer, [message, ...this.#asked.get(peer) ?? []]);
		setTimeout(() => {
			this.#release(peer);
			this.#sayWaiting();
		}, ASK_AGAIN_MS);
	}

	/** @param {SentLine} line */
	#taken({ ref, mid, at }) {
		const { send, fate } = this.#sends.answered(ref, mid);
		if (send) {
			this.#keep(Object.assign(send, { mid, at }));
			if (this.#mayReturn(send.peer)) this.#returned.add(send.peer);
			this.#release(send.peer);
		}
		if (send && fate) this.#fated(send.peer, [mid], fate);
		this.#sayWaiting();
	}

	/** @param {ErrorLine} line */
	#refused({ code, ref, text }) {
		const error = new SottoError(code, text);
		const { send } = this.#sends.answered(ref ?? "");
		if (send) {
			if (code === "offline" && this.#mayReturn(send.peer)) {
				this.#ask(send);
			} else {
				this.#release(send.peer);
				this.#settle(send, error);
			}
			this.#sayWaiting();
		} else if (this.state === "joined") {
			this.onerror(error);
		} else if (FINAL.includes(code)) {
			this.#end("refused", error);
		} else {
			this.#socket.giveUp();
		}
	}

	/** @param {string} peer @param {string[]} mids @param {"delivered" | "expired"} fate */
	#fated(peer, mids, fate) {
		for (const message of this.#sends.fated(peer, mids, fate)) {
			this.#settle(message, fate === "expired" ? new SottoError("expired") : undefined);
		}
	}

	/** @param {ClientSend} message @param {SottoError} [error] */
	#settle(message, error) {
		const { ref, mid = "", at = 0 } = message;
		this.#guard(() => this.#memory.drop(message));
		if (error) message.reject(error);
		else message.resolve({ ref, mid, at });
	}

	/** @param {ClientSend} message */
	#keep(message) {
		this.#guard(() => this.#memory.keep(message));
	}

	/** An error of the program or its store keeps us from no line. @param {() => void} call */
	#guard(call) {
		try {
			call();
		} catch (error) {
			this.onerror(error);
		}
	}

	/** @param {"watch" | "unwatch" | "block" | "unblock"} type @param {string[]} ids */
	#sayIds(type, ids) {
		if (this.state !== "joined") return;
		for (const part of this.#parts(ids)) this.#socket.say({ type, ids: part });
	}

	#sayBlocks() {
		if (this.state !== "joined") return;
		const ids = [...this.#blocked.keys()];
		this.#sayIds("block", ids.filter((id) => this.#blocked.get(id)));
		const others = ids.filter((id) => !this.#blocked.get(id));
		this.#sayIds("unblock", others);
		for (const id of others) this.#blocked.delete(id);
	}

	// ---- messages that arrive

	/** Handles one message after the other, so that they stay in order. */
	async #handle() {
		if (this.#isHandling) return;
		this.#isHandling = true;
		try {
			while (this.#onmessage && !this.#isClosing && this.#inbox.length) {
				await this.#take(/** @type {MessageLine} */ (this.#inbox.shift()), this.#onmessage);
			}
		} catch (error) {
			// Not acknowledged, the message is offered again on the next connection, and all behind it.
			this.#inbox = [];
			this.#socket.giveUp();
			this.#isHandling = false;
			this.onerror(error);
		}
		this.#isHandling = false;
	}

	/** @param {MessageLine} line @param {MessageHandler} handler */
	async #take({ from, body, mid, at }, handler) {
		const { content, number } = contentOf(body);
		const name = number ? `${from} ${number}` : mid;
		const message = { from, body: content, mid, at, number };
		if (!this.#memory.knows(name)) await this.#run(handler, message, name);
		const { size } = this.#acks;
		this.#acks.set(from, [...(this.#acks.get(from) ?? []), mid]);
		// In one go with those that were handled at the same time: each line counts against the pace.
		if (!size) setTimeout(() => this.#sayAcks());
	}

	/**
	 * Handles a message. If the handler is done at once, what it has sent is kept and said together
	 * with its message being known: so a program that is killed answers each message once.
	 * @param {MessageHandler} handler @param {ClientMessage} message @param {string} name
	 */
	async #run(handler, message, name) {
		this.#memory.gather();
		this.#isGathering = true;
		// A handler that takes longer may wait for the fate of a message that it has sent.
		const timer = setTimeout(() => this.#guard(() => this.#letGo()));
		try {
			await handler(message);
			this.#memory.remember(name);
		} finally {
			clearTimeout(timer);
			this.#letGo();
		}
	}

	#letGo() {
		this.#isGathering = false;
		this.#memory.commit();
		this.#sayWaiting();
	}

	#sayAcks() {
		const acks = [...this.#acks];
		this.#acks.clear();
		if (this.state !== "joined") return;
		for (const [to, all] of acks) {
			for (const mids of this.#parts(all)) this.#socket.say({ type: "ack", to, mids });
		}
	}

	/** @param {string[]} list of ids or mids */
	#parts(list) {
		return listParts(list, this.#messageBytesMax);
	}
}
