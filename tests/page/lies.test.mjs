/**
 * A server that lies: it withholds, repeats, reorders, readdresses, reflects and alters cards and
 * bodies, makes messages up, and changes cards for its own. Two people write to each other over it,
 * with the page's own cryptography, and never take what it offers them instead of their keys.
 *
 * No message is shown that its sender did not write, or twice; nothing goes out as plain text; and
 * each message that does not come is noticed by the next one that does.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { PlayedClock, settled } from "./played_clock.mjs";
import { Person } from "./played_person.mjs";
import { PlayedServer } from "./played_server.mjs";
import { randomFrom } from "./random.mjs";

const { identityOf, makeCard, newSeed } = await load("card.js");
const { encoded } = await load("bytes.js");
const { newPair } = await load("hpke.js");
const { sealBody } = await load("sealed.js");
const { isMissing } = await load("ledger.js");

const STEPS = 120;
const RUNS = 12;

/** The liar between server and people, with keys of its own. */
class Liar {
  /** All lines that came by. */
  #seen = [];
  #keys = new Map();
  #count = 0;
  lies = 0;

  constructor(random) {
    this.random = random;
  }

  /** Makes keys that would do for each id. */
  async prepare(...ids) {
    for (const id of ids) {
      const identity = await identityOf(await newSeed(), id);
      const pair = await newPair();
      const card = await makeCard(identity, id, encoded(pair.public), 9_000_000);
      this.#keys.set(id, { pair, card });
    }
  }

