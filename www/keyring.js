/**
 * Our identity, and the seal keys of our id. The present seal key is on our card; earlier ones open
 * the messages that were sealed for them.
 *
 * **Invariants**
 * - The seed and the key of an id change only when it is given up, or restored by a code.
 * - A seal key is kept before a card with it is published, unless the storage fails.
 * - Where there is no cryptography, as over plain http, there is no card, and nothing else changes.
 *
 * It does not know peers, or the messages that it opens.
 */

import { decoded, encoded } from "./bytes.js";
import { codeOf, identityOf, lifetimes, makeCard, newSeed, numberOf, seedOf } from "./card.js";
import { newPair, pairOf } from "./hpke.js";

/** A key is looked at no sooner than this, even if it is due already. */
const RENEW_MS_MIN = 1000;

/** A seal key that was made further in the future is the work of a clock that was ahead. */
const CLOCK_S_MAX = 300;

export class Keyring {
	#outside;
	#id = "";
	/** @type {IdentityKeys | undefined} */
	#identity;
	/** All seal keys by their public part, the oldest first. @type {Map<string, SealKey>} */
	#keys = new Map();
	/** @type {Card | undefined} */
	#card;
	/** @type {number | undefined} */
	#timer;
	/** One step at a time. */
	#last = Promise.resolve();

	/** @param {KeyringOutside} outside */
	constructor(outside) {
		this.#outside = outside;
	}

	/** Our card; nothing if we have none. */
	get card() {
		return this.#card;
	}

	/** The public part of our identity, as text; empty if we have none. */
	get sign() {
		return this.#identity?.sign ?? "";
	}

	/** Our pair of the present card. */
	get pair() {
		return this.#keys.get(this.#card?.seal ?? "")?.pair;
	}

	/** Returns our pair with this public part, if we have it. @param {string} seal */
	pairOf(seal) {
		return this.#keys.get(seal)?.pair;
	}

	/** @param {() => Promise<void>} step */
	#then(step) {
		// Without cryptography, or if it fails, the page works without a card.
		this.#last = this.#last.then(step).catch(() => {});
		return this.#last;
	}

	/** Takes up the keys of an id, or makes them. @param {string} id */
	open(id) {
		return this.#then(async () => {
			if (id !== this.#id) this.#close();
			this.#id = id;
			if (this.#outside.hasCrypto) await this.#load(id);
		});
	}

	/** @param {string} id */
	async #load(id) {
		const { remembered, vault } = this.#outside;
		const seed = decoded(remembered.seedOf(id), 16) ?? await newSeed();
		const identity = await identityOf(seed, id);
		remembered.noteSeed(id, encoded(seed), identity.key);
		// Another tab may have replaced the seal key.
		for (const kept of await vault.load(id)) {
			this.#keys.set(kept.seal, { ...kept, pair: await pairOf(kept.secret) });
		}
		this.#identity = identity;
		await this.#renew(this.#latest?.hold ?? 0);
	}

	#close() {
		this.#outside.clock.clearTimer(this.#timer);
		this.#id = "";
		this.#keys.clear();
		this.#identity = this.#card = undefined;
	}

	/** The newest seal key; none that a clock made which was ahead. */
	get #latest() {
		const now = this.#outside.now() / 1000;
		const past = [...this.#keys.values()].filter(({ made }) => made < now + CLOCK_S_MAX);
		return past.sort((a, b) => a.made - b.made).at(-1);
	}

	/**
	 * Replaces a seal key that is too old, and destroys keys for which no message can be held.
	 * @param {unknown} [hold] the server's, in seconds
	 */
	renew(hold) {
		return this.#then(async () => {
			const before = this.#card;
			if (this.#identity) await this.#renew(hold ?? this.#latest?.hold ?? 0);
			// It may have failed for a moment.
			else if (this.#id && this.#outside.hasCrypto) await this.#load(this.#id);
			if (this.#card !== before) this.#outside.renewed();
		});
	}

	/** @param {unknown} hold */
	async #renew(hold) {
		const { vault, now, clock } = this.#outside;
		const seconds = Math.floor(now() / 1000);
		const { rotateAfter, untilAfter, held } = lifetimes(hold);
		const old = [...this.#keys.values()].filter(({ until, hold }) => until + hold < seconds);
		for (const { seal } of old) this.#keys.delete(seal);
		await vault.destroy(old);
		const latest = this.#latest;
		const isFresh = latest && seconds - latest.made < rotateAfter;
		const key = isFresh ? latest : await this.#newKey(seconds);
		// Peers may have a card that was to last longer, when the server held messages for longer.
		const until = Math.max(key.until, key.made + untilAfter);
		if (!this.#card || this.#card.seal !== key.seal || this.#card.until !== until) {
			Object.assign(key, { until, hold: Math.max(key.hold, held) });
			const { pair, ...kept } = key;
			await vault.put(kept);
			this.#keys.set(key.seal, key);
			const identity = /** @type {IdentityKeys} */ (this.#identity);
			this.#card = await makeCard(identity, this.#id, key.seal, until);
		}
		clock.clearTimer(this.#timer);
		const ms = Math.max(RENEW_MS_MIN, (key.made + rotateAfter - seconds) * 1000);
		this.#timer = clock.setTimer(() => this.renew(), ms);
	}

	/** @param {number} made @returns {Promise<SealKey>} */
	async #newKey(made) {
		const pair = await newPair();
		const { secret } = pair;
		return { id: this.#id, seal: encoded(pair.public), secret, made, until: 0, hold: 0, pair };
	}

	/** Returns the recovery code of our id; empty if there is none. */
	async code() {
		const seed = decoded(this.#outside.remembered.seedOf(this.#id), 16);
		// The key of an id that was claimed by an earlier page is random, so no seed restores it.
		const isWhole = this.#outside.remembered.keyOf(this.#id) === this.#identity?.key;
		return seed && isWhole ? codeOf(seed, this.#id) : "";
	}

	/**
	 * Takes up an identity by its code. Resolves to `false` if it is not one of this id.
	 * @param {string} code @param {string} id
	 */
	async restore(code, id) {
		if (!this.#outside.hasCrypto) return false;
		const seed = await seedOf(code, id);
		if (!seed) return false;
		const { key } = await identityOf(seed, id);
		this.#outside.remembered.restore(id, { seed: encoded(seed), key });
		await this.#then(async () => this.#close());
		return true;
	}

	/** Returns the safety number of an identity. @param {string} id @param {string} sign */
	numberOf(id, sign) {
		return this.#outside.hasCrypto && sign ? numberOf(id, sign) : Promise.resolve("");
	}

	/** Leaves nothing of an id. @param {string} id */
	forget(id) {
		return this.#then(async () => {
			this.#close();
			await this.#outside.vault.forget(id);
		});
	}
}
