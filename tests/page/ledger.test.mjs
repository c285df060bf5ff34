/**
 * The numbers of one identity: doubles, gaps, and what comes late.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { GAPS_MAX, isMissing, newLedger, takeNumber, takeSignal } = await load("ledger.js");

/** Takes numbers, each with the one before it, and returns which were new. */
const take = (ledger, ...pairs) => {
  return pairs.map(([number, after]) => takeNumber(ledger, number, after));
};

test("numbers in order leave no gap, and each is new once", () => {
  const ledger = newLedger("bob");
  const pairs = [[5, 0], [7, 5], [9, 7]];
  assert.deepEqual(take(ledger, ...pairs), [true, true, true]);
  assert.deepEqual(take(ledger, ...pairs), [false, false, false]);
  assert.deepEqual([ledger.got, ledger.gaps], [9, []]);
});

test("a gap is known by the number before, and closes", () => {
  const ledger = newLedger("bob");
  take(ledger, [5, 0], [20, 15]);
  assert.deepEqual(ledger.gaps, [[5, 15]]);
  assert.deepEqual([15, 16, 5, 20, 21].map((number) => isMissing(ledger, number)),
    [true, false, false, false, true]);
  // 10 came behind 8: 8 itself, and what is from 11 to 15, may come yet.
  assert.deepEqual(take(ledger, [10, 8], [10, 8], [9, 8]), [true, false, false]);
  assert.deepEqual(ledger.gaps, [[5, 8], [10, 15]]);
  assert.deepEqual(take(ledger, [15, 10], [8, 5]), [true, true]);
  assert.deepEqual(ledger.gaps, []);
});

test("any order of any messages takes each of them once", () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    let state = seed;
    const random = (below) => (state = (state * 48271) % 2147483647) % below;
    let last = 0;
    const messages = Array.from({ length: 12 }, () => {
      const after = last;
      last += 1 + random(5);
      return [last, after];
    });
    const ledger = newLedger("bob");
    const taken = new Set();
    for (let step = 0; step < 80; step += 1) {
      const [number, after] = messages[random(messages.length)];
      assert.equal(takeNumber(ledger, number, after), !taken.has(number), `seed ${seed}`);
      taken.add(number);
      for (const [other] of messages) {
        if (other <= ledger.got) assert.equal(isMissing(ledger, other), !taken.has(other));
      }
    }
  }
});

test("a sender that names a later number before its own makes no gap", () => {
  const ledger = newLedger("bob");
  assert.deepEqual(take(ledger, [5, 9], [5, 9], [6, 6]), [true, false, true]);
  assert.equal(ledger.got, 6);
});

test("gaps are bounded, and the oldest counts as come", () => {
  const ledger = newLedger("bob");
  for (let n = 1; n <= GAPS_MAX + 1; n += 1) takeNumber(ledger, n * 10, n * 10 - 5);
  assert.equal(ledger.gaps.length, GAPS_MAX);
  assert.deepEqual(take(ledger, [5, 0], [15, 10]), [false, true]);
});

test("a signal counts if it is later than all before it", () => {
  const ledger = newLedger("bob");
  take(ledger, [5, 0]);
  assert.deepEqual([5, 7, 7, 6, 8].map((number) => takeSignal(ledger, number)),
    [false, true, false, false, true]);
});
