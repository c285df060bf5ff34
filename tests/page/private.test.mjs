/**
 * A private server, which asks for its password; and why a server takes no connection.
 */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { load } from "./load.mjs";
import { JOINED, RESUMED, freshStore, writeTo } from "./played_store.mjs";

const { Diagnosis } = await load("diagnosis.js");
const { Remembered } = await load("remembered.js");

const FORBIDDEN = { type: "error", code: "forbidden", text: "no" };

/** Returns a store whose browser remembers a password. */
function storeWith(password) {
  const memory = { password };
  const store = freshStore({
    password: () => memory.password,
    dropPassword: () => { memory.password = ""; },
  });
  return Object.assign(store, { memory });
}

test("known password is said with each join, and no other line has one", () => {
  const store = storeWith("sesame");
  store.join("alice");
  store.opened();
  const join = { type: "join", id: "alice", key: "key of alice", password: "sesame" };
  assert.deepEqual(store.said(), [join]);
  store.received([JOINED]);
  writeTo(store, "bob", "hi");
  assert.equal(JSON.stringify(store.said()).includes("sesame"), false);
  store.closed(1006);
  store.opened();
  assert.deepEqual(store.said()[0], join);
});

test("server that asks for a password leads to the join screen, which keeps the id", () => {
  const store = storeWith("");
  store.join("alice");
  store.opened();
  assert.equal("password" in store.said()[0], false);
  store.received([FORBIDDEN]);
  const { connection, id, alert, isPrivate } = store.state;
  assert.deepEqual([connection, id, alert.code, isPrivate], ["none", "alice", "forbidden", true]);
  store.memory.password = "sesame";
  store.join("alice");
  store.opened();
  assert.equal(store.said()[0].password, "sesame");
  store.received([JOINED]);
  assert.equal(store.state.connection, "joined");
  assert.equal(store.state.alert, null);
});

test("refused password is dropped, and not said again", () => {
  const store = storeWith("wrong");
  store.join("alice");
  store.opened();
  store.received([FORBIDDEN]);
  assert.equal(store.state.alert.code, "wrong_password");
  assert.equal(store.memory.password, "");
  assert.equal(store.wanted, false);
});

test("id stays ours while its server has another password", () => {
  const store = storeWith("old");
  store.join("alice");
  store.opened();
  store.received([JOINED]);
  store.closed(1006);
  store.opened();
  store.received([FORBIDDEN]);
  const { connection, id, ours } = store.state;
  assert.deepEqual([connection, id, ours], ["none", "alice", true]);
  store.memory.password = "new";
  store.join("alice");
  store.opened();
  store.received([RESUMED]);
  assert.equal(store.state.connection, "joined");
});

// ---- a login elsewhere

test("token of a login is said with each join", () => {
  const store = freshStore({ token: () => "a.b.c" });
  store.join("alice");
  store.opened();
  assert.deepEqual(store.said(), [
    { type: "join", id: "alice", key: "key of alice", token: "a.b.c" },
  ]);
});

// ---- in the browser's memory

const VALUES = new Map();

afterEach(() => {
  VALUES.clear();
  for (const name of ["localStorage", "sessionStorage"]) delete globalThis[name];
});

function playStorage() {
  const storage = {
    getItem: (key) => VALUES.get(key) ?? null,
    setItem: (key, value) => VALUES.set(key, value),
    removeItem: (key) => VALUES.delete(key),
  };
  for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(globalThis, name, { configurable: true, value: storage });
  }
}

test("password is remembered once it was good for a join, until it is dropped", () => {
  playStorage();
  const remembered = new Remembered();
  remembered.password = "sesame";
  assert.equal(remembered.password, "sesame");
  assert.equal(new Remembered().password, "");
  const state = { id: "alice", openPeer: "", settings: {} };
  remembered.update({ ...state, connection: "joining" });
  assert.equal(new Remembered().password, "");
  remembered.update({ ...state, connection: "joined" });
  assert.equal(new Remembered().password, "sesame");
  remembered.dropPassword();
  assert.equal(remembered.password, "");
  assert.equal(new Remembered().password, "");
});

// ---- why there is no connection

/** Returns a diagnosis of a server that answers with these statuses, and the requests it got. */
function diagnosisOf({ ready, ws, whoami, text = "ok\n" }) {
  const asked = [];
  const diagnosis = new Diagnosis(async (path, method) => {
    asked.push(`${method} ${path}`);
    const status = { readyz: ready, ws, whoami }[path];
    return status ? new Response(status === 204 ? null : text, { status }) : null;
  });
  return { diagnosis, asked };
}

for (const [name, answers, first, second] of [
  ["server that is away is not explained", {}, "", ""],
  ["server that is full says so", { ready: 503 }, "full", "full"],
  ["host that is not known is told at once", { ready: 421 }, "address", "address"],
  ["server away behind its proxy is told", { ready: 502 }, "down", "down"],
  ["refused origin is told at once", { ready: 200, ws: 403 }, "address", "address"],
  ["proxy is suspected at the second failure", { ready: 200, ws: 204 }, "", "proxy"],
  ["answer of another server explains nothing", { ready: 404 }, "", ""],
]) {
  test(name, async () => {
    const { diagnosis, asked } = diagnosisOf(answers);
    assert.equal(await diagnosis.explain(), first);
    assert.equal(await diagnosis.explain(), second);
    diagnosis.connected();
    assert.equal(await diagnosis.explain(), first);
    const expected = answers.ready === 200 ? ["GET readyz", "OPTIONS ws"] : ["GET readyz"];
    assert.deepEqual([...new Set(asked)], expected);
  });
}

test("private server is known by the text of its answer", async () => {
  for (const [answers, expected] of [
    [{ ready: 200, text: "ok, private\n" }, "ok, private"],
    [{ ready: 200 }, "ok"],
    [{ ready: 503, text: "ok, private\n" }, ""],
    [{}, ""],
  ]) {
    assert.equal(await diagnosisOf(answers).diagnosis.text("readyz"), expected);
  }
});

test("id that a proxy has named is known by its answer", async () => {
  for (const [answers, expected] of [
    [{ whoami: 200, text: "alice\n" }, "alice"],
    [{ whoami: 204 }, ""],
    [{ whoami: 404, text: "alice\n" }, ""],
    [{}, ""],
  ]) {
    assert.equal(await diagnosisOf(answers).diagnosis.text("whoami"), expected);
  }
});
