/**
 * Loads a module of the page into Node.js. The page has no package.json that calls its files
 * modules, and older versions take a `.js` without one for CommonJS. So it is loaded from a copy
 * that has one.
 */

import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const copy = mkdtempSync(join(tmpdir(), "sotto-page-"));
process.on("exit", () => rmSync(copy, { recursive: true }));
cpSync(fileURLToPath(new URL("../../www", import.meta.url)), copy, { recursive: true });
writeFileSync(join(copy, "package.json"), JSON.stringify({ type: "module" }));

/** @param {string} file in `www/` */
export function load(file) {
  return import(pathToFileURL(join(copy, file)));
}
