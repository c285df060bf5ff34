/**
 * Two people write to each other for a day of faults: flows that end or swallow bytes, pages that
 * are killed, storage that fails, ids that expire. In the end each message has arrived once, or its
 * writer has been told that it may not have. As long as no id is free, all are in order. (A later
 * message may be on its way when its writer hears that an earlier one was refused or expired.) A
 * server with a store may be killed, too: then each message has arrived.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { PlayedClock, settled } from "./played_clock.mjs";
import { PlayedDatabase } from "./played_database.mjs";
import { PlayedServer } from "./played_server.mjs";

const { MessageHistory } = await load("history.js");
const { SavePump } = await load("saving.js");
const { Store } = await load("store.js");

const STEPS = 250;
const RUNS = 18;

/** Besides the faults of each run ids expire, or a server with a store ends, or nothing happens. */
const KINDS = ["expiry", "faults", "restarts"];

/** Returns numbers from 0 to below 1 that follow from the seed (mulberry32). */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

let refs = 0;

/** A person with a browser. Its database outlives its pages. */
class Person {
  written = [];
  /** The page has said that messages may go with it: the storage failed for too long. */
  toldUnkept = false;
  #time = 1;

  constructor(id, peer, server, clock) {
    Object.assign(this, { id, peer, server, clock, database: new PlayedDatabase() });
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
      say: alive((line) => this.connection?.up.push(line)),
      changed: alive(() => {
        this.toldUnkept ||= !store.state.kept;
        pump.save();
      }),
      prepare: (id) => void pump.load(id),
      load: () => {},
      newRef: () => `ref ${++refs}`,
      now: () => 1_000_000 + this.#time++,
      later: (call, ms) => clock.setTimer(alive(call), ms),
    });
    const factory = database.factoryOf(() => page.isGone);
    const pump = new SavePump(store, new MessageHistory(() => factory, 65536), {
      setTimer: (call, ms) => clock.setTimer(alive(call), ms),
      clearTimer: clock.clearTimer,
    });
    if (this.page) this.page.isGone = true;
    Object.assign(this, { store, page });
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
    this.store.opened();
  }

  /** The connection ends. What is on its way is lost. */
  hangUp() {
    const { connection } = this;
    this.connection = undefined;
    if (!connection) return;
    this.server.end(connection);
    if (!this.page.isGone) this.store.closed(1006);
  }

  hear(count) {
    const lines = this.connection?.down.splice(0, count) ?? [];
    if (lines.length) this.store.received(lines);
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

/** Does one thing to one person, or to the server. */
async function step(person, people, server, random, kind) {
  const [expires, restarts] = [kind === "expiry", kind === "restarts"];
  const acts = [
    () => person.write(),
    () => person.dial(),
    () => person.speak(5),
    () => person.hear(3),
    () => person.speak(1),
    () => person.hear(1),
    () => random() < 0.5 && person.hangUp(),
    // A message whose acknowledgement was lost for this long would go again, and be shown twice.
    () => expires && !server.held(person.id).some((message) => person.knows(message))
      && server.expire(person.id),
    // A storage that failed for longer would be given up: messages are lost then, as is told.
    () => (person.database.failures = ["UnknownError", "QuotaExceededError"]),
    () => random() < 0.3 && person.database.die({ silently: random() < 0.5 }),
    async () => {
      if (random() < 0.5) return;
      if (expires) await person.keep();
      person.visit();
    },
    () => person.clock.pass(random() * 3000),
    () => restarts && server.commit(),
    () => {
      if (!restarts || random() < 0.5) return;
      for (const one of people) one.hangUp();
      server.crash();
    },
  ];
  await acts[Math.floor(random() * acts.length)]();
  if (random() < 0.7) await settled();
}

/** Ends all faults, and lets both write to the end. */
async function calm(people, server, clock) {
  for (const person of people) person.database.failures.length = 0;
  for (let round = 0; round < 40; round += 1) {
    for (const person of people) {
      person.dial();
      person.speak(1000);
      server.commit();
      person.hear(1000);
    }
    await clock.pass(2000);
  }
}

for (let run = 0; run < RUNS; run += 1) {
  const kind = KINDS[run % KINDS.length];
  const seed = Number(process.env.SEED ?? 0) || Math.floor(Math.random() * 2 ** 31);
  test(`messages survive a day of ${kind}, run ${run + 1}`, async () => {
    const random = randomFrom(seed);
    const server = new PlayedServer({ stores: kind === "restarts" });
    const clock = new PlayedClock();
    const people = [["alice", "bob"], ["bob", "alice"]].map((ids) => {
      return new Person(...ids, server, clock);
    });
    if (kind !== "expiry") await calm(people, server, clock);
    for (let count = 0; count < STEPS; count += 1) {
      await step(people[Number(random() < 0.5)], people, server, random, kind);
    }
    await calm(people, server, clock);
    for (const [writer, reader] of [people, [...people].reverse()]) {
      const told = `SEED=${seed}, from ${writer.id}`;
      const arrived = reader.theirs();
      assert.equal(new Set(arrived).size, arrived.length, `${told}: twice`);
      for (const { body, state } of writer.mine()) {
        const isOpen = ["sending", "sent", "waiting"].includes(state);
        assert.ok(!isOpen, `${told}: ${body} is ${state} for ever`);
        if (kind === "restarts") assert.equal(state, "delivered", `${told}: ${body}`);
        const isLost = state === "delivered" && !arrived.includes(body) && !reader.toldUnkept;
        assert.ok(!isLost, `${told}: ${body} is lost`);
      }
      const places = arrived.map((body) => Number(body.split(" ")[1]));
      const inOrder = [...places].sort((a, b) => a - b);
      if (kind !== "expiry") assert.deepEqual(places, inOrder, `${told}: order`);
    }
  });
}
