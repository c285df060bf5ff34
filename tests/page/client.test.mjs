/**
 * The client of programs, against a pretend server: each test says what the server says, and looks
 * at the lines that the client said.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { connect, SottoError } = await load("client.js");
const { contentOf, SENDS_MAX } = await load("protocol.js");

const URL_ = "wss://chat.example/ws";
const JOINED = {
  type: "joined", id: "alice", resumed: false, ownership: "one", held: 0, max_message: 4096,
  hold: 60,
};
const RESUMED = { ...JOINED, resumed: true };

/** A store like `localStorage`, which may be made to fail. */
function newStore() {
  const items = new Map();
  return {
    items,
    isFull: false,
    getItem: (name) => items.get(name) ?? null,
    setItem(name, value) {
      if (this.isFull) throw new Error("the store is full");
      items.set(name, value);
    },
    removeItem: (name) => items.delete(name),
  };
}

/** Lets promises and timers without a delay come to their end. */
async function settled() {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setTimeout(resolve));
}

/** Returns a client and its server, which hears lines and says some. */
function started(options = {}) {
  /** @type {any[]} */
  const sockets = [];
  class PretendSocket {
    lines = [];

    constructor(url, protocol) {
      Object.assign(this, { url, protocol });
      sockets.push(this);
    }

    send(text) {
      this.lines.push(...text.split("\n").map((line) => JSON.parse(line)));
    }

    close(code) {
      this.code = code;
    }
  }
  const me = connect(URL_, { id: "alice", key: "0123456789abcdef", ...options, WebSocket: PretendSocket });
  const states = [];
  const errors = [];
  me.onstate = (state, error) => states.push(error ? `${state}: ${error.code}` : state);
  me.onerror = (error) => errors.push(error);
  const server = {
    sockets,
    states,
    errors,
    get last() {
      return sockets.at(-1);
    },
    open: () => sockets.at(-1).onopen(),
    say: (...lines) => {
      sockets.at(-1).onmessage({ data: lines.map((line) => JSON.stringify(line)).join("\n") });
    },
    /** Ends the connection, and waits for the next one. */
    async cut(code = 1006) {
      const before = sockets.length;
      sockets.at(-1).onclose({ code });
      me.hurry();
      while (sockets.length === before) await settled();
      server.open();
    },
    /** The lines that the client has said since the last call. */
    heard: () => sockets.at(-1).lines.splice(0),
  };
  // A test does not wait for a delay: the network is back at once.
  me.hurry = () => globalThis.dispatchEvent(new Event("online"));
  return { me, server };
}

function joined(options) {
  const { me, server } = started(options);
  server.open();
  server.say(JOINED);
  server.heard();
  return { me, server };
}

const target = new EventTarget();
for (const name of ["addEventListener", "removeEventListener", "dispatchEvent"]) {
  globalThis[name] = target[name].bind(target);
}

const sends = (lines) => lines.filter(({ type }) => type === "send");
const bodies = (lines) => sends(lines).map(({ body }) => contentOf(body).content);

test("client joins, and tells its states", async () => {
  const { me, server } = started({ token: async () => "fresh", password: "open sesame" });
  assert.equal(me.state, "connecting");
  assert.deepEqual([server.last.url, server.last.protocol], [URL_, "sotto.v1"]);
  server.open();
  await settled();
  assert.deepEqual(server.heard(), [{
    type: "join", id: "alice", key: "0123456789abcdef", password: "open sesame", token: "fresh",
  }]);
  server.say(JOINED);
  me.close();
  assert.deepEqual(server.states, ["joined", "closed: closed"]);
  assert.equal(server.last.code, 1000);
  assert.throws(() => me.send("bob", 1), { name: "SottoError", code: "closed" });
});

test("message is numbered, and delivered after its answer", async () => {
  const { me, server } = joined();
  const sent = me.send("bob", { hello: "world" });
  const [{ type, to, body, ref }] = server.heard();
  assert.deepEqual([type, to, ref, body.body], ["send", "bob", sent.ref, { hello: "world" }]);
  assert.ok(Number.isSafeInteger(body.number));
  server.say({ type: "sent", ref, mid: "m1", at: 7 });
  server.say({ type: "delivered", from: "bob", mids: ["m1"] });
  assert.deepEqual(await sent.delivered, { ref, mid: "m1", at: 7 });
  me.send("bob", "text");
  const [{ body: { text, number } }] = server.heard();
  assert.equal(text, "text");
  assert.ok(number > body.number);
  me.close();
});

