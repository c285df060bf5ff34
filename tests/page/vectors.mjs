/**
 * Checks the modules that seal against sealed.json, in any engine: nothing here is Node's.
 *
 * **Invariants**
 * - Every section of the file has its check, and a section without one is a failure.
 * - A check that fails ends no other one.
 */

const unhex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const same = (got, expected) => {
  const [one, other] = [got, expected].map((value) => JSON.stringify(value));
  if (one !== other) throw Error(`${one} instead of ${other}`);
};
const ed25519Of = (secret) => [unhex(secret), "Ed25519", "sign", "p"];
const isRefused = (promise) => promise.then(() => false, () => true);

/**
 * Returns a line for each failure.
 * @param modules `{ bytes, hpke, card, sealed }`
 * @param vectors sealed.json
 */
export async function checkVectors(modules, vectors) {
  const failures = [];
  for (const [section, value] of Object.entries(vectors)) {
    if (section === "about") continue;
    const check = CHECKS[section];
    if (!check) failures.push(`${section}: there is no check`);
    for (const entry of check ? [value].flat() : []) {
      const told = (why) => failures.push(`${section}, ${entry.about || entry.hold}: ${why}`);
      await check(modules, entry).catch((error) => told(error.message || error.name));
    }
  }
  const missing = Object.keys(CHECKS).filter((section) => !(section in vectors));
  return [...failures, ...missing.map((section) => `${section}: it is not in the file`)];
}

const CHECKS = {
  x25519, ed25519, hpke, base64url, identities, numbers, codes, padding, rotation, cards,
  card_checks: checkedCard, hostile_signs: hostileSign, low_order: lowOrder, messages: body,
  signals: body, body_checks: checkedBody,
};

async function x25519({ hpke }, entry) {
  const { key, public: own } = await hpke.pairOf(unhex(entry.secret));
  const peer = await crypto.subtle.importKey("raw", unhex(entry.public), "X25519", false, []);
  const shared = await crypto.subtle.deriveBits({ name: "X25519", public: peer }, key, 256);
  same(hex(new Uint8Array(shared)), entry.shared);
  const base = `09${"00".repeat(31)}`;
  if (entry.public === base) same(hex(own), entry.shared);
}

async function ed25519({ hpke }, entry) {
  const { key, public: own } = await hpke.imported(...ed25519Of(entry.secret));
  same(hex(own), entry.public);
  const message = unhex(entry.message);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key, message));
  const raw = unhex(entry.public);
  const verifier = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  // CryptoKit signs the same message in another way each time.
  for (const one of [signature, unhex(entry.signature)]) {
    same(await crypto.subtle.verify("Ed25519", verifier, one, message), true);
  }
  if (await isDeterministic(key)) same(hex(signature), entry.signature);
}

async function isDeterministic(key) {
  const sign = async () => hex(new Uint8Array(
    await crypto.subtle.sign("Ed25519", key, new Uint8Array(1)),
  ));
  return await sign() === await sign();
}

async function hpke({ hpke: { open, pairOf, seal } }, entry) {
  const pairs = [entry.skEm, entry.skSm, entry.skRm].map((secret) => pairOf(unhex(secret)));
  const [ephemeral, sender, recipient] = await Promise.all(pairs);
  const publics = [ephemeral, sender, recipient].map((pair) => hex(pair.public));
  same(publics, [entry.pkEm, entry.pkSm, entry.pkRm]);
  const info = unhex(entry.info);
  const use = ["encrypt", "decrypt"];
  const key = await crypto.subtle.importKey("raw", unhex(entry.key), "AES-GCM", false, use);
  for (const { aad, ct, nonce, pt } of entry.encryptions) {
    const cipher = { name: "AES-GCM", iv: unhex(nonce), additionalData: unhex(aad) };
    same(hex(new Uint8Array(await crypto.subtle.encrypt(cipher, key, unhex(pt)))), ct);
    if (nonce !== entry.base_nonce) continue;
    // A body has no associated data, so its tag is another one.
    const bare = { name: "AES-GCM", iv: cipher.iv };
    const box = new Uint8Array(await crypto.subtle.encrypt(bare, key, unhex(pt)));
    const given = { info, text: unhex(pt), sender, recipient: recipient.public, ephemeral };
    const sealed = await seal(given);
    same([hex(sealed.enc), hex(sealed.box)], [entry.enc, hex(box)]);
    same(hex(sealed.box).slice(0, pt.length), ct.slice(0, pt.length));
    const enc = unhex(entry.enc);
    same(hex(await open({ info, enc, box, recipient, sender: sender.public })), pt);
  }
}

