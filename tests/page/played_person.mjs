/**
 * A person with a browser, in play: store, storage, and what is between them and a played server.
 */

import { load } from "./load.mjs";
import { PlayedDatabase } from "./played_database.mjs";

const { Keyring } = await load("keyring.js");
const { MessageHistory } = await load("history.js");
const { Post } = await load("post.js");
const { SavePump } = await load("saving.js");
const { Store } = await load("store.js");

let refs = 0;

/** A vault in play: keys outlive the pages. */
class PlayedVault {
  #keys = new Map();

  load(id) {
    return [...this.#keys.values()].filter((key) => key.id === id);
  }

  put(key) {
    this.#keys.set(key.seal, { ...key });
  }

  destroy(old) {
    for (const { seal } of old) this.#keys.delete(seal);
  }

  forget() {
    this.#keys.clear();
  }
}

/** A memory of the browser in play. */
class PlayedRemembered {
  #seeds = new Map();

  seedOf(id) {
    return this.#seeds.get(id) ?? "";
  }

  noteSeed(id, seed) {
    this.#seeds.set(id, seed);
  }
}

/** A person with a browser. Its database outlives its pages. */
export class Person {
  written = [];
  vault = new PlayedVault();
  remembered = new PlayedRemembered();
  pins = {};
  /** The page has said that messages may go with it: the storage failed for too long. */
  toldUnkept = false;
  #time = 1;

  /** Each page makes its own seal key, if it `seals`. */
  constructor(id, peer, server, clock, { seals = false } = {}) {
    Object.assign(this, { id, peer, server, clock, seals, database: new PlayedDatabase() });
    this.visit();
  }

  /** Loads the page anew. The former one is gone with all that it had in memory. */
  visit() {
    this.hangUp();
    this.database.failures.length = 0;
    this.database.die({ silently: true });
    const { clock, database } = this;
    const page = { isGone: false };
    const alive = (call) => (...given) => (page.isGone ? undefined : call(...given));
    const store = new Store({
      keyOf: () => "key",
      ownCard: () => keyring.card,
      password: () => "",
      token: () => "",
      dropPassword() {},
      pinsOf: () => this.pins,
      notePin: (_, peer, sign) => { this.pins = { ...this.pins, [peer]: sign }; },
      say: (line, sealing) => post.say(line, sealing),
      changed: alive(() => {
        this.toldUnkept ||= !store.state.kept;
        pump.save();
      }),
      prepare(id) {
        keyring.open(id);
        pump.load(id);
      },
      load: () => {},
      search: async () => [],
      newRef: () => `ref ${++refs}`,
      now: () => 1_000_000 + this.#time++,
      later: (call, ms) => clock.setTimer(alive(call), ms),
    });
    const { remembered, vault, seals: hasCrypto } = this;
    const alarm = {
      setTimer: (call, ms) => clock.setTimer(alive(call), ms),
      clearTimer: clock.clearTimer,
    };
    const keyring = new Keyring({
      remembered, vault, hasCrypto, now: () => 1_000_000 + clock.now,
      clock: alarm,
      renewed: alive(() => store.renewed()),
    });
    const say = alive((line) => this.connection?.up.push(this.check(line)));
    const socket = { say, applied() {} };
    const post = new Post({ keyring, store, socket });
    const factory = database.factoryOf(() => page.isGone);
    const pump = new SavePump(store, new MessageHistory(() => factory, 65536), alarm);
    if (this.page) this.page.isGone = true;
    Object.assign(this, { store, page, post, keyring });
    store.resume(this.id);
  }

  /** Keeps which messages were said: a page that is loaded again says the others. */
  async keep() {
    this.database.failures.length = 0;
    await this.clock.pass(30_000);
  }

  dial() {
    if (this.connection || !this.store.wanted) return;
    this.connection = this.server.connect();
    this.post.opened();
  }

  /** Returns a line as it goes out: to a pinned peer nothing goes as plain text. */
  check(line) {
    const isPinned = this.store.state.conversations.get(line.to)?.keys.pin;
    if (isPinned && "body" in line) this.plain ||= line.body?.sealed !== 1;
    return structuredClone(line);
  }

  /** The connection ends. What is on its way is lost. */
  hangUp() {
    const { connection } = this;
    this.connection = undefined;
    if (!connection) return;
    this.server.end(connection);
    if (this.page.isGone) return;
    this.post.ended();
    this.store.closed(1006);
  }

  hear(count) {
    const lines = this.connection?.down.splice(0, count) ?? [];
    if (lines.length) this.post.received(structuredClone(lines));
  }

  speak(count) {
    for (let n = 0; n < count && this.connection; n += 1) this.server.hear(this.connection);
  }

  write() {
    const body = `${this.id} ${this.written.length + 1}`;
    this.written.push(body);
    this.store.open(this.peer);
    this.store.draft(body);
    this.store.write();
  }

  /** Returns `true` if the reader has seen this message, or may have. */
  knows({ body }) {
    const messages = this.store.state.conversations.get(this.peer)?.messages ?? [];
    return [...messages, ...this.database.rows("messages")].some((one) => one.body === body);
  }

  /** Returns body and state of the messages that this person wrote, as they are kept. */
  mine() {
    return this.database.rows("messages").filter(({ mine }) => mine);
  }

  theirs() {
    return this.database.rows("messages").filter(({ mine }) => !mine).map(({ body }) => body);
  }
}
