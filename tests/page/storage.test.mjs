/**
 * The storage and the save pump, over a pretend database that fails, dies, is full, answers late or
 * never, with a pretend clock.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { PlayedClock, settled } from "./played_clock.mjs";
import { PlayedDatabase } from "./played_database.mjs";
import {
  JOINED, RESUMED, freshStore, writeTo, message, sent, delivered, online, signal, states, saidOf,
} from "./played_store.mjs";

const { MessageHistory } = await load("history.js");
const { CONVERSATIONS_MAX } = await load("conversations.js");
const { Unsaved, WAITING_MAX } = await load("unsaved.js");
const { SavePump, GIVE_UP_MS, LOAD_MS_MAX } = await load("saving.js");

const MIDS_MAX = 3;

/** Returns a page without a view: store, pump and storage. The test is the server. */
function openPage(database = new PlayedDatabase()) {
  const clock = new PlayedClock();
  const store = freshStore({
    keeps: false,
    restores: false,
    prepare: (id) => void pump.load(id),
    changed: () => void pump.save(),
    async load(peer, before, count) {
      const page = await pump.page("alice", peer, before, count);
      store.loaded(peer, page?.messages ?? [], page?.earlier ?? false);
    },
  });
  const pump = new SavePump(store, new MessageHistory(() => database.factory, MIDS_MAX), clock);
  return { store, clock, database, pump };
}

/** Returns a page that has joined as alice. */
async function joinedPage(database, answer = JOINED) {
  const page = openPage(database);
  page.store.resume("alice");
  await settled();
  page.store.opened();
  page.store.received([answer]);
  await settled();
  page.store.said();
  return page;
}

const acked = (store) => saidOf(store, "ack").flatMap(({ mids }) => mids);
const bodies = (database) => database.rows("messages").map(({ body }) => body);
const alert = ({ state }) => state.alert?.code;

test("message is acknowledged when it is on the disk", async () => {
  const { store, database } = await joinedPage();
  database.told.length = 0;
  store.received([message("bob", "1", "m1")]);
  assert.deepEqual(acked(store), []);
  await settled();
  assert.deepEqual(acked(store), ["m1"]);
  assert.deepEqual(bodies(database), ["1"]);
  assert.deepEqual(database.told, ["readwrite strict"]);
});

test("drafts need not be on the disk", async () => {
  const { store, database } = await joinedPage();
  store.open("bob");
  await settled();
  database.told.length = 0;
  store.draft("half a thou");
  await settled();
  assert.deepEqual(database.told, ["readwrite relaxed"]);
});

test("burst is kept by one transaction, behind its first message", async () => {
  const { store, database } = await joinedPage();
  database.told.length = 0;
  const mids = Array.from({ length: 100 }, (_, index) => `m${index}`);
  for (const mid of mids) store.received([message("bob", mid, mid)]);
  await settled();
  assert.deepEqual(database.told, ["readwrite strict", "readwrite strict"]);
  assert.deepEqual(acked(store), mids);
});

for (const name of ["QuotaExceededError", "UnknownError", "AbortError"]) {
  test(`${name} of one batch costs nothing but time`, async () => {
    const { store, database, clock } = await joinedPage();
    database.failures.push(name, name);
    store.received([message("bob", "1", "m1")]);
    await settled();
    store.received([message("bob", "2", "m2")]);
    await settled();
    assert.deepEqual([acked(store), bodies(database), alert(store)], [[], [], undefined]);
    await clock.pass(GIVE_UP_MS - 1);
    assert.deepEqual(acked(store), ["m1", "m2"]);
    assert.deepEqual(bodies(database), ["1", "2"]);
    assert.deepEqual([store.state.kept, alert(store)], [true, undefined]);
  });
}

for (const silently of [false, true]) {
  test(`database that was closed ${silently ? "silently" : "aloud"} is opened again`, async () => {
    const { store, database, clock } = await joinedPage();
    database.die({ silently });
    store.received([message("bob", "1", "m1")]);
    if (silently) await clock.pass(1000);
    else await settled();
    assert.deepEqual([acked(store), bodies(database)], [["m1"], ["1"]]);
    assert.equal(database.connections.size, 1);
  });
}

test("database that dies under a batch loses none of it", async () => {
  const { store, database, clock } = await joinedPage();
  store.received([message("bob", "1", "m1")]);
  database.die();
  await settled();
  assert.deepEqual([acked(store), bodies(database)], [[], []]);
  await clock.pass(1000);
  assert.deepEqual([acked(store), bodies(database)], [["m1"], ["1"]]);
});

