import assert from "node:assert/strict";
import { test } from "node:test";

import { describeRecord, formatRecord, mask } from "../src/log.ts";

test("phone numbers and LIDs keep their last four digits", () => {
  assert.equal(mask("to 5511987654321@s.whatsapp.net"), "to ***4321@s.whatsapp.net");
  assert.equal(mask("code 515 in 2026"), "code 515 in 2026");
});

test("a record is one line of JSON with masked strings", () => {
  const line = formatRecord(1, "warn", "x", { text: "a\n5511987654321", count: 12345678 });
  assert.equal(line, '{"time":1,"level":"warn","event":"x","text":"a\\n***4321","count":12345678}');
});

test("of Baileys' records only text and error message remain", () => {
  const payload = { err: new Error("Bad MAC"), node: { content: "secret" }, session: "keys" };
  assert.deepEqual(describeRecord(payload, "failed"), { message: "failed", error: "Bad MAC" });
  assert.deepEqual(describeRecord("plain", undefined), { message: "plain" });
  assert.deepEqual(describeRecord({ err: "a string" }, "m"), { message: "m" });
});