test("fate may come before the answer it belongs to", async () => {
  const { me, server } = joined();
  const one = me.send("bob", 1);
  const two = me.send("bob", 2);
  server.say({ type: "delivered", from: "bob", mids: ["m1"] });
  server.say({ type: "expired", to: "bob", mids: ["m2"] });
  server.say({ type: "sent", ref: one.ref, mid: "m1", at: 1 });
  server.say({ type: "sent", ref: two.ref, mid: "m2", at: 1 });
  assert.equal((await one.delivered).mid, "m1");
  await assert.rejects(two.delivered, { code: "expired" });
  me.close();
});

test("refused message tells the code of the protocol", async () => {
  const { me, server } = joined();
  const sent = me.send("bob", 1);
  server.say({ type: "error", code: "offline", ref: sent.ref, to: "bob", text: "bob is not here" });
  await assert.rejects(sent.delivered, (error) => {
    assert.ok(error instanceof SottoError && error instanceof Error);
    assert.deepEqual([error.code, error.message], ["offline", "bob is not here"]);
    return true;
  });
  await assert.rejects(me.send("bob", "x".repeat(4096)).delivered, { code: "long" });
  assert.deepEqual(bodies(server.heard()), [1], "the long one is not said");
  me.close();
});

test("129th message waits until one is answered", () => {
  const { me, server } = joined();
  const all = Array.from(Array(SENDS_MAX + 2), (_, n) => me.send("bob", n));
  assert.equal(bodies(server.heard()).length, SENDS_MAX);
  server.say({ type: "sent", ref: all[0].ref, mid: "m0", at: 1 });
  assert.deepEqual(bodies(server.heard()), [SENDS_MAX]);
  me.close();
});

test("unanswered messages are repeated in order, before new ones", async () => {
  const { me, server } = joined();
  me.send("bob", 1);
  const two = me.send("bob", 2);
  const before = sends(server.heard());
  server.say({ type: "sent", ref: before[0].ref, mid: "m1", at: 1 });
  server.last.onclose({ code: 1006 });
  assert.equal(me.state, "lost");
  me.send("bob", 3);
  me.hurry();
  while (server.sockets.length < 2) await settled();
  server.open();
  server.heard();
  server.say(RESUMED);
  const after = sends(server.heard());
  assert.deepEqual(after[0], before[1], "byte for byte, because the server compares them");
  assert.deepEqual(bodies(after), [2, 3]);
  assert.equal(after[0].ref, two.ref);
  me.close();
});

test("forgotten messages are repeated under their numbers, with new refs", async () => {
  const { me, server } = joined();
  for (const n of [1, 2, 3]) me.send("bob", n);
  const before = sends(server.heard());
  server.say({ type: "sent", ref: before[0].ref, mid: "m1", at: Date.now() });
  server.say({ type: "sent", ref: before[1].ref, mid: "m2", at: Date.now() });
  server.say({ type: "delivered", from: "bob", mids: ["m1"] });
  await server.cut();
  server.heard();
  // The first `joined` of this ownership was lost, so this one says that it was resumed.
  server.say({ ...RESUMED, ownership: "two" });
  me.send("carol", 4);
  const [two, four] = sends(server.heard());
  assert.deepEqual([two.body, contentOf(four.body).content], [before[1].body, 4]);
  // Peers of a restarted server come back one after the other.
  server.say({ type: "error", code: "offline", ref: two.ref, to: "bob", text: "bob is not here" });
  let again = [];
  while (!again.length) {
    await settled();
    again = sends(server.heard());
  }
  assert.deepEqual(again.map(({ body }) => body), [before[1].body], "no later one overtakes it");
  server.say({ type: "sent", ref: again[0].ref, mid: "n2", at: Date.now() });
  const [three] = sends(server.heard());
  assert.deepEqual(three.body, before[2].body);
  const refs = new Set([...before, two, ...again, three].map(({ ref }) => ref));
  assert.equal(refs.size, 6);
  assert.deepEqual(me.pending.map(({ to, body }) => [to, body]), [["bob", 2], ["bob", 3], ["carol", 4]]);
  server.say({ type: "delivered", from: "bob", mids: ["n2"] });
  assert.equal(me.pending.length, 2);
  me.close();
});

