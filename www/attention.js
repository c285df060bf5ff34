/**
 * Calls a reader back to the page: by its title, its icon, a notification or a sound.
 *
 * It does not know the rest of the page.
 */

import { lineOf } from "./text.js";
import { unshown } from "./words.js";

/** A short, soft tone. The gain is of 1. */
const TONE_HZ = 660;
const TONE_SECONDS = 0.18;
const TONE_GAIN = 0.08;

/** The most notifications for messages that come together. */
const NOTIFIED_MAX = 3;

export class Attention {
	#store;
	#words;
	#icon;
	/** @type {AudioContext | undefined} */
	#audio;
	#shownUnread = -1;

	/** @param {Store} store @param {Words} words @param {HTMLLinkElement} icon */
	constructor(store, words, icon) {
		this.#store = store;
		this.#words = words;
		this.#icon = icon;
	}

	render() {
		const { connection, conversations } = this.#store.state;
		let unread = 0;
		for (const conversation of conversations.values()) unread += conversation.unread;
		// The tab that has the id counts them.
		if (connection === "replaced") unread = 0;
		if (unread === this.#shownUnread) return;
		this.#shownUnread = unread;
		document.title = unread ? `(${unread}) sotto` : "sotto";
		this.#icon.href = unread ? "icon-unread.svg" : "icon.svg";
	}

	/** @param {IncomingMessage[]} messages */
	arrived(messages) {
		const { visible, openPeer, settings } = this.#store.state;
		const unseen = messages.filter(({ peer }) => !(visible && peer === openPeer));
		if (!unseen.length) return;
		if (settings.sound) this.#play();
		if (!settings.notify || visible) return;
		for (const message of unseen.slice(-NOTIFIED_MAX)) this.#notify(message);
	}

	/** @param {IncomingMessage} message */
	#notify({ peer, body, unreadable }) {
		const { id, conversations, settings } = this.#store.state;
		const showsText = settings.notifyText && conversations.get(peer)?.accepted;
		const text = showsText ? lineOf(body, unshown(this.#words, unreadable)) : "";
		// With its tag a notification replaces the last one of the same peer.
		const tag = `sotto ${id} ${peer}`;
		const options = { body: text, tag, icon: "icon-192.png", data: { id, peer } };
		// The permission may have been taken back.
		this.#show(this.#words.newMessageFrom(peer), options)
			.catch(() => this.#store.setNotifying(Notification.permission));
	}

	/**
	 * Phones show notifications of a service worker only. A browser that refuses the worker, for a
	 * certificate or a cookie, can show them without.
	 * @param {string} title @param {NotificationOptions & { data: { peer: string } }} options
	 */
	async #show(title, options) {
		const { serviceWorker } = navigator;
		const worker = await serviceWorker.getRegistration().catch(() => undefined);
		if (worker) return (await serviceWorker.ready).showNotification(title, options);
		const notification = new Notification(title, options);
		notification.onclick = () => {
			window.focus();
			this.#store.choose(options.data.peer);
			notification.close();
		};
	}

	#play() {
		const audio = (this.#audio ??= new AudioContext());
		// Browsers stay silent until the reader has touched the page.
		audio.resume();
		const tone = audio.createOscillator();
		const gain = audio.createGain();
		tone.frequency.value = TONE_HZ;
		gain.gain.setValueAtTime(TONE_GAIN, audio.currentTime);
		gain.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + TONE_SECONDS);
		tone.connect(gain).connect(audio.destination);
		tone.start();
		tone.stop(audio.currentTime + TONE_SECONDS);
	}

	/** On a phone only a service worker may notify. It needs a secure context. */
	get canNotify() {
		return "Notification" in globalThis && "serviceWorker" in navigator;
	}

	get canPlay() {
		return "AudioContext" in globalThis;
	}

	/** The permission may have been taken back since the last visit. */
	checkNotify() {
		if (!this.#store.state.settings.notify || Notification.permission === "granted") return;
		this.#store.setNotifying(Notification.permission);
	}

	/** @param {boolean} on */
	async turnNotify(on) {
		// Until there is an answer nothing is shown, so the switch is off.
		this.#store.setNotifying(on ? "asked" : "");
		if (on) this.#store.setNotifying(await Notification.requestPermission());
	}

	/** @param {boolean} on */
	turnSound(on) {
		this.#store.changeSetting("sound", on);
		if (on) this.#play();
	}
}
