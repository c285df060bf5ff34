/**
 * Holds the cryptography of the page against numbers of other implementations. It needs nothing
 * but WebCrypto, so it runs in Node.js and in each browser.
 */

/** Returns the bytes of a hexadecimal text. */
const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The reason of a vector that is about the time, which is checked apart. */
const BY_TIME = "expired";

/**
 * Returns a sentence for each number that comes out otherwise, and the count of all comparisons.
 * @param modules `hpke`, `card`, `sealed` and `bytes` @param vectors the content of sealed.json
 */
export async function checkVectors(modules, vectors) {
  const failures = [];
  let count = 0;
  const same = (about, actual, expected) => {
    count += 1;
    const [is, should] = [actual, expected].map((value) => JSON.stringify(value));
    if (is !== should) failures.push(`${about}: ${is}, not ${should}`.slice(0, 300));
  };
  const context = { ...modules, vectors, same };
  for (const check of [curves, hpke, texts, identities, cards, bodies, refused]) {
    await check(context);
  }
  return { failures, count };
}

async function curves({ hpke, vectors, same }) {
  for (const { about, secret, public: other, shared } of vectors.x25519) {
    const pair = await hpke.pairOf(hex(secret));
    const key = await crypto.subtle.importKey("raw", hex(other), "X25519", false, []);
    const how = { name: "X25519", public: key };
    const bits = await crypto.subtle.deriveBits(how, pair.key, 256);
    same(about, hexOf(new Uint8Array(bits)), shared);
  }
  for (const { about, secret, public: expected, message, signature } of vectors.ed25519) {
    const { key, x } = await hpke.importSecret("Ed25519", hex(secret));
    same(about, hexOf(x), expected);
    const verifier = await crypto.subtle.importKey("raw", x, "Ed25519", false, ["verify"]);
    const isGood = crypto.subtle.verify("Ed25519", verifier, hex(signature), hex(message));
    same(about, await isGood, true);
    const own = new Uint8Array(await crypto.subtle.sign("Ed25519", key, hex(message)));
    // A signature is the same each time, but in Apple's CryptoKit.
    same(about, hexOf(own) === signature
      || await crypto.subtle.verify("Ed25519", verifier, own, hex(message)), true);
  }
}

async function hpke({ hpke, vectors, same }) {
  const { about, info, ...numbers } = vectors.hpke;
  const [sender, recipient, ephemeral] = await Promise.all(
    [numbers.skSm, numbers.skRm, numbers.skEm].map((secret) => hpke.pairOf(hex(secret))),
  );
  const text = Uint8Array.of(1, 2, 3);
  const given = { info: hex(info), sender, recipient: recipient.public, ephemeral };
  const { enc, box } = await hpke.seal({ ...given, text });
  same(about, hexOf(enc), numbers.pkEm);
  const opening = { info: hex(info), enc, box, recipient, sender: sender.public };
  same(about, hexOf(await hpke.open(opening)), "010203");
  // The key and the nonce of the RFC have to open it, too.
  const key = await crypto.subtle.importKey("raw", hex(numbers.key), "AES-GCM", false, ["decrypt"]);
  const how = { name: "AES-GCM", iv: hex(numbers.base_nonce) };
  same(about, hexOf(new Uint8Array(await crypto.subtle.decrypt(how, key, box))), "010203");
}

function texts({ bytes, card, sealed, vectors, same }) {
  for (const { about, text, bytes: expected } of vectors.base64url) {
    const decoded = bytes.decoded(text);
    same(`base64url: ${about}`, decoded && hexOf(decoded), expected ?? undefined);
    if (decoded) same(`base64url: ${about}`, bytes.encoded(decoded), text);
  }
  for (const [length, expected] of vectors.padding.lengths) {
    same(`padding of ${length}`, sealed.padded(length), expected);
  }
  for (const { hold, rotate_after, until_minus_made } of vectors.rotation) {
    const { rotateAfter, untilAfter } = card.lifetimes(hold);
    same(`rotation at ${hold}`, [rotateAfter, untilAfter], [rotate_after, until_minus_made]);
  }
}