test("program that is killed still waits for peers of a restarted server", async () => {
  const store = newStore();
  joined({ store }).me.close();
  const restarted = started({ store });
  restarted.server.open();
  restarted.server.say({ ...JOINED, ownership: "two" });
  restarted.me.close();
  const { me, server } = started({ store });
  server.open();
  server.say({ ...RESUMED, ownership: "two" });
  const { ref, delivered } = me.send("bob", 1);
  server.heard();
  server.say({ type: "error", code: "offline", ref, to: "bob", text: "bob is not here" });
  let again = [];
  while (!again.length) {
    await settled();
    again = sends(server.heard());
  }
  server.say({ type: "sent", ref: again[0].ref, mid: "m1", at: Date.now() });
  server.say({ type: "delivered", from: "bob", mids: ["m1"] });
  assert.equal((await delivered).mid, "m1");
  me.close();
});

test("message is acknowledged when its handler resolves", async () => {
  const { me, server } = joined();
  const handled = [];
  let finish;
  me.onmessage = (message) => {
    handled.push(message);
    return new Promise((resolve) => { finish = resolve; });
  };
  server.say({ type: "message", from: "bob", body: { text: "one", number: 1 }, mid: "m1", at: 5 });
  server.say({ type: "message", from: "bob", body: { plain: true }, mid: "m2", at: 6 });
  await settled();
  const [first, ...others] = handled;
  assert.deepEqual(first, { from: "bob", body: "one", mid: "m1", at: 5, number: 1 });
  assert.deepEqual(others, [], "one after the other");
  assert.deepEqual(server.heard(), []);
  finish();
  await settled();
  assert.deepEqual(server.heard(), [{ type: "ack", to: "bob", mids: ["m1"] }]);
  finish();
  await settled();
  assert.deepEqual(handled[1].body, { plain: true });
  assert.deepEqual(server.heard(), [{ type: "ack", to: "bob", mids: ["m2"] }]);
  me.close();
});

test("known number or mid is acknowledged and not handled", async () => {
  const { me, server } = joined();
  const handled = [];
  me.onmessage = ({ body }) => { handled.push(body); };
  const numbered = (mid) => {
    return { type: "message", from: "bob", body: { body: 1, number: 9 }, mid, at: 1 };
  };
  const plain = { type: "message", from: "bob", body: 2, mid: "m3", at: 1 };
  server.say(numbered("m1"), numbered("m2"), plain, plain);
  server.say({ ...numbered("m4"), from: "carol" });
  await settled();
  assert.deepEqual(handled, [1, 2, 1], "another sender has numbers of its own");
  assert.deepEqual(server.heard(), [
    { type: "ack", to: "bob", mids: ["m1", "m2", "m3", "m3"] },
    { type: "ack", to: "carol", mids: ["m4"] },
  ]);
  me.close();
});

test("failed handler gets its message again, and no later one before", async () => {
  const { me, server } = joined();
  const handled = [];
  me.onmessage = ({ body }) => {
    handled.push(body);
    if (handled.length === 1) throw new Error("the disk is full");
  };
  const offered = [1, 2].map((n) => {
    return { type: "message", from: "bob", body: n, mid: `m${n}`, at: 1 };
  });
  server.say(...offered);
  await settled();
  assert.deepEqual([handled, me.state], [[1], "lost"]);
  assert.equal(server.errors[0].message, "the disk is full");
  me.hurry();
  while (server.sockets.length < 2) await settled();
  server.open();
  server.heard();
  server.say(RESUMED, ...offered);
  await settled();
  assert.deepEqual(handled, [1, 1, 2]);
  assert.deepEqual(server.heard(), [{ type: "ack", to: "bob", mids: ["m1", "m2"] }]);
  me.close();
});

