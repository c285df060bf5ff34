/**
 * The connection, with a pretend clock, pretend chance and pretend WebSockets: no test waits, none opens a port.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { Delay, Socket, parseLines, socketUrl, ANSWER_MS_MAX, DELAY_MS_FIRST, DELAY_MS_MAX } =
  await load("socket.js");

/** A clock that goes only when told to. */
function pretendClock(random) {
  const timers = new Map();
  let last = 0;
  return {
    random: () => random,
    setTimer(call, ms) {
      timers.set(++last, { call, ms });
      return last;
    },
    clearTimer: (timer) => timers.delete(timer),
    /** What is being waited for. */
    waits: () => [...timers.values()].map(({ ms }) => ms),
    /** Lets all that time pass. */
    ring() {
      for (const [timer, { call }] of [...timers]) {
        timers.delete(timer);
        call();
      }
    },
  };
}

/** A started socket, the WebSockets that it made, and what it has told. */
function startedSocket(closed = () => {}) {
  const clock = pretendClock(0.5);
  const told = [];
  const made = [];
  const socket = new Socket({
    connect() {
      const webSocket = { sent: [] };
      webSocket.send = (text) => webSocket.sent.push(text);
      webSocket.close = (code) => { webSocket.code = code; };
      made.push(webSocket);
      return webSocket;
    },
    delay: new Delay(clock),
    clock,
    opened: () => told.push("opened"),
    received: (lines) => told.push(lines),
    closed(code, wasOpen) {
      told.push(wasOpen ? code : `${code}, never open`);
      closed(code);
    },
    probe: () => told.push("probe"),
  });
  socket.start();
  return { socket, clock, told, made };
}

