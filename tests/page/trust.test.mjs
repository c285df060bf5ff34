/**
 * What goes sealed, what goes as plain text, and what does not go: by the peer's identity.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import {
  cardOf, expired, freshStore, joinedStore, letter, message, NOTHING_KEPT, offline, online,
  reconnect, saidOf, SEALING, sealingStore, sent, signal, states, told, unclaimed, unopened,
  whisper, writeTo,
} from "./played_store.mjs";

const { standing } = await load("state.js");
const { safetyOf } = await load("trust.js");

const safety = (store) => safetyOf(store.current, store.state.seals);
const sends = (store) => saidOf(store, "send");
const failure = (store) => store.current.messages.at(-1).reason?.code;

/** Returns a store with an open, sealed conversation with bob. */
function withBob(options) {
  const store = sealingStore(options);
  store.open("bob");
  store.received([told("bob")]);
  store.said();
  return store;
}

/** Bob's page appears to have another identity. */
const change = (store) => store.received([letter("bob", { number: 5, body: "x" }, {
  card: cardOf("bob", 2),
})]);

test("a message waits for the peer's card and goes sealed", () => {
  const store = sealingStore();
  writeTo(store, "bob", "hello");
  assert.deepEqual(store.said().map(({ type }) => type), ["watch", "lookup"]);
  assert.equal(safety(store), "");
  store.received([told("bob")]);
  const [{ body, to }] = sends(store);
  const { number, after, got, body: text } = body.content;
  assert.deepEqual([to, body.for, after, got, text], ["bob", "seal of bob 1", 0, 0, "hello"]);
  assert.equal(number, 1_000_000_000);
  assert.equal(safety(store), "sealed");
});

test("a lookup has to be answered, or the connection counts as lost", () => {
  const store = sealingStore();
  assert.equal(store.awaitsAnswer, false);
  store.open("bob");
  assert.equal(store.awaitsAnswer, true);
  store.received([told("bob")]);
  assert.equal(store.awaitsAnswer, false);
  store.open("carol");
  store.closed(1006);
  store.opened();
  store.received([SEALING, told("carol")]);
  assert.equal(store.awaitsAnswer, false);
});

test("numbers grow though the clock stands still, and name the one before", () => {
  const store = withBob();
  for (const text of ["a", "b", "c"]) writeTo(store, "bob", text);
  const contents = sends(store).map(({ body }) => body.content);
  const [first, second, third] = contents.map(({ number }) => number);
  assert.ok(first < second && second < third && third < first + 10);
  assert.deepEqual(contents.map(({ after }) => after), [0, first, second]);
});

test("a peer with a card that leaves before any message is away", () => {
  const store = withBob();
  store.received([online("bob"), online("bob", false)]);
  assert.equal(standing(store.current), "away");
});

test("a peer without a card gets plain text until it has one", () => {
  const store = sealingStore();
  writeTo(store, "bot", "hello");
  store.received([told("bot", null)]);
  assert.deepEqual(sends(store).map(({ body }) => body), ["hello"]);
  assert.equal(safety(store), "plain");
  store.received([online("bot")]);
  store.received([told("bot")]);
  writeTo(store, "bot", "now sealed");
  assert.deepEqual(sends(store).map(({ body }) => body.content.body), ["now sealed"]);
});

test("an older server and a page without keys go on as before", () => {
  for (const store of [joinedStore(), joinedStore({ ownCard: () => cardOf("alice") })]) {
    writeTo(store, "bob", "hello");
    const said = store.said().map(({ type, body }) => [type, body]);
    assert.deepEqual(said, [
      ["watch", undefined], ["signal", { typing: true }], ["send", "hello"],
    ]);
  }
});

test("nobody has the id: the message fails as it always did", () => {
  const store = sealingStore();
  writeTo(store, "bob", "hello");
  store.received([unclaimed("bob")]);
  assert.deepEqual([sends(store), states(store), failure(store)],
    [[], [["hello", "failed"]], "offline"]);
  store.retry(store.current.messages[0]);
  assert.deepEqual(store.said(), [{ type: "lookup", id: "bob" }]);
  // A draft asks nothing.
  store.received([unclaimed("bob")]);
  store.draft("more");
  assert.equal(store.bytesLeft() > 0, true);
  assert.deepEqual(saidOf(store, "lookup"), []);
});

