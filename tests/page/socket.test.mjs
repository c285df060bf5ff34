/**
 * The connection, with a pretend clock, pretend chance and pretend WebSockets: no test waits or
 * opens a port.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { Delay, Socket, parseLines, socketUrl, ANSWER_MS_MAX, DELAY_MS_FIRST, DELAY_MS_MAX } =
  await load("socket.js");

/** Returns a clock that goes only when the test says so. */
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
    /** The times of all timers, in ms. */
    waits: () => [...timers.values()].map(({ ms }) => ms),
    /** Lets all timers end. */
    ring() {
      for (const [timer, { call }] of [...timers]) {
        timers.delete(timer);
        call();
      }
    },
  };
}

/** Returns a started socket, the WebSockets that it made, and its calls of the outside. */
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

test("delays double up to a bound, and start anew after a reset", () => {
  const clock = pretendClock(1);
  const delay = new Delay(clock);
  const next = () => {
    delay.wait(() => {});
    const [ms] = clock.waits();
    clock.ring();
    return ms;
  };
  assert.deepEqual(
    Array.from({ length: 8 }, next),
    [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000],
  );
  for (let attempt = 0; attempt < 2000; attempt += 1) next();
  assert.equal(next(), DELAY_MS_MAX);
  delay.reset();
  assert.equal(next(), DELAY_MS_FIRST);
});

test("random factor scales the whole delay", () => {
  for (const random of [0, 0.25, 0.999]) {
    const clock = pretendClock(random);
    new Delay(clock).wait(() => {});
    assert.deepEqual(clock.waits(), [random * DELAY_MS_FIRST]);
  }
});

test("skipped delay ends once, cancelled delay never", () => {
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

test("text becomes its objects, and other lines are left out", () => {
  assert.deepEqual(parseLines('{"a":1}'), [{ a: 1 }]);
  assert.deepEqual(parseLines('{"a":1}\n{"b":"\\n"}'), [{ a: 1 }, { b: "\n" }]);
  assert.deepEqual(parseLines('\n \nnot json\n{"a":1}\n7\nnull\n"text"\n{"cut":'), [{ a: 1 }]);
  assert.deepEqual(parseLines(""), []);
});

test("address is the page's own server, as private as the page", () => {
  assert.equal(socketUrl("http://localhost:8080/"), "ws://localhost:8080/ws");
  assert.equal(socketUrl("https://chat.example/index.html#to=bob"), "wss://chat.example/ws");
  assert.equal(socketUrl("https://example.org/chat/?a=/b"), "wss://example.org/chat/ws");
});

test("lines are sent and received", () => {
  const { socket, told, made: [webSocket] } = startedSocket();
  webSocket.onopen();
  webSocket.onmessage({ data: '{"type":"joined"}\n{"type":"sent"}' });
  socket.say({ type: "leave" });
  assert.deepEqual(told, ["opened", [{ type: "joined" }, { type: "sent" }]]);
  assert.deepEqual(webSocket.sent, ['{"type":"leave"}']);
});

test("lost connection is opened again after a delay", () => {
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

test("socket that is started twice opens one connection", () => {
  const { socket, made } = startedSocket();
  socket.start();
  assert.equal(made.length, 1);
});

test("stopped socket stays closed until it is started again", () => {
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

test("stop during a delay, or from closed, ends the delay", () => {
  const { socket, clock, made } = startedSocket();
  made[0].onclose({ code: 1006 });
  socket.stop();
  assert.deepEqual(clock.waits(), []);

  const replaced = startedSocket((code) => code === 4001 && replaced.socket.stop());
  replaced.made[0].onclose({ code: 4001 });
  assert.deepEqual(replaced.clock.waits(), []);
});

test("connection given up is lost at once, and retried late", () => {
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

test("attempt that was due soon is put off without a network", () => {
  const { socket, clock, made } = startedSocket();
  made[0].onclose({ code: 1006 });
  socket.giveUp();
  assert.deepEqual(clock.waits(), [DELAY_MS_MAX]);
});

test("attempt without an answer is given up and repeated at once", () => {
  const { clock, told, made } = startedSocket();
  assert.deepEqual(clock.waits(), [ANSWER_MS_MAX]);
  clock.ring();
  assert.deepEqual(told, ["1006, never open"]);
  assert.equal(made.length, 2);
});

test("woken connection is probed, and any answer proves it alive", () => {
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

test("woken connection without an answer is replaced at once", () => {
  const { socket, clock, told, made } = startedSocket();
  made[0].onopen();
  socket.wake();
  clock.ring();
  assert.deepEqual(told, ["opened", "probe", 1006]);
  assert.equal(made.length, 2);
});

test("wake ends a delay", () => {
  const { socket, clock, made } = startedSocket();
  made[0].onclose({ code: 1006 });
  socket.wake();
  assert.equal(made.length, 2);
  assert.deepEqual(clock.waits(), [ANSWER_MS_MAX]);
  socket.stop();
  assert.deepEqual(clock.waits(), []);
});
