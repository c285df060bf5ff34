/**
 * A map with a capacity, beyond which it forgets the entry that was set longest ago.
 *
 * It does not know the meaning of an entry.
 */

/** @template Key, Value @extends {Map<Key, Value>} */
export class BoundedMap extends Map {
	#capacity;

	/** @param {number} capacity */
	constructor(capacity) {
		super();
		this.#capacity = capacity;
	}

	/** @param {Key} key @param {Value} value */
	set(key, value) {
		// To be the latest entry, a key that is there already has to go first.
		this.delete(key);
		super.set(key, value);
		const [oldest] = this.keys();
		if (this.size > this.#capacity) this.delete(oldest);
		return this;
	}
}
