/**
 * Loads a module of the page into node. The page has no package.json to call its files modules, and older nodes take a
 * `.js` without one for CommonJS; from a data: URL it is a module everywhere, and so is what it imports.
 */

import { readFileSync } from "node:fs";

/** @param {string} file in `www/` */
export function load(file) {
  return import(urlOf(file));
}

/** @type {Map<string, string>} one URL for each file, so that each is loaded once */
const urls = new Map();

function urlOf(file) {
  if (!urls.has(file)) {
    const source = readFileSync(new URL(`../../www/${file}`, import.meta.url), "utf8");
    const whole = source.replace(/ from "\.\/(.+?)";/g, (_, imported) => ` from "${urlOf(imported)}";`);
    urls.set(file, `data:text/javascript,${encodeURIComponent(whole)}`);
  }
  return urls.get(file);
}
