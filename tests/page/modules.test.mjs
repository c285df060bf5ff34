/**
 * The modules of the page: each is asked for at once, and none asks for a file that is not there.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const www = new URL("../../www/", import.meta.url);
const read = (file) => readFileSync(new URL(file, www), "utf8");
const modules = readdirSync(www).filter((file) => file.endsWith(".js"));
const matches = (text, pattern) => [...text.matchAll(pattern)].map(([, name]) => name);

test("every module but the first is preloaded once", () => {
  const preloaded = matches(read("index.html"), /rel="modulepreload" href="\/([^"]+)"/g);
  const started = matches(read("index.html"), /<script type="module" src="\/([^"]+)"/g);
  assert.deepEqual(started, ["main.js"]);
  assert.deepEqual([...started, ...preloaded].sort(), modules.sort());
});

test("every import names a module of the page", () => {
  for (const module of modules) {
    const imported = matches(read(module), /^import [^;]* from "([^"]+)";$/gm);
    for (const name of imported) {
      assert.ok(modules.includes(name.replace(/^\.\//, "")), `${module}: ${name}`);
    }
  }
});
