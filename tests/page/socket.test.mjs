/**
 * The connection, with a pretend clock, pretend chance and pretend WebSockets: no test waits or
 * opens a port.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const {
  Delay, Socket, parseLines, ANSWER_MS_FIRST, ANSWER_MS_MAX, DELAY_MS_FIRST,
  DELAY_MS_MAX, SILENCE_MS_MAX,
} = await load("socket.js");
const { socketUrl } = await load("scope.js");

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
    /** The names of all timers: a timer that is set anew has another one. */
    timers: () => [...timers.keys()],
    /** Lets all timers end. */
    ring() {
      for (const [timer, { call }] of [...timers]) {
        timers.delete(timer);
        call();
      }
    },
  };
}

/**
 * Returns a started socket, the WebSockets that it made, and its calls of the outside. The test
 * counts the lines that the server has not answered, in `unanswered`.
 */
function startedSocket(closed = () => {}) {
  const clock = pretendClock(0.5);
  const told = [];
  const made = [];
  const server = { unanswered: 0 };
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
    awaitsAnswer: () => server.unanswered > 0,
    probe() {
      told.push("probe");
      server.unanswered += 1;
      socket.say({ type: "watch", ids: ["alice"] });
    },
  });
  socket.start();
  return { socket, clock, told, made, server };
}

/** Has the server say a text, which is applied once it is opened. */
function hear({ made, clock, socket }, opening = () => {}) {
  made.at(-1).onmessage({ data: "{}" });
  assert.deepEqual(clock.waits(), [ANSWER_MS_MAX], "the server owes nothing until then");
  opening();
  socket.applied();
}

/** Has the server answer all lines. */
function answer(played) {
  hear(played, () => { played.server.unanswered = 0; });
}

/** Says a line that the server has to answer. */
function ask({ socket, server }) {
  server.unanswered += 1;
  socket.say({ type: "send", to: "bob", body: "1", ref: "1" });
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
  assert.deepEqual(clock.waits(), [ANSWER_MS_FIRST]);
  clock.ring();
  assert.deepEqual(told, ["1006, never open"]);
  assert.equal(made.length, 2);
});

test("line swallowed by the network costs the connection", () => {
  const played = startedSocket();
  const { socket, clock, told, made } = played;
  made[0].onopen();
  ask(played);
  assert.deepEqual(clock.waits(), [ANSWER_MS_FIRST]);
  for (let more = 0; more < 3; more += 1) {
    const [deadline] = clock.timers();
    ask(played);
    socket.wake();
    assert.deepEqual(clock.timers(), [deadline], "what is said later gives no more time");
  }
  clock.ring();
  assert.deepEqual(told, ["opened", 1006]);
  assert.equal(made[0].onmessage, null);
  assert.equal(made.length, 2);
});

test("join without an answer costs the connection", () => {
  const { clock, told, made, server } = startedSocket();
  server.unanswered = 1;
  made[0].onopen();
  assert.deepEqual(clock.waits(), [ANSWER_MS_FIRST]);
  clock.ring();
  assert.deepEqual(told, ["opened", 1006]);
});

test("text of the server gives later answers their time anew", () => {
  const played = startedSocket();
  const { clock, made } = played;
  made[0].onopen();
  ask(played);
  const [deadline] = clock.timers();
  hear(played);
  assert.notDeepEqual(clock.timers(), [deadline]);
  assert.deepEqual(clock.waits(), [ANSWER_MS_FIRST]);
  answer(played);
  assert.deepEqual(clock.waits(), [SILENCE_MS_MAX]);
});

test("time for an answer doubles until all answers have come", () => {
  const played = startedSocket();
  const { clock, made } = played;
  const swallow = () => {
    made.at(-1).onopen();
    ask(played);
    // A text that leaves a line unanswered is no reason to hurry.
    hear(played);
    const [ms] = clock.waits();
    clock.ring();
    return ms;
  };
  assert.deepEqual(
    Array.from({ length: 6 }, swallow),
    [ANSWER_MS_FIRST, 10_000, 20_000, 40_000, ANSWER_MS_MAX, ANSWER_MS_MAX],
  );
  assert.deepEqual(clock.waits(), [DELAY_MS_MAX], "an attempt gets no more");
  made.at(-1).onopen();
  answer(played);
  assert.equal(swallow(), ANSWER_MS_FIRST);
});

test("silent connection is probed, and any answer proves it alive", () => {
  const played = startedSocket();
  const { socket, clock, told, made } = played;
  made[0].onopen();
  assert.deepEqual(clock.waits(), [SILENCE_MS_MAX]);
  socket.say({ type: "ack", to: "bob", mids: [] });
  assert.deepEqual(clock.waits(), [SILENCE_MS_MAX], "this line has no answer");
  clock.ring();
  assert.deepEqual(clock.waits(), [ANSWER_MS_FIRST]);
  answer(played);
  assert.deepEqual(clock.waits(), [SILENCE_MS_MAX]);
  assert.deepEqual(told, ["opened", "probe", [{}]]);
});

test("woken connection is probed once, from the first look", () => {
  const { socket, clock, told, made } = startedSocket();
  made[0].onopen();
  socket.wake();
  const [deadline] = clock.timers();
  for (let look = 0; look < 5; look += 1) socket.wake();
  assert.deepEqual(clock.timers(), [deadline]);
  assert.deepEqual(clock.waits(), [ANSWER_MS_FIRST]);
  clock.ring();
  assert.deepEqual(told, ["opened", "probe", 1006]);
  assert.equal(made.length, 2);
});

test("wake ends a delay", () => {
  const { socket, clock, made } = startedSocket();
  made[0].onclose({ code: 1006 });
  socket.wake();
  assert.equal(made.length, 2);
  assert.deepEqual(clock.waits(), [ANSWER_MS_FIRST]);
  socket.stop();
  assert.deepEqual(clock.waits(), []);
});