async function base64url({ bytes }, entry) {
  const decoded = bytes.decoded(entry.text);
  same(decoded && hex(decoded), entry.bytes);
  if (decoded) same(bytes.encoded(decoded), entry.text);
  same(bytes.decoded(entry.text, 32), null);
}

async function identities({ bytes, card, hpke }, entry) {
  const seed = unhex(entry.seed);
  const own = await hpke.imported(...ed25519Of(entry.identity_secret));
  same(bytes.encoded(own.public), entry.sign);
  const { sign, key } = await card.identityOf(seed, entry.id);
  same([sign, key], [entry.sign, entry.key]);
  same(bytes.decoded(key, 32)?.length, 32);
  same(await card.codeOf(seed, entry.id), entry.code);
  same(hex(await card.seedOf(entry.code, entry.id)), entry.seed);
  same(await card.numberOf(entry.id, sign), entry.number);
}

async function numbers({ card }, entry) {
  same(await card.numberOf(entry.id, entry.sign), entry.number);
}

async function codes({ card }, entry) {
  const seed = await card.seedOf(entry.text, entry.id);
  same(seed && hex(seed), entry.seed ?? null);
}

async function padding({ sealed }, entry) {
  for (const [bytes, padded] of entry.lengths) {
    same(sealed.padded(bytes), padded);
    const body = sealed.sealedBytes(bytes, 300);
    same(body - sealed.sealedBytes(0, 300),
      Math.ceil((padded + 16) * 4 / 3) - Math.ceil((256 + 16) * 4 / 3));
    same(sealed.contentBytesMax(body, 300), padded);
    const shorter = sealed.contentBytesMax(body - 1, 300);
    same(padded > 256 ? sealed.sealedBytes(shorter, 300) < body : shorter === -1, true);
  }
}

async function rotation({ card }, entry) {
  const expected = { rotateAfter: entry.rotate_after, untilAfter: entry.until_minus_made };
  const { held, ...times } = card.lifetimes(entry.hold);
  same(times, expected);
  same(held, times.untilAfter - times.rotateAfter - 3600);
}

async function cards({ bytes, card, hpke }, entry) {
  const identity = await card.identityOf(unhex(entry.seed), entry.id);
  const pair = await hpke.pairOf(unhex(entry.seal_secret));
  const seal = bytes.encoded(pair.public);
  const made = await card.makeCard(identity, entry.id, seal, entry.until);
  const expected = JSON.parse(entry.card);
  if (!await isDeterministic(identity.signer)) expected.by = made.by;
  same(made, expected);
  for (const one of [made, JSON.parse(entry.card)]) {
    same(await card.checkCard(entry.id, one), true);
  }
}

async function checkedCard({ card }, entry) {
  const value = JSON.parse(entry.card);
  const isValid = await card.checkCard(entry.id, value);
  const isTaken = isValid && card.maySealTo(value, entry.now);
  same(isTaken, entry.reason === null);
  if (entry.reason === "expired") same(isValid, true);
}

/** A key like this is not even given to the engine. */
async function hostileSign(modules, entry) {
  const { subtle } = crypto;
  let isGiven = false;
  for (const name of ["importKey", "verify"]) {
    subtle[name] = async () => {
      isGiven = true;
      return name === "verify" ? false : {};
    };
  }
  try {
    await checkedCard(modules, entry);
  } finally {
    // Those of its prototype are in force again.
    delete subtle.importKey;
    delete subtle.verify;
  }
  same(isGiven, false);
}

