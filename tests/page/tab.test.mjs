/**
 * The tab that has an id, with a pretend lock manager.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { PlayedClock, settled } from "./played_clock.mjs";

const { Tab, ANSWER_MS_MAX } = await load("tab.js");

/** Returns a lock manager as the standard describes it, for locks of one name. */
function pretendLocks() {
  let holder = null;
  const queue = [];
  let isLate = false;
  function grant(request) {
    holder = request;
    if (isLate) return;
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
    /** The manager is busy: it grants locks, but tells nobody until the test lets it. */
    delay: () => { isLate = true; },
    hurry() {
      isLate = false;
      grant(holder);
    },
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

/** Returns a function that opens channels of one name. Messages arrive a turn later. */
function pretendChannels() {
  const open = new Set();
  const openChannel = () => {
    const channel = {
      close: () => open.delete(channel),
      postMessage(data) {
        for (const other of open) {
          if (other !== channel) setImmediate(() => open.has(other) && other.onmessage?.({ data }));
        }
      },
    };
    open.add(channel);
    return channel;
  };
  return { open, openChannel };
}

/** Returns tabs of one browser. A frozen tab neither hears nor says anything. */
function someTabs() {
  const locks = pretendLocks();
  const channels = pretendChannels();
  const lost = [];
  const frozen = new Set();
  const clock = new PlayedClock();
  const tab = (name) => new Tab({
    locks,
    clock,
    lost: () => lost.push(name),
    openChannel() {
      const channel = channels.openChannel();
      const own = { close: channel.close, postMessage: channel.postMessage };
      channel.onmessage = (event) => !frozen.has(name) && own.onmessage?.(event);
      return own;
    },
  });
  const [first, second, third] = ["first", "second", "third"].map(tab);
  return { lost, locks, clock, frozen, channels: channels.open, first, second, third };
}

test("second tab does not get the id of the first", async () => {
  const { first, second, lost, clock } = someTabs();
  assert.equal(await first.claim("alice", false), true);
  assert.equal(await second.claim("alice", false), false);
  assert.equal(clock.now, 0, "it was told, and did not wait");
  assert.deepEqual(lost, []);
  first.release();
  assert.equal(await second.claim("alice", false), true);
});

test("free lock is had however late it is granted", async () => {
  const { first, locks, clock } = someTabs();
  locks.delay();
  const claim = first.claim("alice", false);
  await clock.pass(10 * ANSWER_MS_MAX);
  locks.hurry();
  assert.equal(await claim, true);
});

test("lock of a page that is going is had when it has gone", async () => {
  const { first, second, lost, frozen, clock } = someTabs();
  await first.claim("alice", false);
  frozen.add("first");
  const claim = second.claim("alice", false);
  await clock.pass(ANSWER_MS_MAX - 1);
  first.release();
  assert.equal(await claim, true);
  assert.deepEqual(lost, []);
});

test("lock of a frozen page is taken, and the page is told", async () => {
  const { first, second, lost, frozen, clock } = someTabs();
  await first.claim("alice", false);
  frozen.add("first");
  const claim = second.claim("alice", false);
  await clock.pass(ANSWER_MS_MAX);
  assert.equal(await claim, true);
  assert.deepEqual(lost, ["first"]);
  frozen.clear();
  assert.equal(await first.claim("alice", false), false);
});

test("claim that was given up takes no lock any more", async () => {
  const { first, second, third, lost, frozen, clock } = someTabs();
  await first.claim("alice", false);
  frozen.add("first");
  // She changes her mind while the frozen tab is asked.
  const left = second.claim("alice", false);
  await settled();
  second.release();
  await clock.pass(2 * ANSWER_MS_MAX);
  assert.deepEqual([await left, lost], [false, []]);
  first.release();
  assert.equal(await third.claim("alice", false), true);
});

test("of two tabs that wait for a lock one has it and tells the other", async () => {
  const { first, second, third, frozen, clock } = someTabs();
  await first.claim("alice", false);
  frozen.add("first");
  const claims = [second, third].map((tab) => tab.claim("alice", false));
  await settled();
  first.release();
  assert.deepEqual(await Promise.all(claims), [true, false]);
  assert.equal(clock.now, 0);
});

test("only the tab that has the id answers for it", async () => {
  const { first, second, third, channels, clock, frozen } = someTabs();
  await first.claim("alice", false);
  await second.claim("alice", true);
  await settled();
  assert.equal(channels.size, 1, "the first has lost it");
  assert.equal(await third.claim("alice", false), false);
  assert.equal(channels.size, 1, "the third has its answer");
  frozen.add("second");
  const claim = third.claim("alice", false);
  await clock.pass(ANSWER_MS_MAX);
  assert.equal(await claim, true);
  third.release();
  await settled();
  assert.equal(channels.size, 0);
});

test("tab that takes an id has it, and the other one is told", async () => {
  const { first, second, lost } = someTabs();
  await first.claim("alice", false);
  assert.equal(await second.claim("alice", true), true);
  await Promise.resolve();
  assert.deepEqual(lost, ["first"]);
  assert.equal(await first.claim("alice", true), true);
  await Promise.resolve();
  assert.deepEqual(lost, ["first", "second"]);
});

test("tab that takes its own id again does not lose it", async () => {
  const { first, lost } = someTabs();
  await first.claim("alice", false);
  assert.equal(await first.claim("alice", true), true);
  await Promise.resolve();
  assert.deepEqual(lost, []);
});

test("every tab has the id if locks are missing or refused", async () => {
  const refusing = { request: () => Promise.reject(new DOMException("", "SecurityError")) };
  for (const locks of [undefined, refusing]) {
    const tab = new Tab({ locks });
    assert.equal(await tab.claim("alice", false), true);
  }
});