test("storage that stays full is reported, and taken up again", async () => {
  const { store, database, clock } = await joinedPage();
  database.failures.push(...Array(30).fill("QuotaExceededError"));
  store.received([message("bob", "1", "m1")]);
  await clock.pass(GIVE_UP_MS - 1);
  assert.deepEqual([acked(store), alert(store)], [[], undefined]);
  await clock.pass(1);
  assert.deepEqual([acked(store), alert(store), store.state.kept], [["m1"], "unkept", false]);
  store.choose("bob");
  store.state.conversations.get("bob").earlier = true;
  store.loadEarlier();
  await settled();
  assert.equal(store.state.kept, false, "to read is not to write");
  store.received([message("bob", "2", "m2")]);
  assert.deepEqual(acked(store), ["m2"], "nothing waits for it any more");
  await settled();
  database.failures.length = 0;
  await clock.pass(GIVE_UP_MS);
  assert.deepEqual(bodies(database), ["1", "2"]);
  assert.deepEqual([store.state.kept, alert(store), acked(store)], [true, undefined, []]);
});

test("forgotten id is not kept by a save that is tried again", async () => {
  const { store, database, clock, pump } = await joinedPage();
  database.failures.push(...Array(3).fill("QuotaExceededError"));
  store.received([message("bob", "1", "m1")]);
  await settled();
  database.failures.length = 0;
  await Promise.all([pump.forget("alice"), clock.pass(1000)]);
  assert.deepEqual(bodies(database), []);
});

test("browser that keeps nothing is reported at once", async () => {
  for (const factory of [undefined, "SecurityError"]) {
    const database = new PlayedDatabase();
    if (factory) database.openings = Array(50).fill(factory);
    else Object.defineProperty(database, "factory", { value: undefined });
    const { store } = await joinedPage(database);
    assert.deepEqual([store.state.connection, alert(store)], ["joined", "unkept"]);
    store.received([message("bob", "1", "m1")]);
    await settled();
    assert.deepEqual(acked(store), ["m1"]);
    store.setAlert(null);
    store.received([message("bob", "2", "m2")]);
    await settled();
    assert.deepEqual([acked(store), alert(store)], [["m2"], undefined]);
  }
});

/** Returns a database in which an earlier visit has left a conversation with bob. */
async function earlierVisit() {
  const { store, database } = await joinedPage();
  store.received([message("bob", "from bob", "m1")]);
  writeTo(store, "bob", "to bob");
  const [{ ref }] = saidOf(store, "send");
  store.received([sent(ref, "m2")]);
  store.draft("half a thou");
  await settled();
  return database;
}

/** Returns a page whose database does not answer until the test lets it. */
async function pageWithLateStorage(database, answer) {
  let arrive;
  database.openings = [new Promise((resolve) => { arrive = resolve; })];
  const page = openPage(database);
  page.store.outside.now += 60_000;
  page.store.resume("alice");
  await page.clock.pass(LOAD_MS_MAX - 1);
  assert.equal(page.store.wanted, false);
  await page.clock.pass(1);
  assert.equal(page.store.wanted, true);
  page.store.opened();
  page.store.received([answer]);
  await settled();
  page.store.said();
  return { ...page, arrive };
}

test("storage that answers late is taken up when it comes", async () => {
  const { store, database, arrive } = await pageWithLateStorage(await earlierVisit(), RESUMED);
  assert.deepEqual([alert(store), store.state.conversations.size], [undefined, 0]);
  // The server did not get the first acknowledgement of m1.
  store.received([message("bob", "from bob", "m1"), message("bob", "new", "m3")]);
  store.open("carol");
  await settled();
  assert.deepEqual(acked(store), [], "not before they are kept");
  arrive();
  await settled();
  assert.deepEqual([...store.state.conversations.keys()], ["bob", "carol"]);
  assert.deepEqual(store.said().filter(({ type }) => type === "ack" || type === "watch"), [
    { type: "watch", ids: ["bob", "carol"] },
    { type: "ack", to: "bob", mids: ["m1", "m3"] },
  ]);
  const bob = store.state.conversations.get("bob");
  assert.deepEqual([bob.draft, bob.accepted, bob.unread], ["half a thou", true, 2]);
  store.choose("bob");
  await settled();
  assert.deepEqual(states(store), [["from bob", "received"], ["to bob", "sent"], ["new", "received"]]);
  store.received([delivered("bob", "m2")]);
  await settled();
  assert.deepEqual(states(store)[1], ["to bob", "delivered"]);
  assert.deepEqual(bodies(database), ["from bob", "to bob", "new"]);
});

