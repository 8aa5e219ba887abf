import assert from "node:assert/strict";
import { test } from "node:test";

import { describeRecord, formatRecord, mask } from "../src/log.ts";

test("phone numbers and LIDs keep their last four digits", () => {
  assert.equal(mask("to 5511987654321@s.whatsapp.net"), "to ***4321@s.whatsapp.net");
  assert.equal(mask("code 515 in 2026"), "code 515 in 2026");
});

for (const figure of [
  "2026-12-01T10:30:00.123Z",
  "20260301000000_tables",
  "after 1764552827000",
  "2.3000.1023223821",
  "12345678-1234-4234-8234-123456789012",
  "3EB0123456789ABCDEF012",
  "9876543 bytes in 3600000 ms",
]) {
  test(`a figure stays: ${figure}`, () => {
    assert.equal(mask(`x ${figure} y`), `x ${figure} y`);
  });
}

for (const [person, masked] of [
  ["5511987654321", "***4321"],
  ["551133334444@s.whatsapp.net", "***4444@s.whatsapp.net"],
  ["5511987654321:12@s.whatsapp.net", "***4321:12@s.whatsapp.net"],
  ["123456789012345@lid", "***2345@lid"],
  ["120363012345678901@g.us", "***8901@g.us"],
  ["+14155552671", "+***2671"],
] as const) {
  test(`a person is hidden: ${person}`, () => {
    assert.equal(mask(`x ${person} y`), `x ${masked} y`);
  });
}

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