test("waiting for one peer's card holds up no other peer", () => {
  const store = withBob();
  writeTo(store, "carol", "waits");
  writeTo(store, "bob", "goes");
  writeTo(store, "carol", "waits, too");
  assert.deepEqual(sends(store).map(({ to }) => to), ["bob"]);
  store.received([told("carol")]);
  assert.deepEqual(sends(store).map(({ body }) => body.content.body), ["waits", "waits, too"]);
});

test("another identity stops all sending until the reader decides", () => {
  const store = withBob();
  change(store);
  assert.equal(safety(store), "changed");
  writeTo(store, "bob", "secret");
  assert.deepEqual([sends(store), failure(store)], [[], "changed"]);
  assert.equal(store.current.messages[0].foreign, true);
  // Neither a reload, nor the pinned identity, nor a card that is withdrawn decides it.
  store.received([letter("bob", { number: 6, body: "y" }), told("bob", null)]);
  assert.equal(safety(store), "changed");
  store.decide(true);
  store.received([told("bob", cardOf("bob", 2))]);
  assert.equal(safety(store), "sealed");
  assert.deepEqual(sends(store), [], "it is never sealed for another one unasked");
  store.retry(store.current.messages.find(({ mine }) => mine));
  assert.deepEqual(sends(store).map(({ body }) => body.for), ["seal of bob 2"]);
});

test("a reader who is not sure keeps the key, and is asked again", () => {
  const store = withBob();
  change(store);
  store.decide(false);
  assert.equal(safety(store), "sealed");
  writeTo(store, "bob", "secret");
  assert.deepEqual(sends(store).map(({ body }) => body.for), ["seal of bob 1"]);
  store.received([whisper("bob", { number: 9e14, typing: true }, cardOf("bob", 2))]);
  assert.equal(safety(store), "changed");
  assert.equal(store.current.typing, 0);
});

test("unsent messages fail when another identity appears", () => {
  const store = withBob();
  store.closed(1006);
  writeTo(store, "bob", "unsent");
  store.opened();
  store.received([SEALING, told("bob", cardOf("bob", 2))]);
  assert.deepEqual([sends(store), failure(store)], [[], "changed"]);
});

test("a pinned peer without a card gets plain text by a decision only", () => {
  const store = withBob();
  reconnect(store, SEALING);
  store.received([told("bob", null)]);
  assert.equal(safety(store), "gone");
  writeTo(store, "bob", "secret");
  assert.deepEqual([sends(store), failure(store)], [[], "unsealed"]);
  store.allowPlain();
  assert.deepEqual([sends(store), safety(store)], [[], "plain"]);
  writeTo(store, "bob", "not secret");
  assert.deepEqual(sends(store).map(({ body }) => body), ["not secret"]);
  assert.equal(store.current.messages.at(-1).plain, true);
  // With a card it is over.
  reconnect(store, SEALING);
  store.received([told("bob")]);
  assert.equal(safety(store), "sealed");
});

test("a message that was sealed once never goes as plain text", () => {
  const store = withBob();
  writeTo(store, "bob", "secret");
  const [{ ref }] = sends(store);
  store.received([offline(ref, "bob")]);
  assert.equal(states(store)[0][1], "failed");
  store.closed(1006);
  const [text] = store.current.messages;
  store.retry(text);
  // It is sealed again before the peer loses its card.
  text.sealedFor = cardOf("bob").sign;
  store.opened();
  store.received([SEALING, told("bob", null)]);
  store.allowPlain();
  store.received([online("bob")]);
  store.received([told("bob", null)]);
  assert.deepEqual([sends(store), failure(store)], [[], "unsealed"]);
});

test("an invite link pins before the first lookup", () => {
  const store = sealingStore();
  store.open("bob", cardOf("bob").sign);
  assert.equal(safety(store), "verified");
  store.draft("hello");
  store.write();
  store.received([told("bob", null)]);
  assert.deepEqual([sends(store), failure(store)], [[], "unsealed"]);
  const other = sealingStore();
  other.open("bob", "carol 1");
  other.received([told("bob")]);
  assert.equal(safety(other), "changed");
});

test("an invite link with another key than the pinned one asks", () => {
  const store = withBob();
  store.open("bob", "mallory");
  assert.equal(safety(store), "changed");
  store.decide(false);
  store.open("bob", cardOf("bob").sign);
  assert.equal(safety(store), "verified");
});

