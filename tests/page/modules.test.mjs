/**
 * The files of the page against each other: modules, preloads, and the elements of index.html.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const www = new URL("../../www/", import.meta.url);
const read = (file) => readFileSync(new URL(file, www), "utf8");
// The service worker is no part of the page.
const modules = readdirSync(www).filter((file) => file.endsWith(".js") && file !== "sw.js");
const matches = (text, pattern) => [...text.matchAll(pattern)].map(([, name]) => name);

test("every module but the first is preloaded once", () => {
  const preloaded = matches(read("index.html"), /rel="modulepreload" href="([^"]+)"/g);
  const started = matches(read("index.html"), /<script type="module" src="([^"]+)"/g);
  assert.deepEqual(started, ["main.js"]);
  // The page does without the client of programs.
  const ofPage = modules.filter((name) => !["client.js", "memory.js"].includes(name));
  assert.deepEqual([...started, ...preloaded].sort(), ofPage.sort());
});

test("every import names a module of the page", () => {
  for (const module of modules) {
    const imported = matches(read(module), /^import [^;]* from "([^"]+)";$/gm);
    for (const name of imported) {
      assert.ok(modules.includes(name.replace(/^\.\//, "")), `${module}: ${name}`);
    }
  }
});

test("every element with an id has its type in types.js", () => {
  const types = readFileSync(new URL("types.js", import.meta.url), "utf8");
  const [, definition] = /@typedef \{(Record<"icon".*?)\} Elements/s.exec(types);
  const told = {};
  for (const [, ids, type] of definition.matchAll(/Record<([^,]*),[\s*]*(\w+)>/g)) {
    for (const id of matches(ids, /"(\w+)"/g)) told[id] = type;
  }
  const typesByTag = {
    link: "HTMLLinkElement", input: "HTMLInputElement", textarea: "HTMLTextAreaElement",
    form: "HTMLFormElement", dialog: "HTMLDialogElement", button: "HTMLButtonElement",
    path: "SVGPathElement",
  };
  const there = {};
  for (const [, tag, id] of read("index.html").matchAll(/<(\w+)[^>]* id="(\w+)"/g)) {
    there[id] = typesByTag[tag] ?? "HTMLElement";
  }
  assert.deepEqual(told, there);
});
