/**
 * The page's place on its host. All pages of an origin share the browser's storage, so a sotto
 * below a path has names of its own there, and no other sotto of the host gets its keys.
 */

const path = globalThis.location ? new URL(".", location.href).pathname : "/";

/** Returns the name as it is kept: at the root of the host as it is. @param {string} name */
export function scoped(name) {
	return path === "/" ? name : `${name} ${path}`;
}

/** Returns the address of the page's own server, as private as the page. @param {string} page */
export function socketUrl(page) {
	const url = new URL("ws", page);
	url.protocol = url.protocol.replace("http", "ws");
	return url.href;
}
