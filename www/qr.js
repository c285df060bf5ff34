/**
 * QR codes (ISO/IEC 18004) of short texts: byte mode, error correction level M.
 *
 * **Invariants**
 * - A module is `true` where the code is dark. The light frame around it is not part of it.
 *
 * It does not know how a code is drawn.
 */

/**
 * Bytes by version; of those in each block, the bytes of error correction at level M; blocks.
 * The longest invite link (host of 253 bytes, port, id of 64, percent-encoded) has 464 bytes, and
 * version 17 holds 504.
 */
const VERSIONS = [
	[26, 10, 1], [44, 16, 1], [70, 26, 1], [100, 18, 2], [134, 24, 2], [172, 16, 4], [196, 18, 4],
	[242, 22, 4], [292, 22, 5], [346, 26, 5], [404, 30, 5], [466, 22, 8], [532, 22, 9], [581, 24, 9],
	[655, 24, 10], [733, 28, 10], [815, 28, 11],
];

/**
 * The format of each code: level M and mask 2, which inverts every third column. A reader takes any
 * of the eight masks.
 */
const FORMAT = 0x5e7c;

/** @typedef {boolean[][]} Matrix rows of modules */

/** Returns the modules of a text's code. @param {string} text @returns {Matrix} */
export function qrMatrix(text) {
	const bytes = [...new TextEncoder().encode(text)];
	const index = VERSIONS.findIndex(([all, correction, blocks], index) =>
		bytes.length <= all - correction * blocks - (index < 9 ? 2 : 3));
	if (index < 0) throw new RangeError("too long for a QR code");
	return draw(index + 1, interleaved(bytes, index).flatMap((byte) => bitsOf(byte, 8)));
}

/** @param {number} value @param {number} count */
function bitsOf(value, count) {
	return Array.from({ length: count }, (_, index) => value >> (count - 1 - index) & 1);
}

/**
 * Returns all bytes of a code: the text in blocks with error correction, which are mixed.
 * @param {number[]} bytes @param {number} index of the version
 */
function interleaved(bytes, index) {
	const [all, correction, count] = VERSIONS[index];
	const bits = [0, 1, 0, 0, ...bitsOf(bytes.length, index < 9 ? 8 : 16)];
	bits.push(...bytes.flatMap((byte) => bitsOf(byte, 8)), 0, 0, 0, 0);
	/** @type {number[]} */
	const data = [];
	while (bits.length) data.push(parseInt(bits.splice(0, 8).join(""), 2));
	const length = all - correction * count;
	for (let pad = 0xec; data.length < length; pad ^= 0xfd) data.push(pad);
	// The last blocks are one byte longer.
	const short = Math.floor(length / count);
	const start = (/** @type {number} */ block) =>
		block * short + Math.max(0, block - count + length % count);
	const blocks = Array.from(Array(count), (_, block) => data.slice(start(block), start(block + 1)));
	const divisor = generator(correction);
	return [...mixed(blocks), ...mixed(blocks.map((block) => remainder(block, divisor)))];
}

/** Returns the first byte of each block, then the second, … @param {number[][]} blocks */
function mixed(blocks) {
	const places = [...blocks[blocks.length - 1].keys()];
	return places.flatMap((place) => blocks.flatMap((block) => block.slice(place, place + 1)));
}

// ---- Reed-Solomon codes over the field of 256 elements, modulo x⁸ + x⁴ + x³ + x² + 1

/** @param {number} a @param {number} b */
function multiply(a, b) {
	let product = 0;
	for (let bit = 7; bit >= 0; bit -= 1) {
		product = product << 1 ^ (product >> 7) * 0x11d;
		product ^= (b >> bit & 1) * a;
	}
	return product;
}

/** Returns the polynomial to divide by, without its first coefficient. @param {number} degree */
function generator(degree) {
	let coefficients = [1];
	for (let root = 1, power = 0; power < degree; power += 1, root = multiply(root, 2)) {
		const times = coefficients.map((one) => multiply(one, root));
		coefficients = [...coefficients, 0].map((one, index) => one ^ (times[index - 1] ?? 0));
	}
	return coefficients.slice(1);
}

