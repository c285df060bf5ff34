/**
 * The version of this page against that of the server, and the service worker that keeps the page.
 *
 * It does not know the connection.
 */

export class Version {
	#store;
	#container;
	#own;
	#wasJoined = false;

	/** @param {Store} store @param {ServiceWorkerContainer | undefined} container */
	constructor(store, container) {
		this.#store = store;
		this.#container = container;
		container?.addEventListener("message", ({ data }) => {
			const { id, connection } = store.state;
			if (data.id === id && store.wanted && connection !== "replaced") store.choose(data.peer);
		});
		// The service worker knows whether this page is one that it has kept.
		this.#own = ask("version?own");
		addEventListener("load", () => this.#register());
	}

	async #register() {
		const { trustedTypes } = /** @type {{ trustedTypes?: TrustedTypes }} */ (globalThis);
		const policy = trustedTypes?.createPolicy("sw", { createScriptURL: () => "sw.js" });
		// Where it is refused the page works, but not without a network.
		await this.#container?.register(policy?.createScriptURL("sw.js") ?? "sw.js").catch(() => {});
	}

	/** A server with a newer page is a new one, so each connection is a reason to look. */
	follow() {
		const isJoined = this.#store.state.connection === "joined";
		if (isJoined && !this.#wasJoined) this.#look();
		this.#wasJoined = isJoined;
	}

	async #look() {
		const [own, version] = [await this.#own, await ask("version")];
		if (!version) return;
		if (own && own !== version) this.#store.setOutdated();
		(await this.#container?.ready)?.active?.postMessage(version);
	}
}

/** @param {string} name */
async function ask(name) {
	const answer = await fetch(name).catch(() => null);
	return answer?.ok ? answer.text() : "";
}
