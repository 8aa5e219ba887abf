import assert from "node:assert/strict";
import crypto, { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { test } from "node:test";

const KEY = Buffer.from("0b".repeat(32), "hex");
const IV = Buffer.alloc(12, 7);

function everything(): string[] {
  const cipher = createCipheriv("aes-256-gcm", KEY, IV);
  const sealed = Buffer.concat([cipher.update("Bom dia"), cipher.final(), cipher.getAuthTag()]);
  const decipher = createDecipheriv("aes-256-gcm", KEY, IV).setAuthTag(sealed.subarray(-16));
  const opened = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
  const hmacs = [KEY, new Uint8Array(KEY), KEY.subarray(3, 9), Buffer.alloc(0), "texto"].map((key) =>
    createHmac("sha256", key).update("Bom dia").digest("hex"),
  );
  return [sealed.toString("hex"), opened.toString(), ...hmacs];
}

test("ciphers and HMACs come out the same, for whoever imports or requires them", async () => {
  const before = everything();
  const original = crypto.createHmac;
  await import("../src/key-objects.ts");
  assert.notEqual(createHmac, original);
  assert.equal(createRequire(import.meta.url)("crypto").createHmac, createHmac);
  assert.deepEqual(everything(), before);
  assert.equal(before[1], "Bom dia");
});