test("verified holds for one identity", () => {
  const store = withBob();
  store.verify(true);
  assert.equal(safety(store), "verified");
  change(store);
  store.decide(true);
  store.received([told("bob", cardOf("bob", 2))]);
  assert.equal(safety(store), "sealed");
});

test("a message comes once by its number, under any mid and ownership", () => {
  const store = withBob();
  const content = { number: 5, body: "hello" };
  store.received([letter("bob", content)]);
  store.received([letter("bob", content)]);
  reconnect(store, SEALING, letter("bob", content), letter("bob", { number: 6, body: "more" }));
  assert.deepEqual(states(store).map(([body]) => body), ["hello", "more"]);
  assert.equal(saidOf(store, "ack").length, 1, "and is acknowledged all the same");
});

test("gaps and late messages show", () => {
  const store = withBob();
  store.received([letter("bob", { number: 5, body: "1" })]);
  store.received([letter("bob", { number: 9, after: 7, body: "3" })]);
  const [, third] = store.current.messages;
  assert.deepEqual([third.gap, store.isMissing(third)], [true, true]);
  store.received([letter("bob", { number: 7, after: 5, body: "2" })]);
  assert.deepEqual([store.current.messages[2].late, store.isMissing(third)], [true, false]);
});

test("the first message of a peer that knows us from before has no gap", () => {
  const store = withBob();
  store.received([letter("bob", { number: 9, after: 7, body: "1" })]);
  assert.equal(store.current.messages[0].gap, undefined);
});

test("plain text of a pinned peer is marked, and its plain signals do not count", () => {
  const store = withBob();
  store.received([message("bob", "forged"), signal("bob", { typing: true })]);
  assert.deepEqual([store.current.messages[0].plain, store.current.typing], [true, 0]);
  store.received([whisper("bob", { number: 9, typing: true })]);
  assert.notEqual(store.current.typing, 0);
});

test("typing and reading are told sealed", () => {
  const store = withBob();
  store.received([letter("bob", { number: 5, body: "hello" })]);
  store.draft("h");
  store.seen(store.current.messages[0]);
  const bodies = saidOf(store, "signal").map(({ body }) => body.content);
  assert.deepEqual(bodies.map(({ number, ...rest }) => [number > 0, rest]),
    [[true, { typing: true }], [true, { read: 5 }]]);
});

test("a sealed read names a number of ours", () => {
  const store = withBob();
  writeTo(store, "bob", "hello");
  const [{ body }] = sends(store);
  store.received([whisper("bob", { number: 7, read: body.content.number })]);
  assert.equal(store.current.readTo, store.current.messages[0].place);
  // The same again, a replay: nothing.
  store.received([whisper("bob", { number: 7, typing: true })]);
  assert.equal(store.current.typing, 0);
});

test("an accepted peer is asked once for a message that cannot be opened", () => {
  const store = withBob();
  store.received([unopened("bob", "mid-1"), unopened("bob", "mid-2")]);
  const [asked] = saidOf(store, "signal");
  assert.deepEqual(asked.body.content.lost, ["mid-1", "mid-2"]);
  assert.deepEqual(store.current.messages.map(({ unreadable }) => unreadable), [true, true]);
  store.received([unopened("bob", "mid-1")]);
  assert.deepEqual(saidOf(store, "signal"), []);
  // It comes again, and takes its place.
  store.received([letter("bob", { number: 5, body: "here it is", was: "mid-1" })]);
  const shown = store.current.messages.map(({ body, unreadable }) => [body, unreadable]);
  assert.deepEqual(shown, [["here it is", undefined], [null, true]]);
});

test("a stranger learns nothing from a message that cannot be opened", () => {
  const store = sealingStore();
  store.received([unopened("eve")]);
  assert.deepEqual(saidOf(store, "signal"), []);
  assert.equal(store.state.conversations.get("eve").messages[0].unreadable, true);
});

test("a stranger is asked for what cannot be opened once accepted, or answered", () => {
  const accept = (store) => store.accept();
  const answer = (store) => writeTo(store, "bob", "hello");
  const hear = (store) => store.received([told("bob")]);
  for (const steps of [[hear, accept, accept], [accept, hear, hear], [hear, answer, accept]]) {
    const store = sealingStore();
    store.received([unopened("bob", "mid-1")]);
    store.choose("bob");
    for (const step of steps) step(store);
    const asked = saidOf(store, "signal").map(({ body }) => body?.content?.lost);
    assert.deepEqual(asked.filter(Boolean), [["mid-1"]]);
  }
});

