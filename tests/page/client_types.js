/**
 * The types of the client, as `client.d.ts` tells them to programs, for the type check of its code.
 * Like `types.js` this is a script, and each name is known in every file of `www/`.
 */

/** @typedef {import("../../src/client/client.d.ts").Store} ClientStore */
/** @typedef {import("../../src/client/client.d.ts").Options} ClientOptions */
/** @typedef {import("../../src/client/client.d.ts").State} ClientState */
/** @typedef {import("../../src/client/client.d.ts").Message} ClientMessage */
/** @typedef {import("../../src/client/client.d.ts").Receipt} Receipt */
/** @typedef {import("../../src/client/client.d.ts").Sent} Posted */
/** @typedef {(message: ClientMessage) => unknown} MessageHandler */

/**
 * A promise of a fate, with the functions that settle it.
 * @typedef {object} OpenFate
 * @property {Promise<Receipt>} delivered
 * @property {(receipt: Receipt) => void} resolve
 * @property {(error: Error) => void} reject
 */

/**
 * A message of a program, until it has its fate.
 * @typedef {object} ClientSendFields
 * @property {string} peer
 * @property {unknown} body as it goes over the wire
 * @property {string} ref
 * @property {number} place orders the messages of a client
 * @property {string} [ownership] the one of our id under which it was said
 * @property {string} [mid] the server has taken it
 * @property {number} [at]
 * @typedef {OpenFate & ClientSendFields} ClientSend
 */

/**
 * The client is what `client.d.ts` says, but for the names that only its own code uses.
 * @typedef {typeof import("../../www/client.js")} ClientModule
 * @typedef {Pick<typeof import("../../src/client/client.d.ts"), "connect" | "SottoError">} Told
 * @typedef {ClientModule extends Told ? true : never} IsAsTold
 */
/** @type {IsAsTold} */
const clientIsAsTold = true;
