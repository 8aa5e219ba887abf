import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { fitting } from "../src/events/oversized.ts";

const KEY = { remoteJid: "111111111111111@lid", fromMe: false, id: "A1" };

function event(text: string): Parameters<typeof fitting>[0] {
  return {
    directory: mkdtempSync(join(tmpdir(), "oversized-")),
    connectionId: "loja",
    seq: 7,
    kind: "message",
    dataJson: JSON.stringify({ key: KEY, message: { conversation: text } }),
  };
}

test("an event that fits a frame goes out as it is", () => {
  const small = event("olá");
  assert.deepEqual(fitting(small), { kind: "message", data: JSON.parse(small.dataJson) });
  assert.deepEqual(readdirSync(small.directory), []);
});

test("one that does not is kept in a private file, which its event names", () => {
  const large = event("x".repeat(2000));
  const file = join(large.directory, "loja.7.oversized.json");
  const bytes = Buffer.byteLength(large.dataJson);
  const expected = { kind: "oversized", data: { kind: "message", bytes, file, key: KEY } };
  assert.deepEqual(fitting(large, 1000), expected);
  assert.equal(readFileSync(file, "utf8"), large.dataJson);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  // Sent again after a reconnection: the same file.
  assert.deepEqual(fitting(large, 1000), expected);
  assert.deepEqual(readdirSync(large.directory), ["loja.7.oversized.json"]);
});

test("a file that cannot be written is an error, never a loss", () => {
  const nowhere = { ...event("x".repeat(2000)), directory: "/dev/null" };
  assert.throws(() => fitting(nowhere, 1000), { code: "ENOTDIR" });
});
