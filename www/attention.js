/**
 * What reaches a reader who looks elsewhere: the title, the icon, a notification, a sound.
 *
 * Not known here: how the page looks.
 */

import { lineOf } from "./text.js";

/** @typedef {import("./store.js").Message} Message */

/** A short, soft tone: Hz, seconds, and how loud of 1. */
const TONE_HZ = 660;
const TONE_SECONDS = 0.18;
const TONE_GAIN = 0.08;

/**
 * @param {object} given
 * @param {ReturnType<typeof import("./store.js").createStore>} given.store @param {import("./words.js").Words} given.words
 * @param {HTMLLinkElement} given.icon
 */
export function createAttention({ store, words, icon }) {
  const { state } = store;
  /** @type {AudioContext | undefined} */
  let audio;
  let shownUnread = -1;

  function render() {
    const unread = [...state.conversations.values()].reduce((sum, conversation) => sum + conversation.unread, 0);
    if (unread === shownUnread) return;
    shownUnread = unread;
    document.title = unread ? `(${unread}) sotto` : "sotto";
    icon.href = unread ? "/icon-unread.svg" : "/icon.svg";
  }

  /** @param {Message[]} arrived */
  function arrive(arrived) {
    const unseen = arrived.filter(({ peer }) => !(state.visible && peer === state.openPeer));
    if (!unseen.length) return;
    if (state.settings.sound) play();
    if (state.settings.notify && !state.visible) unseen.slice(-3).forEach(notify);
  }

  /** @param {Message} message */
  function notify({ peer, body }) {
    const { accepted } = state.conversations.get(peer);
    const text = state.settings.notifyText && accepted ? lineOf(body, words.unsupported) : "";
    try {
      // One for each peer: a later one takes the place of an earlier one.
      const notification = new Notification(words.notified(peer), { body: text, tag: `sotto ${peer}`, icon: "/icon-192.png" });
      notification.onclick = () => {
        window.focus();
        store.choose(peer);
        notification.close();
      };
    } catch {
      // Some phones have the permission, but not the constructor.
    }
  }

  function play() {
    audio ??= new AudioContext();
    // Until the reader has touched the page, browsers stay silent.
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

  /** @param {boolean} on */
  async function turnNotify(on) {
    const allowed = on && (await Notification.requestPermission()) === "granted";
    store.changeSetting("notify", allowed);
    if (on && !allowed) store.alert({ code: "not_allowed" });
  }

  /** @param {boolean} on */
  function turnSound(on) {
    store.changeSetting("sound", on);
    if (on) play();
  }

  return {
    render, arrive,
    /** Not there where the browser does not have it: no notifications without a secure context. */
    turnNotify: "Notification" in globalThis && isSecureContext ? turnNotify : undefined,
    turnSound: "AudioContext" in globalThis ? turnSound : undefined,
  };
}