test("messages wait until there is a handler", async () => {
  const { me, server } = joined();
  server.say({ type: "message", from: "bob", body: 1, mid: "m1", at: 1 });
  await settled();
  assert.deepEqual(server.heard(), []);
  const handled = [];
  me.onmessage = ({ body }) => { handled.push(body); };
  await settled();
  assert.deepEqual(handled, [1]);
  me.close();
});

test("store brings back key, messages and what was handled", async () => {
  const store = newStore();
  const first = joined({ store, key: undefined });
  const handled = [];
  const handle = ({ body }) => { handled.push(body); };
  first.me.onmessage = handle;
  const message = { type: "message", from: "bob", body: { text: "hi", number: 4 }, mid: "m9", at: 1 };
  first.server.say(message);
  await settled();
  for (const n of [1, 2, 3, 4]) first.me.send("bob", n);
  const said = sends(first.server.heard());
  const at = Date.now();
  first.server.say({ type: "sent", ref: said[0].ref, mid: "m1", at });
  first.server.say({ type: "sent", ref: said[1].ref, mid: "m2", at });
  first.server.say({ type: "delivered", from: "bob", mids: ["m1"] });
  // The program is killed here, so nothing more is said or kept.

  const { me, server } = started({ store, key: undefined });
  me.onmessage = handle;
  me.send("bob", 5);
  server.open();
  const [{ key }] = server.heard();
  assert.match(key, /^[0-9a-f]{32}$/);
  server.say(RESUMED, { ...message, mid: "m10" });
  const again = sends(server.heard());
  assert.deepEqual(again.slice(0, 2), said.slice(2), "those without an answer, as they were said");
  assert.deepEqual(bodies(again), [3, 4, 5]);
  await settled();
  assert.deepEqual(handled, ["hi"]);
  server.say({ type: "delivered", from: "bob", mids: ["m2"] });
  const left = [...store.items.keys()].filter((name) => name.includes(" out "));
  assert.equal(left.length, 3, "messages with a fate are kept no longer");
  me.close();
  first.me.close();
});

test("echo is sent once, wherever the program is killed", async () => {
  const store = newStore();
  const kills = [];
  const { setItem, removeItem } = store;
  const snapshot = () => kills.push(new Map(store.items));
  store.setItem = (...item) => { setItem.apply(store, item); snapshot(); };
  store.removeItem = (name) => { removeItem(name); snapshot(); };
  const echo = (me) => { me.onmessage = async ({ from, body }) => { me.send(from, body); }; };
  const message = { type: "message", from: "bob", body: { text: "hi", number: 4 }, mid: "m9", at: 1 };
  const first = joined({ store });
  echo(first.me);
  first.server.say(message);
  await settled();
  assert.equal(sends(first.server.heard()).length, 1);
  first.me.close();
  assert.ok(kills.length > 4);
  for (const items of kills) {
    const { me, server } = joined({ store: Object.assign(newStore(), {
      getItem: (name) => items.get(name) ?? null,
      setItem: (name, value) => items.set(name, value),
      removeItem: (name) => items.delete(name),
    }) });
    echo(me);
    server.say({ ...message, mid: "m10" });
    await settled();
    assert.deepEqual(me.pending.map(({ to, body }) => [to, body]), [["bob", "hi"]]);
    me.close();
  }
});

test("handler may wait for the fate of what it has sent", async () => {
  const { me, server } = joined();
  me.onmessage = async ({ from, body }) => { await me.send(from, body).delivered; };
  server.say({ type: "message", from: "bob", body: 1, mid: "m1", at: 1 });
  await settled();
  const [{ ref }, ...others] = server.heard();
  assert.deepEqual(others, [], "no ack yet");
  server.say({ type: "sent", ref, mid: "m2", at: 1 });
  server.say({ type: "delivered", from: "bob", mids: ["m2"] });
  await settled();
  assert.deepEqual(server.heard(), [{ type: "ack", to: "bob", mids: ["m1"] }]);
  me.close();
});