test("a message that the peer lost goes once more, under its number", () => {
  const store = withBob();
  writeTo(store, "bob", "hello");
  const [{ body, ref }] = sends(store);
  store.received([sent(ref, "m1"), whisper("bob", { number: 7, lost: ["m1", "m9"] })]);
  const [again] = sends(store);
  assert.notEqual(again.ref, ref);
  const { number, was, body: text } = again.body.content;
  assert.deepEqual([number, was, text], [body.content.number, "m1", "hello"]);
  store.received([sent(again.ref, "m2"), whisper("bob", { number: 8, lost: ["m2"] })]);
  assert.deepEqual([sends(store), failure(store)], [[], "other_keys"]);
});

test("a message that is only in the storage goes once more, too", async () => {
  const store = withBob();
  const kept = {
    peer: "bob", place: 1_000_000_000, mine: true, body: "kept", at: 1, state: "delivered",
    ref: "old", mid: "m1", number: 5, sealedFor: cardOf("bob").sign,
  };
  store.outside.found = [kept];
  store.current.earlier = true;
  store.received([whisper("bob", { number: 7, lost: ["m1"] })]);
  await null;
  await null;
  assert.deepEqual(sends(store).map(({ body }) => body.content.body), ["kept"]);
  assert.equal(kept.state, "sending");
});

test("a peer that was away is asked for lost messages when it is back", () => {
  const store = withBob();
  store.outside.now = 2000;
  store.received([online("bob", false), unopened("bob", "mid-1")]);
  store.said();
  store.received([online("bob")]);
  const asked = saidOf(store, "signal").map(({ body }) => body.content.lost);
  assert.deepEqual(asked, [["mid-1"]]);
});

test("a message is not sealed again for another identity, nor after a day", () => {
  for (const [card, ms] of [[cardOf("bob", 2), 0], [cardOf("bob"), 86_400_001]]) {
    const store = withBob();
    writeTo(store, "bob", "hello");
    store.received([sent(sends(store)[0].ref, "m1")]);
    store.pass(ms);
    store.received([whisper("bob", { number: 9e14, lost: ["m1"] }, card)]);
    assert.deepEqual([sends(store), failure(store)], [[], "other_keys"]);
  }
});

test("what is doubtful after a server lost its memory is repeated sealed", () => {
  const store = withBob();
  writeTo(store, "bob", "answered");
  const [{ ref, body }] = sends(store);
  store.received([sent(ref, "m1")]);
  writeTo(store, "bob", "unanswered");
  store.said();
  reconnect(store, SEALING);
  assert.equal(store.state.alert, null);
  store.received([told("bob")]);
  const again = sends(store);
  assert.deepEqual(again.map(({ body }) => body.content.body), ["answered", "unanswered"]);
  assert.equal(again[0].body.content.number, body.content.number);
  assert.notEqual(again[0].ref, ref);
});

test("a repeat under one ownership says the same bytes", () => {
  const store = withBob();
  writeTo(store, "bob", "hello");
  const first = sends(store);
  store.closed(1006);
  store.opened();
  store.said();
  store.received([{ ...SEALING, resumed: true }]);
  assert.deepEqual(sends(store), first);
});

test("a message that was not sealed before the connection ended is sealed on the next", () => {
  let sealing;
  const said = [];
  const store = sealingStore({
    say(line, given) {
      said.push(line);
      sealing = given ?? sealing;
    },
  });
  writeTo(store, "bob", "hello");
  store.received([told("bob")]);
  assert.equal(sealing.content.body, "hello");
  store.closed(1006);
  store.opened();
  said.length = 0;
  store.received([{ ...SEALING, resumed: true }, told("bob")]);
  assert.equal(said.filter(({ type }) => type === "send").length, 1);
  assert.equal(states(store)[0][1], "sending");
  sealing.failed();
  assert.equal(failure(store), "unsealed");
});

test("a plain message on its way when the peer got a card is not repeated", () => {
  const store = sealingStore();
  writeTo(store, "bot", "plain");
  store.received([told("bot", null)]);
  assert.equal(sends(store).length, 1);
  store.received([letter("bot", { number: 5, body: "sealed now" })]);
  reconnect(store, { ...SEALING, resumed: true });
  assert.deepEqual(sends(store), []);
  assert.deepEqual(store.current.messages[0].reason, { code: "forgotten" });
});

