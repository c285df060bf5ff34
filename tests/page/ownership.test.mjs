/**
 * The ownership under which a message was said: the page repeats messages of the present one only.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { PlayedDatabase } from "./played_database.mjs";
import {
  JOINED, RESUMED, delivered, freshStore, message, offline, reconnect, saidOf, sent, states,
  writeTo,
} from "./played_store.mjs";

const { MessageHistory } = await load("history.js");
const { RETURN_GRACE_MS } = await load("outgoing.js");

/** The first `joined` of an ownership, and any later one. */
const first = (ownership) => ({ ...JOINED, ownership });
const later = (ownership) => ({ ...RESUMED, ownership });

/** Returns a store that has joined as alice, under ownership "A". */
function ownedStore(options) {
  const store = freshStore(options);
  store.join("alice");
  store.opened();
  store.received([first("A")]);
  store.said();
  return store;
}

/** Returns a message as the storage has it. One that was answered has a mid. */
function row(place, ownership, mid) {
  const mark = ownership === undefined ? {} : { ownership };
  const answer = mid ? { state: "sent", mid } : { state: "sending" };
  const body = `${place}`;
  return {
    peer: "bob", place, mine: true, body, at: 1, ref: `row ${place}`, said: true, ...answer, ...mark,
  };
}

/** Returns all that the storage has of an id with these messages. */
function keptOf(...open) {
  const last = open.at(-1);
  return { conversations: [{ peer: "bob", last: last.place, tail: [{ ...last }] }], open, mids: [] };
}

/** Returns a page that is loaded with these messages and hears this line. */
function reloaded(line, ...open) {
  const store = freshStore({ kept: keptOf(...open) });
  store.resume("alice");
  store.opened();
  store.received([line]);
  return store;
}

/** Returns the bodies of the messages that were said since the last call. */
const bodies = (store) => saidOf(store, "send").map(({ body }) => body);

test("message is doubted though the first joined was lost", () => {
  const store = ownedStore();
  for (const text of ["delivered", "sent", "unanswered"]) writeTo(store, "bob", text);
  store.received([sent("ref 1", "1"), delivered("bob", "1"), sent("ref 2", "2")]);
  store.closed(1006);
  writeTo(store, "bob", "new");
  store.said();
  store.opened();
  store.received([later("B")]);
  assert.deepEqual(states(store), [
    ["delivered", "delivered"], ["sent", "doubtful"], ["unanswered", "failed"], ["new", "sending"],
  ]);
  assert.equal(store.state.alert.code, "forgotten_all");
  assert.deepEqual(bodies(store), ["new"]);
  reconnect(store, later("B"));
  assert.deepEqual(bodies(store), ["new"], "it was said under this ownership");
});

test("same ownership doubts nothing, and repeats", () => {
  const store = ownedStore();
  for (const text of ["sent", "unanswered"]) writeTo(store, "bob", text);
  store.received([sent("ref 1", "1")]);
  reconnect(store, later("A"));
  assert.deepEqual(states(store), [["sent", "sent"], ["unanswered", "sending"]]);
  assert.deepEqual([bodies(store), store.state.alert], [["unanswered"], null]);
});

test("retried message is one of the ownership that it goes under", () => {
  const store = ownedStore();
  writeTo(store, "bob", "hello");
  reconnect(store, later("B"));
  store.retry(store.current.messages[0]);
  assert.deepEqual(bodies(store), ["hello"]);
  reconnect(store, later("B"));
  assert.deepEqual(bodies(store), ["hello"]);
});

test("ownership of a message is kept, and known after a reload", async () => {
  const store = ownedStore({ keeps: false });
  writeTo(store, "bob", "1");
  const { factory } = new PlayedDatabase();
  const history = new MessageHistory(() => factory, 9);
  await history.put(store.takeUnsaved());
  for (const [line, repeated, state] of [
    [later("A"), ["1"], "sending"],
    [later("B"), [], "failed"],
    [first("B"), [], "failed"],
  ]) {
    const page = reloaded(line, ...(await history.load("alice")).open);
    assert.deepEqual(bodies(page), repeated, JSON.stringify(line));
    assert.equal(page.state.alert?.code, repeated.length ? undefined : "forgotten_all");
    page.choose("bob");
    page.loaded("bob", [], false);
    assert.deepEqual(states(page), [["1", state]]);
  }
});

