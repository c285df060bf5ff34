/**
 * QR codes against those of another encoder (python-qrcode 8, byte mode, level M, mask 2), which
 * zbar reads.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { load } from "./load.mjs";

const { qrMatrix } = await load("qr.js");

const drawn = (text, dark, light) => qrMatrix(text)
  .map((row) => row.map((isDark) => (isDark ? dark : light)).join("")).join("\n");

const HI = `
#######--####-#######
#-----#--##-#-#-----#
#-###-#-##-##-#-###-#
#-###-#-##--#-#-###-#
#-###-#-#--##-#-###-#
#-----#-##--#-#-----#
#######-#-#-#-#######
--------#-###--------
#-#####-----#-#####--
-###-#-#--#-#--#----#
--##--##-#-#-#--####-
###-#----#-----##-#--
###-#-#----#-#--#-#-#
--------#--####--#--#
#######---#-#-##---#-
#-----#-#######--#--#
#-###-#-#---#--#--#--
#-###-#-###-#--#--#--
#-###-#-#--#-#--###--
#-----#--##----##-#--
#######-#-##-#--####-`;

test("code of a short text is the known one", () => {
  assert.equal(`\n${drawn("hi", "#", "-")}`, HI);
});

// The versions differ: one block, several, of two lengths, with a version, with a longer length.
for (const [text, size, hash] of [
  ["https://example.org/#to=alice", 29, "fee93e5dfcc6ad6461d3bc4b7023205bc7fb895dd5d3d1b9cda4584bf0453195"],
  [`https://chat.example.org/#to=${"w".repeat(64)}`, 41, "0fc896da148e16826cfcd739f0d081be722cbb1f6717a5f3bc611c79f9f2f9c6"],
  [`https://chat.example.org/#to=${"%C3%BC".repeat(32)}`, 61, "1c710529bbe9febe65c48db11740caad3515d5699cc2c68f0dff18bd1d0c8d00"],
  [`https://${"h".repeat(253)}:65535/#to=${"%C3%BC".repeat(32)}`, 85, "cf080229f94e2a8cc83dd9a6c615c9d7d0e27efb9e843a8ffb3f6f7b534e21ac"],
]) {
  test(`code of a link of ${text.length} bytes is the known one`, () => {
    assert.equal(qrMatrix(text).length, size);
    assert.equal(createHash("sha256").update(drawn(text, "1", "0")).digest("hex"), hash);
  });
}

test("text that fits no code is refused", () => {
  assert.equal(qrMatrix("x".repeat(504)).length, 85);
  assert.throws(() => qrMatrix("x".repeat(505)), RangeError);
});