test("before the storage answers a pinned peer gets no plain text", () => {
  const pinsOf = () => ({ bob: cardOf("bob").sign });
  const store = freshStore({ ownCard: () => cardOf("alice"), restores: false, pinsOf });
  store.join("alice");
  store.goOn("alice");
  store.opened();
  store.received([SEALING]);
  writeTo(store, "bob", "secret");
  store.received([told("bob", null)]);
  assert.deepEqual([sends(store), failure(store)], [[], "unsealed"]);
  store.restored("alice", joinedKept());
  assert.equal(safety(store), "gone");
});

test("without any storage plain text goes to a peer without a card", () => {
  const store = sealingStore({ kept: null });
  writeTo(store, "bot", "hello");
  store.received([told("bot", null)]);
  assert.equal(sends(store).length, 1);
});

/** Returns a storage in which bob is pinned. */
function joinedKept() {
  const { keys } = withBob().current;
  const conversation = {
    peer: "bob", last: 1, unread: 0, seen: 0, readTo: 0, draft: "", accepted: true,
    blocked: false, hidden: false, keys: structuredClone(keys), tail: [],
  };
  return { ...NOTHING_KEPT, conversations: [conversation] };
}

test("a pin is kept, and holds against another card after a reload", () => {
  const store = sealingStore({ kept: joinedKept() });
  store.open("bob");
  store.received([told("bob", cardOf("bob", 2))]);
  assert.equal(safety(store), "changed");
});

test("before there is a connection a pinned peer counts as encrypted", () => {
  const store = freshStore({ ownCard: () => undefined, kept: joinedKept() });
  store.resume("alice");
  store.choose("bob");
  assert.equal(safety(store), "sealed");
  store.opened();
  store.received([SEALING]);
  assert.equal(safety(store), "gone", "we have no card");
});

test("an outdated card is asked for again, and not used", () => {
  const store = withBob();
  store.pass((9000 + 86_400) * 1000);
  writeTo(store, "bob", "late");
  assert.deepEqual(saidOf(store, "lookup").length, 1);
  store.received([told("bob")]);
  assert.deepEqual([sends(store), failure(store)], [[], "unsealed"]);
});

test("a long message counts as it is when sealed", () => {
  const store = withBob();
  store.draft("x".repeat(60_000));
  assert.ok(store.bytesLeft() < 0);
  store.write();
  assert.equal(store.state.alert.code, "long");
  store.draft("x".repeat(40_000));
  store.write();
  const [line] = sends(store);
  assert.equal(line.body.content.body.length, 40_000);
});

// ---- The storage answers late, fails, or is asked again

/** Returns a store that went on without its storage, and has joined. */
function lateStore(options) {
  const store = freshStore({ ownCard: () => cardOf("alice"), restores: false, ...options });
  store.join("alice");
  store.goOn("alice");
  store.opened();
  store.received([SEALING]);
  return store;
}

test("a batch has the numbers that go with its messages, however late it is kept", () => {
  const store = withBob({ keeps: false });
  store.received([letter("bob", { number: 5, body: "first" })]);
  const { conversations } = store.takeUnsaved();
  store.received([letter("bob", { number: 6, body: "second" })]);
  const [bob] = conversations;
  assert.equal(bob.keys.pin.got, 5);
});

test("a peer with the name of a property has no pin by it", () => {
  for (const peer of ["constructor", "__proto__", "toString"]) {
    const store = sealingStore();
    store.received([message(peer, "hello")]);
    assert.equal(store.state.conversations.get(peer).keys.pin, undefined, peer);
  }
});

test("another identity takes no number of the pinned one when the storage is late", () => {
  const store = lateStore({ pinsOf: () => ({ bob: cardOf("bob").sign }) });
  store.received([letter("bob", { number: 9e15, body: "forged" }, { card: cardOf("bob", 2) })]);
  store.restored("alice", joinedKept());
  store.open("bob");
  assert.equal(safety(store), "changed", "and the question stays");
  store.received([letter("bob", { number: 5, body: "genuine" })]);
  assert.equal(states(store).at(-1)[0], "genuine");
});