test("delays double up to their bound and begin anew after a reset", () => {
  const clock = pretendClock(1);
  const delay = new Delay(clock);
  const next = () => {
    delay.wait(() => {});
    const [ms] = clock.waits();
    clock.ring();
    return ms;
  };
  assert.deepEqual(Array.from({ length: 8 }, next), [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);
  for (let attempt = 0; attempt < 2000; attempt += 1) next();
  assert.equal(next(), DELAY_MS_MAX);
  delay.reset();
  assert.equal(next(), DELAY_MS_FIRST);
});

test("chance draws the whole delay", () => {
  for (const random of [0, 0.25, 0.999]) {
    const clock = pretendClock(random);
    new Delay(clock).wait(() => {});
    assert.deepEqual(clock.waits(), [random * DELAY_MS_FIRST]);
  }
});

test("a delay that is skipped ends once, one that is cancelled never", () => {
  const clock = pretendClock(1);
  const delay = new Delay(clock);
  let ended = 0;
  delay.skip();
  delay.wait(() => { ended += 1; });
  delay.skip();
  delay.skip();
  clock.ring();
  assert.equal(ended, 1);
  delay.wait(() => { ended += 1; });
  delay.cancel();
  delay.skip();
  clock.ring();
  assert.equal(ended, 1);
});

test("a text becomes its objects, and nothing else of it arrives", () => {
  assert.deepEqual(parseLines('{"a":1}'), [{ a: 1 }]);
  assert.deepEqual(parseLines('{"a":1}\n{"b":"\\n"}'), [{ a: 1 }, { b: "\n" }]);
  assert.deepEqual(parseLines('\n \nnot json\n{"a":1}\n7\nnull\n"text"\n{"cut":'), [{ a: 1 }]);
  assert.deepEqual(parseLines(""), []);
});

test("the server is the page's own, and as private", () => {
  assert.equal(socketUrl({ protocol: "http:", host: "localhost:8080" }), "ws://localhost:8080/ws");
  assert.equal(socketUrl({ protocol: "https:", host: "chat.example" }), "wss://chat.example/ws");
});

test("lines go out and come in", () => {
  const { socket, told, made: [webSocket] } = startedSocket();
  webSocket.onopen();
  webSocket.onmessage({ data: '{"type":"joined"}\n{"type":"sent"}' });
  socket.say({ type: "leave" });
  assert.deepEqual(told, ["opened", [{ type: "joined" }, { type: "sent" }]]);
  assert.deepEqual(webSocket.sent, ['{"type":"leave"}']);
});

test("a lost connection is opened again after a delay", () => {
  const { clock, told, made } = startedSocket();
  made[0].onopen();
  made[0].onclose({ code: 1001 });
  assert.deepEqual(told, ["opened", 1001]);
  assert.deepEqual(clock.waits(), [250]);
  assert.equal(made.length, 1);
  clock.ring();
  assert.equal(made.length, 2);
  made[1].onclose({ code: 1006 });
  assert.deepEqual(clock.waits(), [500]);
});

test("a socket that is started twice is started once", () => {
  const { socket, made } = startedSocket();
  socket.start();
  assert.equal(made.length, 1);
});

test("a stopped socket does not come back, and can be started again", () => {
  const { socket, clock, told, made } = startedSocket();
  socket.stop();
  socket.stop();
  assert.equal(made[0].code, 1000);
  assert.equal(made[0].onclose, null);
  clock.ring();
  assert.equal(made.length, 1);
  assert.deepEqual(told, []);
  socket.start();
  assert.equal(made.length, 2);
});

test("a stop while waiting, or from within closed, ends the waiting", () => {
  const { socket, clock, made } = startedSocket();
  made[0].onclose({ code: 1006 });
  socket.stop();
  assert.deepEqual(clock.waits(), []);

  const replaced = startedSocket((code) => code === 4001 && replaced.socket.stop());
  replaced.made[0].onclose({ code: 4001 });
  assert.deepEqual(replaced.clock.waits(), []);
});

test("a connection that is given up is lost at once, its late end is not heard, and the next attempt waits long", () => {
  const { socket, clock, told, made } = startedSocket();
  made[0].onopen();
  for (const again of [false, true]) {
    socket.giveUp();
    assert.deepEqual(told, ["opened", 1006]);
    assert.deepEqual(clock.waits(), [DELAY_MS_MAX], `again: ${again}`);
  }
  assert.equal(made[0].onclose, null);
  clock.ring();
  assert.equal(made.length, 2);
});

test("without a network an attempt that was to come soon waits long", () => {
  const { socket, clock, made } = startedSocket();
  made[0].onclose({ code: 1006 });
  socket.giveUp();
  assert.deepEqual(clock.waits(), [DELAY_MS_MAX]);
});

test("an attempt that leads nowhere is given up, and the next one made at once", () => {
  const { clock, told, made } = startedSocket();
  assert.deepEqual(clock.waits(), [ANSWER_MS_MAX]);
  clock.ring();
  assert.deepEqual(told, ["1006, never open"]);
  assert.equal(made.length, 2);
});

test("woken, a connection is probed, and whatever it answers shows that it stands", () => {
  const { socket, clock, told, made } = startedSocket();
  made[0].onopen();
  assert.deepEqual(clock.waits(), []);
  socket.wake();
  socket.wake();
  assert.deepEqual(clock.waits(), [ANSWER_MS_MAX]);
  made[0].onmessage({ data: "{}" });
  assert.deepEqual(clock.waits(), []);
  assert.deepEqual(told, ["opened", "probe", "probe", [{}]]);
});

test("woken, a connection that does not answer is lost, and another one made at once", () => {
  const { socket, clock, told, made } = startedSocket();
  made[0].onopen();
  socket.wake();
  clock.ring();
  assert.deepEqual(told, ["opened", "probe", 1006]);
  assert.equal(made.length, 2);
});

test("woken, a delay is over", () => {
  const { socket, clock, made } = startedSocket();
  made[0].onclose({ code: 1006 });
  socket.wake();
  assert.equal(made.length, 2);
  assert.deepEqual(clock.waits(), [ANSWER_MS_MAX]);
  socket.stop();
  assert.deepEqual(clock.waits(), []);
});
