/**
 * The connection to the server: opened again whenever it is lost; texts become lines and lines texts.
 *
 * Invariant: between `start` and `stop` there is one WebSocket, or one delay that leads to the next; otherwise neither.
 *
 * Not known here: the DOM, and what the lines mean. So when to stop trying is decided elsewhere.
 */

import { CLOSE_BROKEN } from "./protocol.js";

/** A server that was only restarted is back after the first delays. */
export const DELAY_MS_FIRST = 500;

/** No delay is longer: somebody may be looking at the page and waiting. */
export const DELAY_MS_MAX = 20_000;

/** An attempt that has not led to a connection by then, and a connection that does not answer, are given up. */
export const ANSWER_MS_MAX = 5000;

export const SUBPROTOCOL = "sotto.v1";

/**
 * Delays drawn from nothing up to a bound that doubles ("full jitter"): the clients of a restarted server do not all
 * come back in the same instant. One delay at a time; the clock and chance come in as functions.
 *
 * @param {object} clock
 * @param {(call: () => void, ms: number) => any} clock.setTimer
 * @param {(timer: any) => void} clock.clearTimer
 * @param {() => number} clock.random from 0 to below 1
 */
export function createDelay({ setTimer, clearTimer, random }) {
  let attempts = 0;
  let cancel = () => {};
  let skip = () => {};

  /**
   * Calls `attempt` after the next delay. @param {() => void} attempt
   * @param {boolean} [long] after the longest: there is little hope
   */
  function wait(attempt, long = false) {
    const end = () => {
      cancel();
      attempt();
    };
    const jitter = () => random() * Math.min(DELAY_MS_MAX, DELAY_MS_FIRST * 2 ** attempts);
    const timer = setTimer(end, long ? DELAY_MS_MAX : jitter());
    attempts += 1;
    skip = end;
    cancel = () => {
      clearTimer(timer);
      skip = cancel = () => {};
    };
  }

  return {
    wait,
    /** Ends a delay now. */
    skip: () => skip(),
    cancel: () => cancel(),
    /** An attempt has led somewhere: the next delay is a first one again. */
    reset: () => { attempts = 0; },
  };
}

/**
 * @param {object} outside
 * @param {() => WebSocket} outside.connect
 * @param {ReturnType<typeof createDelay>} outside.delay
 * @param {{ setTimer: (call: () => void, ms: number) => any, clearTimer: (timer: any) => void }} outside.clock
 * @param {() => void} outside.opened
 * @param {(lines: object[]) => void} outside.received all lines of one text
 * @param {(code: number, wasOpen: boolean) => void} outside.closed
 * @param {() => void} outside.probe says something that the server answers
 */
export function createSocket({ connect, delay, clock, opened, received, closed, probe }) {
  let started = false;
  /** @type {WebSocket | null} */
  let webSocket = null;
  let isOpen = false;
  // Runs while an answer is waited for.
  let answerTimer;

  function start() {
    if (started) return;
    started = true;
    open();
  }

  function stop() {
    started = false;
    delay.cancel();
    delay.reset();
    release();
  }

  function open() {
    webSocket = connect();
    webSocket.onopen = () => {
      isOpen = true;
      answered();
      opened();
    };
    webSocket.onmessage = ({ data }) => {
      answered();
      received(parseLines(data));
    };
    webSocket.onclose = ({ code }) => lost(code);
    awaitAnswer();
  }

  /** @param {number} code @param {boolean} [long] whether to wait as long as ever for the next attempt */
  function lost(code, long) {
    const wasOpen = isOpen;
    release();
    // Before `closed`, which may say `stop`.
    delay.wait(open, long);
    closed(code, wasOpen);
  }

  /** Lets go of the WebSocket at once: its own end may come late, and is not to be taken for its successor's. */
  function release() {
    answered();
    isOpen = false;
    if (!webSocket) return;
    webSocket.onopen = webSocket.onmessage = webSocket.onclose = null;
    webSocket.close(1000);
    webSocket = null;
  }

  function awaitAnswer() {
    answered();
    answerTimer = clock.setTimer(() => {
      lost(CLOSE_BROKEN);
      delay.skip();
    }, ANSWER_MS_MAX);
  }

  function answered() {
    clock.clearTimer(answerTimer);
  }

  /** Somebody looks, or the network is back: no delay now, and a connection that only seems to stand is found out. */
  function wake() {
    if (isOpen) {
      probe();
      awaitAnswer();
    } else {
      delay.skip();
    }
  }

  return {
    start,
    stop,
    /** @param {object} line */
    say: (line) => webSocket.send(JSON.stringify(line)),
    wake,
    /**
     * There is no network: takes the connection for broken, where the browser might need minutes to notice. It may be
     * wrong where the server is on the same machine, so an attempt is made now and then.
     */
    giveUp() {
      if (webSocket) {
        lost(CLOSE_BROKEN, true);
      } else if (started) {
        delay.cancel();
        delay.wait(open, true);
      }
    },
  };
}

/** The server that the page came from, as private as the page. @param {{ protocol: string, host: string }} page */
export function socketUrl({ protocol, host }) {
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}/ws`;
}

/** The objects in a text, one a line; what is not one is left out. @param {string} text @returns {object[]} */
export function parseLines(text) {
  return text.split("\n").map(parseLine).filter((line) => line instanceof Object);
}

function parseLine(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
