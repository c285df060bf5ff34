/**
 * The browser's Back button: where one pane is shown at a time, it closes a dialog, and leads from
 * a conversation to the list.
 *
 * **Invariants**
 * - The browser's history has one entry more exactly while there is something to close.
 *
 * It does not know how the panes look.
 */

export class BackButton {
	#store;
	#onePane = matchMedia("(max-width: 639.98px)");
	/** The page has asked the browser to go back, which is still to come. */
	#isGoingBack = false;

	/** @param {Store} store */
	constructor(store) {
		this.#store = store;
		addEventListener("popstate", () => {
			if (!this.#isGoingBack) this.#goBack();
			this.#isGoingBack = false;
			this.follow();
		});
		// A phone that is turned has another number of panes.
		this.#onePane.addEventListener("change", () => this.follow());
		const dialogs = new MutationObserver(() => this.follow());
		dialogs.observe(document.body, { subtree: true, attributeFilter: ["open"] });
	}

	#goBack() {
		const dialog = openDialog();
		if (dialog) dialog.close();
		else if (this.#store.state.openPeer) this.#store.back();
	}

	/** Makes the browser's history agree with the page. */
	follow() {
		if (this.#isGoingBack) return;
		const isDeep = this.#onePane.matches && (this.#store.state.openPeer || openDialog());
		const { state } = history;
		if (isDeep && !state?.isDeep) {
			history.pushState({ ...state, isDeep: true }, "");
		} else if (!isDeep && state?.isDeep) {
			this.#isGoingBack = true;
			history.back();
		}
	}
}

/** @returns {HTMLDialogElement | null} */
function openDialog() {
	return document.querySelector("dialog[open]");
}
