/**
 * Two people write to each other for a day of faults: flows that end or swallow bytes, pages that
 * are killed, storage that fails, ids that expire. In the end each message has arrived once, or its
 * writer has been told that it may not have. As long as no id is free, all are in order. (A later
 * message may be on its way when its writer hears that an earlier one was refused or expired.) A
 * server with a store may be killed, too: then each message has arrived.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { PlayedClock, settled } from "./played_clock.mjs";
import { Person } from "./played_person.mjs";
import { PlayedServer } from "./played_server.mjs";
import { randomFrom } from "./random.mjs";

const STEPS = 250;
const RUNS = 28;

/** Besides the faults of each run ids expire, or a server with a store ends, or nothing happens. */
const KINDS = [
  "expiry", "faults", "restarts",
  // Between pages that seal, a server may lose its memory, too, and nothing is in doubt.
  "sealed expiry", "sealed faults", "sealed restarts", "sealed memory",
];

/** Does one thing to one person, or to the server. */
async function step(person, people, server, random, kind) {
  const [expires, restarts] = [/expiry/, /restarts|memory/].map((name) => name.test(kind));
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
    // Now and then for long enough that seal keys are replaced.
    () => person.clock.pass(random() < 0.05 && kind.includes("sealed") ? 11_000_000 : random() * 3000),
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
    const server = new PlayedServer({ stores: kind.includes("restarts") });
    const clock = new PlayedClock();
    const people = [["alice", "bob"], ["bob", "alice"]].map((ids) => {
      return new Person(...ids, server, clock, { seals: kind.includes("sealed") });
    });
    await settled();
    if (!kind.includes("expiry")) await calm(people, server, clock);
    for (let count = 0; count < STEPS; count += 1) {
      await step(people[Number(random() < 0.5)], people, server, random, kind);
    }
    await settled();
    await calm(people, server, clock);
    for (const [writer, reader] of [people, [...people].reverse()]) {
      check(kind, writer, reader, `SEED=${seed}, ${kind}, from ${writer.id}`);
    }
  });
}

/** @param {string} told for the reader of a failure */
function check(kind, writer, reader, told) {
  const arrived = reader.theirs();
  assert.ok(!writer.plain, `${told}: plain text to a pinned peer`);
  assert.equal(new Set(arrived).size, arrived.length, `${told}: twice`);
  for (const { body, state, reason } of writer.mine()) {
    const isOpen = ["sending", "sent", "waiting"].includes(state);
    assert.ok(!isOpen, `${told}: ${body} is ${state} for ever`);
    if (kind.includes("restarts")) assert.equal(state, "delivered", `${told}: ${body}`);
    // Without a store messages may find nobody there, but none is in doubt.
    if (kind.includes("memory")) {
      assert.ok(state === "delivered" || reason?.code === "offline", `${told}: ${body} is ${state}`);
    }
    const isLost = state === "delivered" && !arrived.includes(body) && !reader.toldUnkept;
    assert.ok(!isLost, `${told}: ${body} is lost`);
  }
  const places = arrived.map((body) => Number(body?.split(" ")[1]));
  const inOrder = [...places].sort((a, b) => a - b);
  const isOrdered = kind.includes("faults") || kind.includes("restarts");
  if (isOrdered) assert.deepEqual(places, inOrder, `${told}: order`);
  if (kind.includes("sealed")) {
    const unopened = reader.database.rows("messages").filter(({ unreadable }) => unreadable);
    assert.deepEqual(unopened, [], `${told}: unreadable`);
  }
}
