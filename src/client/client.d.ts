/** The client of sotto: messages to an id, each once and in order. */

/** A store as `localStorage` is one: what it was given survives the program. */
export interface Store {
	getItem(name: string): string | null;
	setItem(name: string, value: string): void;
	removeItem(name: string): void;
}

/** A `WebSocket` class, as browsers, node 22, Deno and Bun have it. */
export type WebSocketClass = new (url: string, protocol: string) => WebSocket;

export interface Options {
	/** The id to claim. */
	id: string;
	/** The secret of 16 to 128 bytes that owns the id. Without one it is made up and kept. */
	key?: string;
	/**
	 * Keeps the key, the messages without a fate, and the names of the latest 16,384 messages that
	 * were handled. Without a store they last as long as the program. One store per running client
	 * of an id.
	 */
	store?: Store;
	/** The password of a private server. */
	password?: string;
	/** The token of a server that asks for one. A function is called before each `join`. */
	token?: string | (() => string | Promise<string>);
	/** Where there is no global one. */
	WebSocket?: WebSocketClass;
}

/**
 * - `connecting`: no connection yet.
 * - `joined`: the id is ours, and messages go both ways.
 * - `lost`: the connection ended, and another is on its way.
 * - `replaced`: another program joined with our key. Final, as are the next three.
 * - `refused`: the server refuses the id, the key, the password or the token.
 * - `closed`: `close` was called.
 * - `left`: the id was given up.
 */
export type State =
	| "connecting" | "joined" | "lost" | "replaced" | "refused" | "closed" | "left";

export interface Message {
	from: string;
	/** Any JSON value: the sender chooses it. */
	body: any;
	/**
	 * Names the message together with `from`, whatever happens. Messages of other clients may have
	 * none: then `mid` names them, as long as the server remembers them.
	 */
	number?: number;
	mid: string;
	/** When the server took it, in ms since 1970. */
	at: number;
}

export interface Signal {
	from: string;
	body: any;
}

export interface Presence {
	id: string;
	online: boolean;
}

export interface Receipt {
	ref: string;
	mid: string;
	/** When the server took the message, in ms since 1970. */
	at: number;
}

export interface Sent {
	/** Names the send to the server. */
	ref: string;
	/**
	 * Resolves when the recipient has acknowledged the message, and rejects with a `SottoError` if
	 * it never will, or if this client ends before it is known. With a store the next run goes on
	 * with such a message: see `pending`. Nothing happens if a program does not look at it.
	 */
	delivered: Promise<Receipt>;
}

/** A message without a fate. */
export interface Pending extends Sent {
	to: string;
	body: any;
}

/**
 * An error with a code of the protocol (`offline`, `expired`, `full`, `slow`, `id_taken`,
 * `forbidden` …), or one of these: `long`, the message is longer than the server takes;
 * `unknown`, the fate got lost, and the message was delivered or has expired; `closed`, `left` and
 * `replaced`, the client has ended before.
 */
export class SottoError extends Error {
	constructor(code: string, text?: string);
	readonly code: string;
}

/** Claims an id, and holds the connection to it until `close` or `leave`. */
export function connect(url: string, options: Options): Client;

export class Client {
	private constructor();
	readonly id: string;
	readonly state: State;
	/** The messages without a fate, in their order. With a store also those of earlier runs. */
	readonly pending: Pending[];
	/**
	 * Handles a message, which is acknowledged when this resolves. What it sends before its first
	 * `await` is kept together with the message being handled: all or nothing, whenever the program
	 * is killed. If it rejects, the connection is closed, and the message is offered again after 20
	 * seconds; what it has sent by then is sent all the same. One message is handled at a time, and
	 * messages wait while there is no handler.
	 */
	onmessage: ((message: Message) => unknown) | null;
	onsignal: (signal: Signal) => void;
	onstate: (state: State, error?: SottoError) => void;
	/** Is told what no promise tells: an error of `onmessage`, a refused `watch`. */
	onerror: (error: unknown) => void;
	/**
	 * Sends a message, now or as soon as it can be. With a store it is kept when this returns. At
	 * most 128 messages wait for an answer of the server; further ones wait here. With 65,536
	 * messages without a fate it throws `full`.
	 */
	send(to: string, body: unknown): Sent;
	/** Sends something of passing interest, which is dropped if it cannot arrive now. */
	signal(to: string, body: unknown): void;
	/**
	 * Calls `tell` now, at each change and after each join. At most 255 ids are watched. A second
	 * watch of an id takes the place of the first. Returns a function that ends it.
	 */
	watch(ids: string[], tell: (presence: Presence) => void): () => void;
	/** Nothing more comes from these ids, and we look offline to them. */
	block(...ids: string[]): void;
	unblock(...ids: string[]): void;
	/** Ends the connection. The id stays ours, and messages wait for it. */
	close(): void;
	/** Gives the id up, with everything that waits for it, as soon as there is a connection. */
	leave(): void;
}