test("store that is full refuses a message, and does not acknowledge one", async () => {
  const store = newStore();
  const { me, server } = joined({ store });
  store.isFull = true;
  assert.throws(() => me.send("bob", 1), { message: "the store is full" });
  me.onmessage = () => {};
  server.say({ type: "message", from: "bob", body: 1, mid: "m1", at: 1 });
  await settled();
  assert.deepEqual([server.heard(), me.state], [[], "lost"]);
  me.close();
});

test("many handled messages are known again after a restart", async () => {
  const store = newStore();
  const { me, server } = joined({ store });
  let handled = 0;
  me.onmessage = () => { handled += 1; };
  const all = Array.from(Array(600), (_, n) => {
    return { type: "message", from: "bob", body: n, mid: `m${n}`, at: 1 };
  });
  server.say(...all);
  while (handled < all.length) await settled();
  me.close();
  const again = joined({ store });
  again.me.onmessage = () => { handled += 1; };
  again.server.say(...all, { type: "message", from: "bob", body: 0, mid: "new", at: 1 });
  while (handled === all.length) await settled();
  assert.equal(handled, all.length + 1);
  again.me.close();
});

test("watches and blocks are said again after a break", async () => {
  const { me, server } = joined();
  const told = [];
  const unwatch = me.watch(["bob", "carol"], ({ id, online }) => told.push([id, online]));
  me.block("mallory");
  assert.deepEqual(server.heard(), [
    { type: "watch", ids: ["bob", "carol"] },
    { type: "block", ids: ["mallory"] },
  ]);
  server.say({ type: "presence", id: "bob", online: true }, { type: "presence", id: "x", online: true });
  assert.deepEqual(told, [["bob", true]]);
  await server.cut();
  server.heard();
  server.last.onclose({ code: 1006 });
  me.block("eve");
  me.unblock("mallory");
  me.hurry();
  while (server.sockets.length < 3) await settled();
  server.open();
  server.heard();
  server.say(RESUMED);
  assert.deepEqual(server.heard(), [
    { type: "watch", ids: ["bob", "carol"] },
    { type: "block", ids: ["eve"] },
    { type: "unblock", ids: ["mallory"] },
  ]);
  await server.cut();
  server.heard();
  server.say(RESUMED);
  assert.deepEqual(server.heard().at(-1), { type: "block", ids: ["eve"] });
  unwatch();
  assert.deepEqual(server.heard(), [{ type: "unwatch", ids: ["bob", "carol"] }]);
  const many = Array.from(Array(256), (_, n) => `id${n}`);
  assert.throws(() => me.watch(many, () => {}), { code: "too_many" });
  me.close();
});

test("refused, replaced and left clients end, and tell their messages", async () => {
  for (const [end, code] of [
    [({ server }) => server.say({ type: "error", code: "id_taken", text: "taken" }), "id_taken"],
    [({ server }) => server.last.onclose({ code: 4001 }), "replaced"],
    [({ me, server }) => { server.say(JOINED); me.leave(); server.last.onclose({ code: 1000 }); }, "left"],
  ]) {
    const { me, server } = started();
    server.open();
    const sent = me.send("bob", 1);
    end({ me, server });
    await assert.rejects(sent.delivered, { code });
    assert.equal(server.states.at(-1), `${code === "id_taken" ? "refused" : code}: ${code}`);
    me.hurry();
    await settled();
    assert.equal(server.sockets.length, 1, "no further attempt");
  }
});

const arrived = (n) => ({ type: "message", from: "bob", body: n, mid: `m${n}`, at: 1 });

test("closing client acknowledges what it has handled, and handles no more", async () => {
  const { me, server } = joined();
  const handled = [];
  me.onmessage = ({ body }) => {
    handled.push(body);
    me.close();
  };
  server.say(arrived(1), arrived(2));
  await settled();
  assert.deepEqual([handled, me.state], [[1], "closed"]);
  assert.deepEqual(server.heard(), [{ type: "ack", to: "bob", mids: ["m1"] }]);
});

