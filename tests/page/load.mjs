/**
 * Loads a module of the page into node. The page has no package.json to call its files modules, and older nodes take a
 * `.js` without one for CommonJS; from a data: URL it is a module everywhere. So a tested file imports no other.
 */

import { readFileSync } from "node:fs";

/** @param {string} file in `www/` */
export function load(file) {
  const source = readFileSync(new URL(`../../www/${file}`, import.meta.url), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(source)}`);
}
