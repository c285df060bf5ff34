/**
 * The browser's Back button: where one pane is shown at a time, it leads from a conversation to the
 * list, too.
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
			if (!this.#isGoingBack && store.state.openPeer) store.back();
			this.#isGoingBack = false;
			this.follow();
		});
	}

	/** Makes the browser's history agree with the open conversation. */
	follow() {
		const { openPeer } = this.#store.state;
		if (this.#isGoingBack) return;
		const { state } = history;
		if (openPeer && this.#onePane.matches && !state?.conversation) {
			history.pushState({ ...state, conversation: true }, "");
		} else if (!openPeer && state?.conversation) {
			this.#isGoingBack = true;
			history.back();
		}
	}
}