test("late storage joins both parts of a conversation", async () => {
  const before = await joinedPage();
  before.store.received([message("bob", "1", "m1"), message("bob", "2", "m2")]);
  writeTo(before.store, "bob", "mine");
  const { ref } = before.store.current.messages[2];
  before.store.received([
    sent(ref, "m3"), delivered("bob", "m3"), signal("bob", { read: "m3" }),
  ]);
  before.store.seen(before.store.current.messages[0]);
  before.store.block(true);
  await settled();
  const { seen, readTo } = before.store.current;
  const { store, arrive } = await pageWithLateStorage(before.database, RESUMED);
  store.open("bob");
  arrive();
  await settled();
  const bob = store.state.conversations.get("bob");
  assert.deepEqual([bob.seen, bob.readTo, bob.blocked, bob.unread], [seen, readTo, true, 1]);
  assert.deepEqual(saidOf(store, "block"), [{ type: "block", ids: ["bob"] }]);
  assert.deepEqual(states(store).map(([body]) => body), ["1", "2", "mine"]);
});

test("late storage with as many conversations as there may be", async () => {
  const before = await joinedPage();
  for (let peer = 0; peer < CONVERSATIONS_MAX; peer += 1) before.store.open(`peer${peer}`);
  await settled();
  const { store, arrive } = await pageWithLateStorage(before.database, RESUMED);
  store.open("bob");
  arrive();
  await settled();
  assert.equal(store.state.conversations.size, CONVERSATIONS_MAX);
  assert.ok(store.state.conversations.has("bob"));
});

test("late storage with messages that were never said", async () => {
  const before = await joinedPage();
  before.store.closed(1006);
  writeTo(before.store, "bob", "old");
  await settled();
  const { store, arrive } = await pageWithLateStorage(before.database, RESUMED);
  store.closed(1006);
  writeTo(store, "bob", "new");
  arrive();
  await settled();
  store.opened();
  store.received([RESUMED]);
  assert.deepEqual(saidOf(store, "send").map(({ body }) => body), ["old", "new"]);
});

test("late storage with messages that the server forgot", async () => {
  const { store, arrive } = await pageWithLateStorage(await earlierVisit(), JOINED);
  writeTo(store, "bob", "new");
  const sends = saidOf(store, "send");
  assert.deepEqual(sends.map(({ body }) => body), ["new"]);
  store.received([sent(sends[0].ref, "m9"), online("bob")]);
  arrive();
  await settled();
  store.loadEarlier();
  await settled();
  assert.deepEqual(
    states(store),
    [["from bob", "received"], ["to bob", "doubtful"], ["new", "sent"]],
  );
});

test("storage that never answers is reported, and loses no message", async () => {
  const { store, clock } = await pageWithLateStorage(new PlayedDatabase(), JOINED);
  store.received([message("bob", "1", "m1")]);
  await clock.pass(GIVE_UP_MS - LOAD_MS_MAX - 1);
  assert.deepEqual([acked(store), alert(store)], [[], undefined]);
  await clock.pass(1);
  assert.deepEqual([acked(store), alert(store)], [["m1"], "unkept"]);
  store.open("bob");
  assert.deepEqual(states(store), [["1", "received"]]);
});

test("answer of the storage for an id that was left is ignored", async () => {
  const database = await earlierVisit();
  const { store, arrive } = await pageWithLateStorage(database, JOINED);
  store.leave();
  store.join("carol");
  arrive();
  await settled();
  assert.deepEqual([store.state.id, store.state.conversations.size, store.wanted], ["carol", 0, true]);
});

test("earlier messages are read again from a database that died", async () => {
  const { store, database, clock } = await joinedPage(await earlierVisit(), RESUMED);
  database.die({ silently: true });
  store.choose("bob");
  await clock.pass(1000);
  assert.deepEqual(states(store).map(([body]) => body), ["from bob", "to bob"]);
});

test("id that is taken up again keeps its latest changes", async () => {
  const { store, database, clock } = await joinedPage();
  writeTo(store, "bob", "1");
  await settled();
  database.failures.push("UnknownError");
  store.closed(4001);
  writeTo(store, "bob", "2");
  store.resume("alice");
  await clock.pass(1000);
  assert.deepEqual(states(store), [["1", "sending"], ["2", "sending"]]);
  assert.deepEqual(bodies(database), ["1", "2"]);
});