async function lowOrder(modules, entry) {
  const { bytes, card, hpke, sealed } = modules;
  const value = JSON.parse(entry.card);
  same(await card.checkCard(entry.id, value), true);
  same(hex(bytes.decoded(value.seal, 32)), entry.public);
  const pair = await hpke.newPair();
  const identity = await card.identityOf(await card.newSeed(), "alice");
  const own = await card.makeCard(identity, "alice", bytes.encoded(pair.public), entry.now);
  same(await isRefused(sealed.sealBody({
    kind: "message", from: "alice", to: entry.id, card: own, pair, recipient: value,
    content: { number: 1, after: 0, got: 0, body: "hello" },
  })), true);
  const info = new Uint8Array(1);
  const peer = unhex(entry.public);
  const box = new Uint8Array(16);
  for (const [enc, sender] of [[peer, pair.public], [pair.public, peer]]) {
    const why = await hpke.open({ info, enc, box, recipient: pair, sender }).catch(String);
    same(why, "Error: low_order");
  }
}

async function body(modules, entry) {
  const { bytes, hpke, sealed } = modules;
  const secrets = [entry.sender_seal_secret, entry.recipient_seal_secret, entry.ephemeral_secret];
  const pairs = await Promise.all(secrets.map((secret) => hpke.pairOf(unhex(secret))));
  const [pair, recipient, ephemeral] = pairs;
  const [card, body] = [entry.sender_card, entry.body].map((text) => JSON.parse(text));
  const text = bytes.utf8(entry.text.padEnd(entry.padded));
  const padded = text.subarray(0, entry.padded);
  const info = bytes.utf8(entry.info);
  const given = { info, text: padded, sender: pair, recipient: recipient.public, ephemeral };
  const { enc, box } = await hpke.seal(given);
  same([bytes.encoded(enc), bytes.encoded(box)], [body.enc, body.box]);
  same(bytes.encoded(recipient.public), entry.recipient_seal);
  const { kind, from, to, recipient_sign: sign } = entry;
  if (JSON.stringify(JSON.parse(entry.text)) === entry.text) {
    const made = await sealed.sealBody({
      kind, from, to, card, pair, recipient: { sign, seal: entry.recipient_seal },
      content: JSON.parse(entry.text), ephemeral,
    });
    same(JSON.stringify(made), entry.body);
    const [contentBytes, cardBytes] = [entry.text, entry.sender_card]
      .map((one) => bytes.utf8(one).length);
    same(sealed.sealedBytes(contentBytes, cardBytes), bytes.utf8(entry.body).length);
  }
  const pairOf = (seal) => (seal === entry.recipient_seal ? recipient : undefined);
  const opened = await sealed.openBody({ kind, from, to, body, sign, pairOf });
  same(opened.card, card);
  // A number that was left out counts as 0.
  const content = { after: 0, got: 0, ...opened.content };
  for (const [key, value] of Object.entries(entry.content)) same(content[key], value);
  same(Object.getPrototypeOf(opened.content.body ?? {}) === null || !{}.polluted, true);
  same(sealed.isSealed(body), true);
}

async function checkedBody({ bytes, hpke, sealed }, entry) {
  const recipient = await hpke.pairOf(unhex(entry.recipient_seal_secret));
  const own = bytes.encoded(recipient.public);
  const { kind, from, to, recipient_sign: sign } = entry;
  const pairOf = (seal) => {
    same(bytes.decoded(seal, 32)?.length, 32);
    return seal === own ? recipient : undefined;
  };
  const body = JSON.parse(entry.body);
  same(sealed.isSealed(body), true);
  const why = await sealed.openBody({ kind, from, to, body, sign, pairOf })
    .then(() => null, (error) => error);
  if (!entry.reason) return same(why, null);
  // An error of the engine would have a name of its own.
  same(why?.name, "Error");
  same(WORDS[entry.reason].includes(why.message), true);
  same(!!why.card, !["signature", "shape", "version"].includes(entry.reason));
}

/** Our words for the reasons of the file. */
const WORDS = {
  base64: ["base64"], content: ["content"], depth: ["depth"], for: ["for"], json: ["json"],
  low_order: ["low_order"], open: ["open"], shape: ["card"], signature: ["card"],
  version: ["version"],
};
