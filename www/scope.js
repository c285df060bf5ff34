/**
 * Names in the browser's storage. All pages of an origin share it, so a sotto below a path has
 * names of its own, and no other sotto of the host gets its keys.
 */

const path = globalThis.location ? new URL(".", location.href).pathname : "/";

/** Returns the name as it is kept: at the root of the host as it is. @param {string} name */
export function scoped(name) {
	return path === "/" ? name : `${name} ${path}`;
}