test("id that is taken up again has what another tab has kept", async () => {
  const first = await joinedPage();
  writeTo(first.store, "bob", "0");
  first.store.received([message("bob", "1", "m1")]);
  await settled();
  first.store.replaced();
  const second = await joinedPage(first.database, RESUMED);
  second.store.received([message("bob", "2", "m2")]);
  await settled();
  second.store.replaced();
  first.store.resume("alice");
  await settled();
  assert.equal(first.store.current.unread, 2);
  assert.deepEqual(states(first.store).map(([body]) => body), ["0", "1", "2"]);
});

test("message written while its id is taken up again is not lost", async () => {
  const { store, database } = await joinedPage();
  writeTo(store, "bob", "1");
  await settled();
  store.closed(4001);
  store.resume("alice");
  // A turn later the storage is being read.
  await new Promise((resolve) => setImmediate(resolve));
  writeTo(store, "bob", "2");
  await settled();
  assert.deepEqual(states(store), [["1", "sending"], ["2", "sending"]]);
  assert.deepEqual(bodies(database), ["1", "2"]);
});

test("id taken up twice waits for one answer of the storage", async () => {
  const { store, arrive } = await pageWithLateStorage(await earlierVisit(), RESUMED);
  store.resume("alice");
  await settled();
  assert.equal(alert(store), undefined);
  arrive();
  await settled();
  assert.deepEqual([...store.state.conversations.keys()], ["bob"]);
  assert.equal(store.state.conversations.get("bob").unread, 1);
});

test("id taken up twice while the storage fails is not without one", async () => {
  const database = await earlierVisit();
  database.openings = ["UnknownError"];
  const { store, clock } = openPage(database);
  store.resume("alice");
  await settled();
  store.resume("alice");
  await clock.pass(1000);
  assert.deepEqual([alert(store), store.state.conversations.size], [undefined, 1]);
});

test("page that comes back keeps what failed while it went", async () => {
  const { store, database, pump, clock } = await joinedPage();
  const { current } = (store.open("bob"), store);
  await settled();
  current.draft = "half a thou";
  store.setVisible(false);
  database.failures.push("UnknownError", "UnknownError");
  store.draft("half a thought");
  store.draft("half a thought?");
  pump.saveNow();
  await clock.pass(1000);
  assert.equal(database.rows("conversations")[0].draft, "half a thought?");
});

test("half a batch is not kept", async () => {
  const { database } = await joinedPage();
  const history = new MessageHistory(() => database.factory, MIDS_MAX);
  await history.load("alice");
  const one = (place, body) => ({ ...message("bob", body), peer: "bob", place, state: "received" });
  const batch = {
    id: "alice", messages: new Set([one(1, "good"), one(2, () => "no value")]),
    conversations: new Set(), cleared: new Set(), mids: [], acks: new Map(),
  };
  await assert.rejects(history.put(batch), { name: "DataCloneError" });
  await settled();
  assert.deepEqual(bodies(database), []);
});

test("changes that wait for a storage are bounded", () => {
  const unsaved = new Unsaved();
  const bob = { peer: "bob", messages: [] };
  for (let place = 0; place <= WAITING_MAX; place += 1) {
    unsaved.addMessage({ peer: "bob", place });
    unsaved.addMid(String(place));
  }
  const { messages, mids } = unsaved.take("alice");
  assert.deepEqual([messages.size, [...messages][0].place], [WAITING_MAX, 1]);
  assert.deepEqual([mids.length, mids[0]], [WAITING_MAX, "1"]);
  unsaved.addMessage({ peer: "bob", place: 0 });
  unsaved.clear(bob);
  assert.equal(unsaved.take("alice").messages.size, 0, "nothing of a cleared conversation");
});

test("going page keeps its last change without waiting", async () => {
  const { store, database, pump } = await joinedPage();
  store.open("bob");
  await settled();
  database.told.length = 0;
  store.draft("last words");
  store.draft("last words!");
  pump.saveNow();
  assert.deepEqual(database.told, ["readwrite relaxed", "readwrite relaxed"]);
  await settled();
  assert.equal(database.rows("conversations")[0].draft, "last words!");
});

test("known mids are numbered on over visits, and bounded", async () => {
  const { store, database } = await joinedPage();
  store.received([message("bob", "1", "m1"), message("bob", "2", "m2")]);
  await settled();
  const later = await joinedPage(database, RESUMED);
  later.store.received([message("bob", "3", "m3"), message("bob", "4", "m4")]);
  await settled();
  assert.deepEqual(
    database.rows("mids").map(({ number, mid }) => [number, mid]),
    [[2, "m2"], [3, "m3"], [4, "m4"]],
  );
});