/** @param {number[]} block @param {number[]} divisor */
function remainder(block, divisor) {
	let rest = divisor.map(() => 0);
	for (const byte of block) {
		const factor = byte ^ rest[0];
		rest = divisor.map((one, index) => (rest[index + 1] ?? 0) ^ multiply(one, factor));
	}
	return rest;
}

// ---- modules

/** @param {number} version @param {number[]} bits */
function draw(version, bits) {
	const size = 17 + 4 * version;
	/** @type {Matrix} */
	const rows = Array.from({ length: size }, () => []);
	drawFixed(rows, version);
	drawFormat(rows);
	let next = 0;
	// Pairs of columns from right to left, up and down by turns, without that of the timing pattern.
	for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2) {
		const isUp = (right + 1 & 2) === 0;
		for (let step = 0; step < size; step += 1) {
			const y = isUp ? size - 1 - step : step;
			for (const x of [right, right - 1]) {
				rows[y][x] ??= Boolean(bits[next++]) !== (x % 3 === 0);
			}
		}
	}
	return rows;
}

/** @param {Matrix} rows @param {number} version */
function drawFixed(rows, version) {
	const size = rows.length;
	const end = size - 7;
	for (const [left, top] of [[0, 0], [end, 0], [0, end]]) drawSquares(rows, left + 3, top + 3, 4);
	for (let at = 8; at < size - 8; at += 1) rows[6][at] = rows[at][6] = at % 2 === 0;
	const places = alignments(version);
	const last = places.length - 1;
	places.forEach((x, column) => places.forEach((y, row) => {
		const isFinder = column + row === 0 || column * row === 0 && column + row === last;
		if (!isFinder) drawSquares(rows, x, y, 2);
	}));
	if (version < 7) return;
	let check = version << 12;
	while (check >> 12) check ^= 0x1f25 << (19 - Math.clz32(check));
	const told = version << 12 | check;
	for (let bit = 0; bit < 18; bit += 1) {
		const [along, across] = [Math.floor(bit / 3), size - 11 + bit % 3];
		rows[along][across] = rows[across][along] = Boolean(told >> bit & 1);
	}
}

/**
 * Draws squares around each other, as far as they are inside.
 * @param {Matrix} rows @param {number} x @param {number} y @param {number} radius
 */
function drawSquares(rows, x, y, radius) {
	for (let down = -radius; down <= radius; down += 1) {
		for (let along = -radius; along <= radius; along += 1) {
			const distance = Math.max(Math.abs(along), Math.abs(down));
			if (rows[y + down] && x + along >= 0 && x + along < rows.length) {
				rows[y + down][x + along] = distance !== 4 && distance !== radius / 2;
			}
		}
	}
}

/** Returns the rows and columns with alignment patterns. @param {number} version */
function alignments(version) {
	if (version < 2) return [];
	const gaps = Math.floor(version / 7) + 1;
	const step = Math.ceil((version * 4 + 4) / gaps / 2) * 2;
	const fromEnd = Array.from({ length: gaps }, (_, index) => 10 + 4 * version - index * step);
	return [6, ...fromEnd.reverse()];
}

/** Draws the 15 bits of the format, twice. @param {Matrix} rows */
function drawFormat(rows) {
	const size = rows.length;
	for (let bit = 0; bit < 15; bit += 1) {
		const isDark = Boolean(FORMAT >> bit & 1);
		const near = bit < 6 ? bit : bit < 8 ? bit + 1 : bit < 9 ? 7 : 14 - bit;
		if (bit < 8) rows[near][8] = rows[8][size - 1 - bit] = isDark;
		else rows[8][near] = rows[size - 15 + bit][8] = isDark;
	}
	rows[size - 8][8] = true;
}