test("what was learnt before the storage answered stays", () => {
  const store = lateStore();
  store.open("bob", cardOf("bob").sign);
  const newer = cardOf("bob", 1, 9999);
  store.received([told("bob", newer)]);
  store.restored("alice", joinedKept());
  const { keys } = store.current;
  assert.deepEqual([keys.verified, keys.card], [true, newer]);
});

test("a message that came twice around a late answer of the storage shows once", () => {
  const kept = joinedKept();
  kept.conversations[0].keys.pin.got = 5;
  const store = lateStore();
  store.received([
    letter("bob", { number: 5, body: "again" }), letter("bob", { number: 6, body: "new" }),
  ]);
  store.restored("alice", kept);
  store.open("bob");
  assert.deepEqual(states(store).map(([body]) => body), ["new"]);
});

test("an unsaid message that the storage brings late does not wait for ever", () => {
  const store = lateStore();
  store.open("bob");
  store.received([unclaimed("bob")]);
  const unsaid = {
    peer: "bob", place: 1, mine: true, body: "unsaid", at: 1, state: "sending", ref: "old",
  };
  store.restored("alice", { ...joinedKept(), open: [unsaid] });
  store.received([unclaimed("bob")]);
  assert.equal(unsaid.state, "failed");
});

// ---- Smaller decisions

test("without a connection a conversation that the reader lets go plain says so", () => {
  const store = withBob();
  reconnect(store, SEALING, told("bob", null));
  store.allowPlain();
  store.closed(1006);
  assert.equal(safety(store), "plain");
});

test("a sealed message brings back the encryption that a look-up missed", () => {
  const store = sealingStore();
  store.open("bob");
  store.received([told("bob", null), letter("bob", { number: 5, body: "hello" })]);
  assert.equal(safety(store), "sealed");
  writeTo(store, "bob", "answer");
  assert.equal(sends(store)[0].body.for, "seal of bob 1");
});

test("the card that the server has counts, also if an earlier one was to last longer", () => {
  const store = withBob();
  const shorter = { ...cardOf("bob", 1, 8000), seal: "newer" };
  reconnect(store, SEALING, told("bob", shorter));
  writeTo(store, "bob", "hello");
  assert.equal(sends(store)[0].body.for, "newer");
});

test("numbers go on above those that the peer has", () => {
  const store = withBob();
  store.received([letter("bob", { number: 5, got: 1_500_000_000, body: "hello" })]);
  writeTo(store, "bob", "after a clock that was ahead");
  assert.ok(sends(store)[0].body.content.number > 1_500_000_000);
});

test("a withdrawn message is not sealed again", () => {
  const store = withBob();
  writeTo(store, "bob", "hello");
  store.received([sent(sends(store)[0].ref, "m1"), expired("bob", "m1")]);
  store.withdraw(store.current.messages[0]);
  store.received([whisper("bob", { number: 9e14, lost: ["m1"] })]);
  assert.deepEqual([sends(store), states(store)], [[], [["hello", "withdrawn"]]]);
});

test("neither a stranger nor a blocked peer gets a message again", () => {
  const store = withBob();
  writeTo(store, "bob", "hello");
  store.received([sent(sends(store)[0].ref, "m1")]);
  store.block(true);
  store.received([whisper("bob", { number: 9e14, lost: ["m1"] })]);
  assert.deepEqual(sends(store), []);
});

test("the question is about the identity that came first", () => {
  const store = withBob();
  change(store);
  store.received([letter("bob", { number: 7, body: "z" }, { card: cardOf("bob", 3) })]);
  assert.equal(store.current.messages.at(-1).foreign, true);
  store.decide(true);
  assert.equal(store.current.keys.pin.sign, cardOf("bob", 2).sign);
});

test("a plain message that the server forged does not stop what we tell of reading", () => {
  const store = withBob();
  store.received([letter("bob", { number: 5, body: "hello" }), message("bob", "forged")]);
  store.seen(store.current.messages[1]);
  const [told] = saidOf(store, "signal");
  assert.equal(told.body.content.read, 5);
});

test("a plain message that the reader allowed is repeated", () => {
  const store = withBob();
  reconnect(store, SEALING, told("bob", null));
  store.allowPlain();
  writeTo(store, "bob", "plain");
  assert.equal(sends(store).length, 1);
  store.closed(1006);
  store.opened();
  store.said();
  store.received([{ ...SEALING, resumed: true }]);
  assert.deepEqual(sends(store).map(({ body }) => body), ["plain"]);
});
