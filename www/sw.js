/**
 * The service worker: keeps the page's files, so that the page opens without a network, and shows
 * its notifications.
 *
 * **Invariants**
 * - A page comes from the server if that answers within `WAIT_MS`, and otherwise as it was kept.
 * - A page that was kept gets the files of its own version only.
 * - All addresses are relative, because the page may lie below a path.
 *
 * It does not know messages, or the parts of the page: index.html names them.
 */

/** As long as a reader may look at nothing. A network that swallows bytes takes a minute. */
const WAIT_MS = 3000;

const worker = /** @type {WorkerScope} */ (/** @type {unknown} */ (globalThis));
const FOLDER = new URL(".", location.href);
const VERSION_URL = new URL("version", location.href).href;
/** The beginning of the names of our caches. All pages of the origin see them. */
const CACHE = `sotto ${FOLDER.pathname}`;

/** Tells of each page by its id whether it was kept. @type {Map<string, boolean>} */
const pages = new Map();

worker.addEventListener("install", (event) => {
	worker.skipWaiting();
	event.waitUntil(keep());
});
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("message", (event) => event.waitUntil(keep(event.data)));
worker.addEventListener("notificationclick", (event) => {
	event.notification.close();
	event.waitUntil(show(event.notification.data));
});
worker.addEventListener("fetch", (event) => {
	const { request, clientId, resultingClientId } = event;
	const isKept = pages.get(clientId);
	// Below the folder there may be other pages, which are none of ours.
	const isOurs = new URL(".", request.url).href === FOLDER.href;
	if (request.method !== "GET" || !isOurs) return;
	if (request.mode === "navigate") event.respondWith(page(request, resultingClientId));
	// This worker is stopped and started as the browser likes, and forgets its pages.
	else if (request.url === VERSION_URL || isKept === undefined) event.respondWith(file(request));
	else if (isKept) event.respondWith(kept(request).then((found) => found ?? fetch(request)));
});

/** @param {Request} request */
function kept(request) {
	return caches.match(request, { ignoreSearch: true });
}

/** @param {Request} request @param {string} id of the page to come */
async function page(request, id) {
	const found = await kept(request);
	const answer = fetch(request);
	const inTime = [answer.catch(() => undefined)];
	if (found) inTime.push(new Promise((resolve) => setTimeout(resolve, WAIT_MS)));
	const response = await Promise.race(inTime);
	// A proxy answers for a server that is down: 502.
	const isKept = Boolean(found) && !(response && response.status < 500);
	pages.set(id, isKept);
	return isKept && found || answer;
}

/** @param {Request} request */
function file(request) {
	return fetch(request).catch(async () => await kept(request) ?? Response.error());
}

/**
 * Keeps the page as the server has it now, all files of it or none.
 * @param {string} [version] that the server has
 */
async function keep(version) {
	version ??= await (await fresh("version")).text();
	if (await (await caches.match(VERSION_URL))?.text() === version) return;
	const html = await (await fresh("./")).text();
	const named = [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, name]) => name);
	// The version is the last file, so it is there if all are.
	const names = [...new Set(["./", ...named, "icon-unread.svg", "version"])];
	const responses = await Promise.all(names.map(fresh));
	if (await responses.at(-1)?.clone().text() !== version) return;
	const name = `${CACHE} ${version}`;
	const cache = await caches.open(name);
	for (const [index, response] of responses.entries()) await cache.put(names[index], response);
	const isOld = (/** @type {string} */ other) => other !== name && other.startsWith(`${CACHE} `);
	const others = (await caches.keys()).filter(isOld);
	await Promise.all(others.map((other) => caches.delete(other)));
}

/** @param {string} name */
async function fresh(name) {
	const response = await fetch(name, { cache: "no-cache" });
	if (!response.ok) throw new Error(`${name}: ${response.status}`);
	return response;
}

/**
 * Leads to the conversation of a notification.
 * @param {{ id: string, peer: string }} conversation
 */
async function show(conversation) {
	const all = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
	const open = all.filter(({ url }) => new URL(".", url).href === FOLDER.href);
	for (const one of open) one.postMessage(conversation);
	await (open.length ? open[0].focus() : worker.clients.openWindow("./"));
}
