/**
 * The service worker. The test plays the browser around it: the server, the caches, the clock.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

const script = readFileSync(new URL("../../www/sw.js", import.meta.url), "utf8");
const BASE = "https://a.example/chat/";
const HTML = '<link href="style.css"><script src="main.js"></script><a href="./">';

/** Caches by name, each with texts by address. */
class PlayedCaches {
  all = new Map();

  async open(name) {
    if (!this.all.has(name)) this.all.set(name, new Map());
    const files = this.all.get(name);
    const put = async (file, answer) => files.set(address(file), await answer.text());
    return { put };
  }

  async match(request) {
    const [wanted] = address(request).split("?");
    for (const files of this.all.values()) {
      if (files.has(wanted)) return new Response(files.get(wanted));
    }
    return undefined;
  }

  keys = async () => [...this.all.keys()];
  delete = async (name) => this.all.delete(name);
}

const address = (request) => new URL(request.url ?? request, BASE).href;

/** Returns a worker with a server that has these files. */
function started(files) {
  const hears = {};
  const timers = [];
  const outside = {
    addEventListener: (name, hear) => { hears[name] = hear; },
    location: { href: `${BASE}sw.js` },
    caches: new PlayedCaches(),
    skipWaiting() {},
    setTimeout: (call) => timers.push(call),
    async fetch(request) {
      const [file] = address(request).slice(BASE.length).split("?");
      const text = files[file];
      if (typeof text === "function") return text();
      return text === undefined ? new Response("", { status: 404 }) : new Response(text);
    },
    URL, Response, Error,
  };
  runInNewContext(script, outside);
  const told = (name, data) => {
    let work;
    hears[name]({ data, waitUntil: (promise) => { work = promise; } });
    return work.catch((error) => error);
  };
  /** Returns the answer's text, or nothing if the browser asks the server itself. */
  const ask = async (file, { client = "", page = "" } = {}) => {
    let answer;
    const mode = page ? "navigate" : "cors";
    const request = { method: "GET", mode, url: address(file) };
    hears.fetch({
      request, clientId: client, resultingClientId: page,
      respondWith: (promise) => { answer = promise; },
    });
    return (await answer)?.text();
  };
  const kept = () => [...outside.caches.all].map(([name, all]) => [name, all.size]);
  const late = () => timers.splice(0).forEach((call) => call());
  return { told, ask, kept, files, caches: outside.caches, late };
}

const page = (version) => ({
  "": HTML, version, "main.js": `main ${version}`, "style.css": "", "icon-unread.svg": "",
});
const fails = () => Promise.reject(new TypeError("no network"));

/** Lets all that can happen without the clock happen. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test("page is the server's while that answers", async () => {
  const worker = started(page("1"));
  await worker.told("install");
  assert.deepEqual(worker.kept(), [["sotto /chat/ 1", 5]]);
  worker.files[""] = "newer";
  assert.equal(await worker.ask("", { page: "a" }), "newer");
  assert.equal(await worker.ask("main.js", { client: "a" }), undefined);
  worker.files[""] = () => new Response("log in", { status: 403 });
  assert.equal(await worker.ask("", { page: "b" }), "log in");
});

test("kept page gets files of its own version only", async () => {
  for (const failure of [fails, () => new Response("bad gateway", { status: 502 })]) {
    const worker = started(page("1"));
    await worker.told("install");
    Object.assign(worker.files, page("2"), { "": failure });
    assert.equal(await worker.ask("?a=b", { page: "a" }), HTML);
    assert.equal(await worker.ask("main.js", { client: "a" }), "main 1");
    assert.equal(await worker.ask("version?own", { client: "a" }), "1");
    assert.equal(await worker.ask("version", { client: "a" }), "2");
  }
});

test("silent server is waited for once, and not without a kept page", async () => {
  const worker = started(page("1"));
  worker.files[""] = () => new Promise(() => {});
  let answer;
  worker.ask("", { page: "a" }).then((text) => { answer = text; });
  await settle();
  worker.late();
  await settle();
  assert.equal(answer, undefined);
  worker.files[""] = HTML;
  await worker.told("install");
  worker.files[""] = () => new Promise(() => {});
  worker.ask("", { page: "b" }).then((text) => { answer = text; });
  await settle();
  assert.equal(answer, undefined);
  worker.late();
  await settle();
  assert.equal(answer, HTML);
});

test("worker that was stopped asks the server, then the cache", async () => {
  const worker = started(page("1"));
  await worker.told("install");
  assert.equal(await worker.ask("main.js", { client: "unknown" }), "main 1");
  worker.files["main.js"] = fails;
  assert.equal(await worker.ask("main.js", { client: "unknown" }), "main 1");
});

test("version is kept as a whole or not at all", async () => {
  const worker = started(page("1"));
  await worker.told("install");
  Object.assign(worker.files, page("2"), { "main.js": fails });
  await worker.told("message", "2");
  assert.deepEqual(worker.kept(), [["sotto /chat/ 1", 5]]);
  // The server is replaced while the files come.
  Object.assign(worker.files, page("3"));
  await worker.told("message", "2");
  assert.deepEqual(worker.kept(), [["sotto /chat/ 1", 5]]);
  await worker.told("message", "3");
  assert.deepEqual(worker.kept(), [["sotto /chat/ 3", 5]]);
});

test("caches and files of other pages of the host are left alone", async () => {
  const worker = started(page("2"));
  for (const name of ["sotto / 1", "sotto /chat/ 1", "another app"]) await worker.caches.open(name);
  await worker.told("install");
  const names = worker.kept().map(([name]) => name).sort();
  assert.deepEqual(names, ["another app", "sotto / 1", "sotto /chat/ 2"]);
  for (const other of ["../app.js", "below/app.js", "../"]) {
    assert.equal(await worker.ask(other, { page: "a" }), undefined, other);
  }
});