test("functions of the program that throw skip no line", async () => {
  const { me, server } = joined();
  const handled = [];
  me.onmessage = ({ body }) => { handled.push(body); };
  me.onsignal = () => { throw new Error("from onsignal"); };
  me.watch(["bob"], () => { throw new Error("from tell"); });
  server.say(
    { type: "signal", from: "bob", body: 1 }, { type: "presence", id: "bob", online: true }, arrived(1),
  );
  await settled();
  assert.deepEqual(handled, [1]);
  assert.deepEqual(server.errors.map(({ message }) => message), ["from onsignal", "from tell"]);
  me.close();
});

test("signal overtakes no message of the same handler", async () => {
  const { me, server } = joined();
  me.onmessage = () => {
    me.send("bob", "first");
    me.signal("bob", "then");
  };
  server.say(arrived(1));
  await settled();
  const types = server.heard().map(({ type }) => type);
  assert.deepEqual(types.filter((type) => type !== "ack"), ["send", "signal"]);
  assert.throws(() => me.signal("bob", "x".repeat(4096)), { code: "long" });
  assert.throws(() => me.send("bob", undefined), TypeError);
  me.close();
});

test("handled message is not handled again because the store was full", async () => {
  const store = newStore();
  const { me, server } = joined({ store });
  let handled = 0;
  me.onmessage = () => { handled += 1; };
  store.isFull = true;
  server.say(arrived(1));
  await settled();
  assert.equal(me.state, "lost");
  me.hurry();
  while (server.sockets.length < 2) await settled();
  server.open();
  server.heard();
  server.say(RESUMED, arrived(1));
  await settled();
  assert.equal(handled, 1);
  assert.deepEqual(server.heard(), [{ type: "ack", to: "bob", mids: ["m1"] }]);
  me.close();
});

test("commit that a full store broke off is ended before anything newer", async () => {
  const store = newStore();
  const { me, server } = joined({ store });
  const { setItem } = store;
  let left = 2;
  store.setItem = (...item) => {
    // The record of the commit and one of its items are taken.
    if (left === 0) throw new Error("the store is full");
    left -= 1;
    setItem.apply(store, item);
  };
  me.onmessage = ({ from }) => { me.send(from, "answer"); };
  server.say(arrived(1));
  await settled();
  assert.equal(me.state, "lost");
  left = Infinity;
  me.onmessage = null;
  for (const n of [1, 2, 3]) me.send("carol", n);
  const again = started({ store });
  const expected = [["bob", "answer"], ["carol", 1], ["carol", 2], ["carol", 3]];
  assert.deepEqual(again.me.pending.map(({ to, body }) => [to, body]), expected);
  for (const client of [me, again.me]) client.close();
});

test("error that passes is no end", () => {
  const { me, server } = started();
  server.open();
  server.say({ type: "error", code: "too_many", text: "try again in a minute" });
  assert.equal(me.state, "lost");
  me.close();
});

test("fate that cannot come any more is unknown", async () => {
  const { me, server } = joined();
  const sent = me.send("bob", 1);
  server.say({ type: "sent", ref: sent.ref, mid: "m1", at: Date.now() - 61_000 });
  await server.cut();
  server.say(RESUMED);
  await assert.rejects(sent.delivered, { code: "unknown" });
  me.close();
});

test("body has a number only in the shape that clients give it", () => {
  for (const [body, content, number] of [
    ["text", "text"],
    [null, null],
    [{ text: "a", number: 3 }, "a", 3],
    [{ body: [1], number: 3 }, [1], 3],
    [{ body: null, number: 3 }, null, 3],
    [{ text: "a", number: 0 }, { text: "a", number: 0 }],
    [{ text: "a", number: 1.5 }, { text: "a", number: 1.5 }],
    [{ text: "a", number: "3" }, { text: "a", number: "3" }],
    [{ text: 1, number: 3 }, { text: 1, number: 3 }],
    [{ text: "a", body: 1, number: 3 }, { text: "a", body: 1, number: 3 }],
    [{ body: 1, number: 3, more: 1 }, { body: 1, number: 3, more: 1 }],
    [{ number: 3 }, { number: 3 }],
    [[{ number: 3 }], [{ number: 3 }]],
  ]) {
    const got = contentOf(body);
    assert.deepEqual([got.content, got.number], [content, number]);
  }
});
