/**
 * The numbers of the messages that came from one identity. The sender numbers its messages, and
 * each names the number before its own, so doubles and gaps are known without a list of all.
 *
 * **Invariants**
 * - A gap is above its first number and up to its second. Gaps are in ascending order, and apart.
 * - A number up to `got` that is in no gap was taken, or belongs to no message.
 *
 * It does not know messages.
 */

/** The most gaps of one identity. The sender has at most 128 messages on their way. */
export const GAPS_MAX = 128;

/** @param {string} sign @returns {Ledger} */
export function newLedger(sign) {
	return { sign, got: 0, gaps: [], signalled: 0 };
}

/**
 * Takes a number. Returns `false` if it was taken before.
 * @param {Ledger} ledger @param {number} number @param {number} after the number before it
 */
export function takeNumber(ledger, number, after) {
	const before = Math.min(after, number - 1);
	const { got, gaps } = ledger;
	const index = gaps.findIndex(([low, high]) => number > low && number <= high);
	if (number <= got && index < 0) return false;
	const [low, high] = gaps[index] ?? [got, number];
	/** @type {[number, number][]} */
	const left = [[low, before], [number, high]];
	gaps.splice(index < 0 ? gaps.length : index, index < 0 ? 0 : 1,
		...left.filter(([from, to]) => from < to));
	ledger.got = Math.max(got, number);
	// A number in a forgotten gap counts as taken: its absence was shown.
	while (gaps.length > GAPS_MAX) gaps.shift();
	return true;
}

/**
 * Returns `true` if the message with this number has not come.
 * @param {Ledger} ledger @param {number} number
 */
export function isMissing({ got, gaps }, number) {
	return number > got || gaps.some(([low, high]) => number > low && number <= high);
}

/**
 * Takes the number of a signal. Returns `false` if a later signal or message came before it.
 * @param {Ledger} ledger @param {number} number
 */
export function takeSignal(ledger, number) {
	if (number <= Math.max(ledger.got, ledger.signalled)) return false;
	ledger.signalled = number;
	return true;
}
