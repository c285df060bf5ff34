/**
 * The tab that has an id, with a pretend lock manager.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { Tab } = await load("tab.js");

/** Returns a lock manager as the standard describes it, for locks of one name. */
function pretendLocks() {
  let holder = null;
  const queue = [];
  function grant(request) {
    holder = request;
    Promise.resolve(request.callback({})).then(() => {
      if (holder === request) next();
      request.resolve();
    });
  }
  function next() {
    holder = null;
    if (queue.length) grant(queue.shift());
  }
  return {
    request(name, { steal, ifAvailable, signal }, callback) {
      return new Promise((resolve, reject) => {
        const request = { callback, resolve, reject };
        if (steal && holder) holder.reject(new DOMException("", "AbortError"));
        if (steal || !holder) return grant(request);
        if (ifAvailable) return resolve(callback(null));
        queue.push(request);
        signal.addEventListener("abort", () => {
          queue.splice(queue.indexOf(request), 1);
          reject(signal.reason);
        });
      });
    },
  };
}

function twoTabs() {
  const locks = pretendLocks();
  const lost = [];
  const timers = new Set();
  const clock = {
    setTimer(call) {
      timers.add(call);
      return call;
    },
    clearTimer: (timer) => timers.delete(timer),
  };
  const tab = (name) => new Tab(locks, () => lost.push(name), clock);
  const [first, second] = ["first", "second"].map(tab);
  return { lost, first, second, ring: () => timers.forEach((call) => call()) };
}

/** Lets the answer to the first request pass, after which a claim waits for its timer. */
const untilItWaits = () => new Promise((resolve) => setImmediate(resolve));

test("free lock is had however late it is granted", async () => {
  const locks = {
    request: (name, { signal }, callback) =>
      new Promise((resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
        setImmediate(() => resolve(callback({})));
      }),
  };
  const timers = [];
  const clock = { setTimer: (call) => timers.push(call), clearTimer() {} };
  const claim = new Tab(locks, () => {}, clock).claim("alice", false);
  timers.forEach((call) => call());
  assert.equal(await claim, true);
});

test("second tab does not get the id of the first", async () => {
  const { first, second, lost, ring } = twoTabs();
  assert.equal(await first.claim("alice", false), true);
  const claim = second.claim("alice", false);
  await untilItWaits();
  ring();
  assert.equal(await claim, false);
  assert.deepEqual(lost, []);
});

test("tab that takes an id has it, and the other one is told", async () => {
  const { first, second, lost } = twoTabs();
  await first.claim("alice", false);
  assert.equal(await second.claim("alice", true), true);
  await Promise.resolve();
  assert.deepEqual(lost, ["first"]);
  assert.equal(await first.claim("alice", true), true);
  await Promise.resolve();
  assert.deepEqual(lost, ["first", "second"]);
});

test("reloaded page waits until its former self releases the id", async () => {
  const { first, second, lost } = twoTabs();
  await first.claim("alice", false);
  assert.equal(await first.claim("alice", false), true);
  const claim = second.claim("alice", false);
  await untilItWaits();
  first.release();
  assert.equal(await claim, true);
  assert.deepEqual(lost, []);
});

test("tab that takes its own id again does not lose it", async () => {
  const { first, lost } = twoTabs();
  await first.claim("alice", false);
  assert.equal(await first.claim("alice", true), true);
  await Promise.resolve();
  assert.deepEqual(lost, []);
});

test("every tab has the id if locks are missing or refused", async () => {
  const refusing = { request: () => Promise.reject(new DOMException("", "SecurityError")) };
  for (const locks of [undefined, refusing]) {
    const tab = new Tab(locks, () => {}, { setTimer() {}, clearTimer() {} });
    assert.equal(await tab.claim("alice", false), true);
  }
});