async function identities({ card, vectors, same }) {
  for (const { about, id, seed, ...expected } of vectors.identities) {
    const { sign, key } = await card.identityOf(hex(seed), id);
    same(about, [sign, key], [expected.sign, expected.key]);
    same(about, await card.codeOf(hex(seed), id), expected.code);
    same(about, await card.numberOf(id, sign), expected.number);
  }
  for (const { about, id, sign, number } of vectors.numbers) {
    same(about, await card.numberOf(id, sign), number);
  }
  for (const { about, id, text, seed } of vectors.codes) {
    const found = await card.seedOf(text, id);
    same(`code: ${about}`, found && hexOf(found), seed ?? undefined);
  }
}

async function cards({ card, hpke, bytes, vectors, same }) {
  for (const { about, id, seed, seal_secret, until, card: text } of vectors.cards) {
    const pair = await hpke.pairOf(hex(seal_secret));
    const identity = await card.identityOf(hex(seed), id);
    const { by, ...made } = await card.makeCard(identity, id, bytes.encoded(pair.public), until);
    const { by: expected, ...rest } = JSON.parse(text);
    same(about, made, rest);
    same(about, by === expected || await card.checkCard(id, { ...made, by }), true);
  }
  const { card_checks, hostile_signs, low_order } = vectors;
  for (const { about, id, now, card: text, reason } of [...card_checks, ...hostile_signs]) {
    const given = JSON.parse(text);
    const isGood = await card.checkCard(id, given);
    same(`card: ${about}`, isGood, reason === null || reason === BY_TIME);
    if (isGood) same(`card: ${about}`, card.maySealTo(given, now), reason !== BY_TIME);
  }
  for (const { about, id, card: text } of low_order) {
    same(`card: ${about}`, await card.checkCard(id, JSON.parse(text)), true);
  }
}

/** Returns what opens the body of a vector. */
async function openingOf({ hpke, bytes }, { kind, from, to, body, recipient_sign, ...more }) {
  const pair = await hpke.pairOf(hex(more.recipient_seal_secret));
  const seal = bytes.encoded(pair.public);
  const pairOf = (name) => (name === seal ? pair : undefined);
  return { kind, from, to, body: JSON.parse(body), sign: recipient_sign, pairOf };
}

async function bodies(context) {
  const { hpke, sealed, vectors, same } = context;
  for (const vector of [...vectors.messages, ...vectors.signals]) {
    const { about, kind, from, to, text, content, recipient_sign, recipient_seal } = vector;
    const opened = await sealed.openBody(await openingOf(context, vector)).catch(String);
    same(about, opened.content, JSON.parse(text));
    for (const key of Object.keys(content)) {
      same(about, opened.content[key] ?? 0, content[key]);
    }
    const [pair, ephemeral] = await Promise.all(
      [vector.sender_seal_secret, vector.ephemeral_secret].map((key) => hpke.pairOf(hex(key))),
    );
    const card = JSON.parse(vector.sender_card);
    const recipient = { sign: recipient_sign, seal: recipient_seal };
    const parts = { kind, from, to, card, pair, recipient, ephemeral };
    // One text has another form than ours.
    if (JSON.stringify(JSON.parse(text)) !== text) continue;
    const body = await sealed.sealBody({ ...parts, content: JSON.parse(text) });
    same(about, JSON.stringify(body), vector.body);
    const lengths = [text, vector.sender_card].map((one) => new TextEncoder().encode(one).length);
    same(about, sealed.sealedBytes(...lengths), vector.body.length);
  }
  // To a key of low order nothing is sealed.
  const [{ sender_card, sender_seal_secret, from, recipient_sign: sign }] = vectors.messages;
  const pair = await hpke.pairOf(hex(sender_seal_secret));
  for (const { about, id, card } of vectors.low_order) {
    const { seal } = JSON.parse(card);
    const content = { number: 1, body: "x" };
    const parts = { kind: "message", from, to: id, card: JSON.parse(sender_card), pair, content };
    const sealing = sealed.sealBody({ ...parts, recipient: { sign, seal } });
    same(`sealing: ${about}`, await sealing.then(() => "sealed", () => "refused"), "refused");
  }
}

async function refused(context) {
  const { sealed, vectors, same } = context;
  for (const vector of vectors.body_checks) {
    const opening = sealed.openBody(await openingOf(context, vector));
    const isOpen = await opening.then(() => true, () => false);
    same(`body: ${vector.about}`, isOpen, vector.reason === null);
  }
}