  #pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  /** Changes the lines on their way to a person. */
  async tamper(lines, { id, peer }) {
    const lied = [];
    for (const line of lines) {
      this.#seen.push(structuredClone(line));
      const isSealed = line.body?.sealed || line.type === "card";
      if (!isSealed || this.random() < 0.6) {
        lied.push(line);
        continue;
      }
      this.lies += 1;
      lied.push(...await this.#lie(line, id, peer));
    }
    return lied;
  }

  /** Returns lines in place of one. */
  async #lie(line, id, peer) {
    if (line.type === "card") return [this.#otherCard(line, peer)];
    const mid = `lie-${++this.#count}`;
    const earlier = this.#pick(this.#seen.filter(({ body }) => body?.sealed));
    const { body } = line;
    const ways = [
      // Withheld.
      () => [],
      // Twice, under another name.
      () => [line, { ...line, mid }],
      // An earlier one again, for whomever it was.
      () => [line, { ...earlier, from: peer, mid }],
      // Behind a later one.
      () => [{ ...line, isLate: true }],
      // Altered.
      () => [{ ...line, body: { ...body, box: flip(body.box, this.random) } }],
      () => [{ ...line, body: { ...body, enc: flip(body.enc, this.random) } }],
      () => [{ ...line, body: { ...body, card: { ...body.card, until: 1 } } }],
      () => [{ ...line, body: { ...body, card: this.#keys.get(peer).card } }],
      () => [{ ...line, body: { ...body, for: this.#keys.get(id).card.seal } }],
      // As another kind.
      () => [{ ...line, type: line.type === "signal" ? "message" : "signal", mid, at: 1 }],
      // Made up: as plain text, and sealed with the liar's own keys.
      () => [line, { type: "message", from: peer, body: "forged", mid, at: 1 }],
      async () => [line, { ...line, type: "message", at: 1, mid, body: await this.#forge(id, peer) }],
      () => [{ type: "joined", id, resumed: false, ownership: mid, max_message: 65536, card: 2048 },
        line],
    ];
    return this.#pick(ways)();
  }

  #otherCard({ card, ...line }, peer) {
    const ways = [
      line,
      { ...line, claimed: false },
      { ...line, card: this.#keys.get(peer).card },
      { ...line, card: { ...card, by: flip(card?.by ?? "", this.random) } },
      { ...line, card: this.#pick(this.#seen.filter(({ type }) => type === "card"))?.card },
    ];
    return this.#pick(ways);
  }

  async #forge(id, peer) {
    const { pair, card } = this.#keys.get(peer);
    const seen = this.#seen.findLast(({ body, from }) => body?.sealed && from === id);
    if (!seen) return { sealed: 1 };
    const content = { number: 9e15, after: 0, got: 0, body: "forged" };
    return sealBody({ kind: "message", from: peer, to: id, card, pair, recipient: seen.body.card, content });
  }
}

/** Changes one letter of a text. */
function flip(text, random) {
  const at = Math.floor(random() * text.length);
  return text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
}

/** A person who stays with the keys that came first. */
class Stubborn extends Person {
  liar = null;

  async hearAll() {
    const lines = this.connection?.down.splice(0) ?? [];
    if (!lines.length) return;
    const told = this.liar ? await this.liar.tamper(lines, this) : lines;
    const late = told.filter(({ isLate }) => isLate);
    const inTime = told.filter(({ isLate }) => !isLate);
    this.post.received(structuredClone([...inTime, ...late]));
    await settled();
    if (this.store.current?.keys.other) this.store.decide(false);
  }
}

async function speak(people) {
  for (const person of people) {
    person.dial();
    await settled();
    person.speak(1000);
    await person.hearAll();
  }
}

for (let run = 0; run < RUNS; run += 1) {
  const seed = Number(process.env.SEED ?? 0) || Math.floor(Math.random() * 2 ** 31);
  test(`a lying server forges, doubles and hides nothing, run ${run + 1}`, async () => {
    const random = randomFrom(seed);
    const clock = new PlayedClock();
    const server = new PlayedServer();
    const people = [["alice", "bob"], ["bob", "alice"]].map((ids) => {
      return new Stubborn(...ids, server, clock, { seals: true });
    });
    await settled();
    const liar = new Liar(random);
    await liar.prepare("alice", "bob");
    // They met while the server was honest, and wrote to each other.
    await speak(people);
    for (const person of people) person.write();
    for (let round = 0; round < 4; round += 1) await speak(people);
    for (const person of people) person.liar = liar;
    for (let step = 0; step < STEPS; step += 1) {
      const person = people[Number(random() < 0.5)];
      const act = random();
      if (act < 0.5) person.write();
      else if (act < 0.55) person.hangUp();
      else if (act < 0.6) await person.clock.pass(2000);
      else await speak(people);
    }
    for (let round = 0; round < 6; round += 1) {
      await speak(people);
      await clock.pass(2000);
    }
    assert.ok(liar.lies > 5, `${liar.lies} lies`);
    // Once the server is honest again, what they write arrives.
    for (const person of people) {
      person.liar = null;
      person.hangUp();
    }
    await speak(people);
    for (const person of people) person.write();
    for (let round = 0; round < 6; round += 1) {
      await speak(people);
      await clock.pass(2000);
    }
    for (const [writer, reader] of [people, [...people].reverse()]) {
      check(writer, reader, `SEED=${seed}, from ${writer.id}`);
    }
  });
}

function check(writer, reader, told) {
  assert.ok(!writer.plain, `${told}: plain text to a pinned peer`);
  const rows = reader.database.rows("messages").filter(({ mine }) => !mine);
  const isMarked = ({ plain, foreign, unreadable }) => plain || foreign || unreadable;
  const trusted = rows.filter((row) => !isMarked(row));
  const shown = trusted.map(({ body }) => body);
  assert.equal(new Set(shown).size, shown.length, `${told}: twice`);
  for (const body of shown) assert.ok(writer.written.includes(body), `${told}: ${body} is forged`);
  assert.ok(shown.includes(writer.written.at(-1)), `${told}: the last message did not come`);
  // What did not come is noticed, unless nothing came after it.
  const { keys } = reader.store.state.conversations.get(writer.id);
  const sent = writer.mine().filter(({ number }) => number !== undefined);
  for (const { body, number, state } of sent) {
    if (shown.includes(body) || number > keys.pin.got) continue;
    const isNoticed = isMissing(keys.pin, number);
    assert.ok(isNoticed, `${told}: ${body} (${state}) is gone without a word`);
  }
}