/** Rows of two ownerships, sent and unanswered. The last one waits since it was refused. */
const mixed = () => [
  row(1, "A", "1"), row(2, "B", "2"), row(3, "A"), row(4, "B"), { ...row(5, "A"), said: false },
];

/** The states of `mixed` under "B". */
const SORTED = ["doubtful", "sent", "failed", "sending", "sending"];

test("only the messages of another ownership are doubted", () => {
  const rows = mixed();
  const store = reloaded(later("B"), ...rows);
  assert.deepEqual(rows.map(({ state }) => state), SORTED);
  assert.deepEqual([bodies(store), store.state.alert.code], [["4", "5"], "forgotten_all"]);
  store.setAlert(null);
  reconnect(store, later("B"));
  assert.deepEqual([bodies(store), store.state.alert], [["4", "5"], null], "they are doubted once");
});

for (const line of [first("B"), later("B")]) {
  const which = line.resumed ? "a later" : "the first";
  test(`late storage tells ownerships apart behind ${which} joined`, () => {
    const rows = mixed();
    const store = freshStore({ restores: false });
    store.resume("alice");
    store.goOn("alice");
    store.opened();
    store.received([line]);
    store.said();
    store.restored("alice", keptOf(...rows));
    assert.deepEqual(rows.map(({ state }) => state), SORTED);
    assert.deepEqual(bodies(store).sort(), ["4", "5"]);
  });
}

test("without an ownership on either side resumed decides", () => {
  for (const [joined, marks] of [["B", [undefined, ""]], [undefined, ["A", undefined, ""]]]) {
    for (const mark of marks) {
      for (const line of [first(joined), later(joined)]) {
        const rows = [row(1, mark, "1"), row(2, mark)];
        const store = reloaded(line, ...rows);
        const expected = line.resumed ? ["sent", "sending"] : ["doubtful", "failed"];
        assert.deepEqual(rows.map(({ state }) => state), expected, `${joined} ${mark}`);
        assert.deepEqual(bodies(store), line.resumed ? ["2"] : [], `${joined} ${mark}`);
      }
    }
  }
});

test("server that no longer tells the ownership has forgotten nothing", () => {
  const store = ownedStore();
  writeTo(store, "bob", "hello");
  reconnect(store, RESUMED);
  assert.deepEqual([bodies(store), store.state.alert], [["hello"], null]);
});

test("message waits for its peer though the first joined was lost", () => {
  for (const earlier of [[], [message("bob", "hi")]]) {
    const store = ownedStore();
    store.received(earlier);
    store.open("bob");
    store.closed(1006);
    writeTo(store, "bob", "hello");
    store.opened();
    store.received([later("B"), offline("ref 1", "bob")]);
    assert.equal(states(store).at(-1)[1], "sending", "bob may be back in a moment");
    store.pass(RETURN_GRACE_MS);
    assert.equal(states(store).at(-1)[1], earlier.length ? "waiting" : "failed");
  }
});

test("ownership of one id is not that of the next", () => {
  const rows = [row(1, "C", "1"), row(2, "C"), row(3)];
  const store = ownedStore({ kept: keptOf(...rows) });
  for (const one of rows) one.state = one.mid ? "sent" : "sending";
  store.leave();
  store.join("carol");
  store.opened();
  store.received([later("C"), message("bob", "hi")]);
  assert.deepEqual(rows.map(({ state }) => state), ["sent", "sending", "sending"]);
  assert.deepEqual([bodies(store), store.state.alert], [["2", "3"], null]);
  writeTo(store, "bob", "hello");
  store.received([offline(store.current.messages.at(-1).ref, "bob")]);
  assert.equal(states(store).at(-1)[1], "failed", "the server has not restarted");
});
