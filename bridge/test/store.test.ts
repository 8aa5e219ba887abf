import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, renameSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { proto } from "baileys";

import { StoreClosed } from "../src/session/database.ts";
import { HASH_RETENTION_MS, Store } from "../src/session/store.ts";
import type { InboundStanza } from "../src/session/store.ts";

function directory(): string {
  return mkdtempSync(join(tmpdir(), "store-"));
}

function open(path: string): Store {
  return new Store(path, (error) => {
    throw error;
  });
}

function fresh(): Store {
  return open(join(directory(), "c.sqlite"));
}

const hash = (text: string): Buffer => Buffer.from(text.padEnd(32, "."));

function inbound(id: string, hashes: string[], more: Partial<InboundStanza> = {}): InboundStanza {
  return {
    identity: hash(`identity ${id}`),
    messageId: id,
    header: "{}",
    stanza: `stanza ${id}`,
    hashes: hashes.map(hash),
    offline: false,
    peer: false,
    receivedAt: Date.now(),
    ...more,
  };
}

function receive(store: Store, stanza: InboundStanza, which: string, body = `body ${which}`): void {
  const plaintext = { inbound: stanza, hash: hash(which), body: Buffer.from(body), fills: [] };
  store.commit({ session: { a: { v: 1 } } }, [plaintext]);
}

test("keys of every type come back as Baileys wants them", () => {
  const store = fresh();
  const bytes = Buffer.from([0, 1, 2, 255]);
  const syncKey = proto.Message.AppStateSyncKeyData.create({ keyData: bytes, timestamp: 5 });
  store.commit(
    {
      "pre-key": { "1": { public: bytes, private: new Uint8Array(bytes) } },
      session: { "5511.0": { _sessions: { k: { n: 1 } }, version: "v1" } },
      "sender-key": { "g::1::0": Buffer.from('[{"seed":{"type":"Buffer","data":[1,2]}}]') },
      "identity-key": { a: new Uint8Array(bytes) },
      "app-state-sync-key": { k: syncKey },
      "app-state-sync-version": { c: { version: 1, hash: bytes, indexValueMap: {} } },
      "lid-mapping": { "5511": "999" },
      "device-list": { "5511": ["0", "1"] },
      tctoken: { j: { token: bytes, timestamp: "1" } },
    },
    [],
  );
  assert.deepEqual(store.keys("pre-key", ["1"])["1"], { public: bytes, private: bytes });
  assert.ok(Buffer.isBuffer(store.keys("identity-key", ["a"])["a"]));
  const senderKey = store.keys("sender-key", ["g::1::0"])["g::1::0"];
  assert.ok(Buffer.isBuffer(senderKey));
  assert.equal(String(senderKey), '[{"seed":{"type":"Buffer","data":"AQI="}}]');
  const key = store.keys("app-state-sync-key", ["k"])["k"] as proto.Message.AppStateSyncKeyData;
  assert.ok(key instanceof proto.Message.AppStateSyncKeyData);
  assert.deepEqual(Buffer.from(key.keyData!), bytes);
  assert.deepEqual(store.keys("lid-mapping", ["5511", "none"]), { "5511": "999" });
  assert.deepEqual(store.keys("device-list", ["5511"]), { "5511": ["0", "1"] });
  assert.deepEqual((store.keys("tctoken", ["j"])["j"] as { token: Buffer }).token, bytes);
  store.commit({ session: { "5511.0": null } }, []);
  assert.deepEqual(store.keys("session", ["5511.0"]), {});
});

test("the file is private, and the write-ahead log is in use", () => {
  const path = join(directory(), "c.sqlite");
  const script = `process.umask(0o077);
    const { Store } = await import(${JSON.stringify(new URL("../src/session/store.ts", import.meta.url).href)});
    const s = new Store(${JSON.stringify(path)}, (e) => { throw e }); s.writeCredentials("{}");
    process.kill(process.pid, "SIGKILL");`;
  assert.throws(() => execFileSync(process.execPath, ["--input-type=module", "-e", script]));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const store = open(path);
  assert.equal(store.credentials(), "{}");
  store.close();
});

test("what a killed process left in the log is written anew before anything rests on it", () => {
  const path = join(directory(), "killed.sqlite");
  const dying = open(path);
  receive(dying, inbound("A1", ["a"]), "a");
  dying.settle();
  const copy = join(directory(), "copy.sqlite");
  for (const end of ["", "-wal"]) copyFileSync(`${path}${end}`, `${copy}${end}`);
  assert.notEqual(statSync(`${copy}-wal`).size, 0);
  const next = open(copy);
  assert.equal(statSync(`${copy}-wal`).size, 0);
  assert.deepEqual(next.eventsAfter(0, 10).map(({ kind }) => kind), ["message"]);
  next.close();
  dying.close();
});

test("a second writer is kept out", () => {
  const path = join(directory(), "c.sqlite");
  const store = open(path);
  assert.throws(() => open(path), /locked/);
  store.close();
  open(path).close();
});

test("a damaged file is refused when it is opened", () => {
  const path = join(directory(), "c.sqlite");
  execFileSync("sh", ["-c", `head -c 8192 /dev/urandom > "${path}"`]);
  assert.throws(() => open(path), /not a database/);
});

test("a stanza is announced when all its ciphertexts are there", () => {
  const store = fresh();
  const stanza = inbound("m", ["one", "two"]);
  receive(store, stanza, "one");
  assert.equal(store.pendingEvents, 0);
  receive(store, stanza, "two");
  assert.equal(store.pendingEvents, 1);
  assert.deepEqual(store.plaintext(hash("one")), Buffer.from("body one"));
});

test("an acknowledgement erases plaintext and stanza, the hash stays", () => {
  const path = join(directory(), "c.sqlite");
  const store = open(path);
  receive(store, inbound("m", ["one"]), "one", "a very secret text");
  receive(store, inbound("n", ["two"]), "two");
  store.acknowledge(1);
  assert.equal(store.plaintext(hash("one")), "erased");
  assert.equal(store.inbound(1)?.stanza, null);
  assert.equal(store.pendingEvents, 1);
  assert.deepEqual(store.plaintext(hash("two")), Buffer.from("body two"));
  store.close();
  assert.equal(readFileSync(path).includes("a very secret text"), false);
});

test("numbers are never used again", () => {
  const path = join(directory(), "c.sqlite");
  const store = open(path);
  store.appendEvents([{ kind: "call", data: {} }, { kind: "call", data: {} }]);
  store.acknowledge(2);
  store.close();
  const again = open(path);
  again.appendEvents([{ kind: "call", data: { a: 1 } }]);
  assert.deepEqual(again.eventsAfter(0, 10).map(({ seq, data }) => [seq, data]), [[3, '{"a":1}']]);
  assert.equal(again.pendingEvents, 1);
});

test("a stub is announced once; what was complete is never a stub again", () => {
  const store = fresh();
  const failed = inbound("m", ["one"]);
  store.storeFailure(failed);
  store.storeFailure(failed);
  assert.equal(store.pendingEvents, 1);
  receive(store, inbound("m", ["resent"]), "resent");
  assert.equal(store.pendingEvents, 2);
  store.acknowledge(2);
  store.storeFailure(failed);
  assert.equal(store.pendingEvents, 0);
});

test("a stanza without ciphertext is announced once", () => {
  const store = fresh();
  store.storeUndecryptable(inbound("m", []), true);
  store.storeUndecryptable(inbound("m", []), true);
  assert.equal(store.pendingEvents, 1);
});

test("what is still owed its content is counted until it comes, across a restart", () => {
  const path = join(directory(), "c.sqlite");
  const store = open(path);
  store.storeUndecryptable(inbound("view once", []), false);
  store.storeUndecryptable(inbound("from an advertisement", []), true);
  store.storeFailure(inbound("broken", ["one"]));
  store.acknowledge(store.lastSeq());
  assert.equal(store.unfilledStubs(), 2);
  receive(store, inbound("broken", ["resent"]), "resent");
  assert.equal(store.unfilledStubs(), 1);
  store.close();
  const again = open(path);
  assert.equal(again.unfilledStubs(), 1);
  const answer = { messageId: "from an advertisement", data: "{}" };
  const phone = { ...inbound("p", ["two"], { peer: true }) };
  again.commit({}, [{ inbound: phone, hash: hash("two"), body: Buffer.from("two"), fills: [answer] }]);
  assert.equal(again.unfilledStubs(), 0);
});

test("peer messages are kept until they were worked through, and are no events", () => {
  const store = fresh();
  receive(store, inbound("p", ["one"], { peer: true }), "one");
  assert.equal(store.pendingEvents, 0);
  const [peer] = store.unprocessedPeers();
  assert.equal(peer?.stanza, "stanza p");
  store.markPeerProcessed(peer!.id);
  assert.deepEqual(store.unprocessedPeers(), []);
  assert.equal(store.plaintext(hash("one")), "erased");
});

test("hashes are forgotten after their time, open events never", (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  const store = fresh();
  receive(store, inbound("old", ["one"]), "one");
  receive(store, inbound("open", ["two"]), "two");
  store.acknowledge(1);
  context.mock.timers.setTime(1_000_000 + HASH_RETENTION_MS + 2 * 3_600_000);
  store.acknowledge(1);
  assert.equal(store.plaintext(hash("one")), null);
  assert.deepEqual(store.plaintext(hash("two")), Buffer.from("body two"));
});

test("sent messages are found by id, the first stored wins", () => {
  const store = fresh();
  store.storeSent("id", Buffer.from("first"));
  store.storeSent("id", Buffer.from("second"));
  assert.deepEqual(store.sent("id"), Buffer.from("first"));
  assert.equal(store.sent("unknown"), null);
});

test("an archived store leaves one file; its successor goes on counting", () => {
  const at = directory();
  const path = join(at, "c.sqlite");
  const store = open(path);
  store.appendEvents([{ kind: "call", data: {} }, { kind: "call", data: {} }]);
  store.acknowledge(1);
  const events = store.eventsAfter(0, -1);
  store.seal();
  renameSync(path, join(at, "c.1.archived.sqlite"));
  const next = open(path);
  assert.notEqual(next.epoch, store.epoch);
  next.continueFrom(2, events);
  next.appendEvents([{ kind: "call", data: {} }]);
  assert.deepEqual(next.eventsAfter(0, 10).map(({ seq }) => seq), [2, 3]);
  next.close();
  assert.deepEqual(readdirSync(at).sort(), ["c.1.archived.sqlite", "c.sqlite"]);
});

test("whoever asks a closed store is told so, and it is no storage failure", () => {
  const store = new Store(join(directory(), "c.sqlite"), () => assert.fail("no failure"));
  store.close();
  store.close();
  assert.throws(() => store.credentials(), StoreClosed);
  assert.throws(() => store.writeCredentials("{}"), StoreClosed);
});

test("imported history is counted over restarts, with its events", () => {
  const path = join(directory(), "c.sqlite");
  const store = open(path);
  assert.equal(store.importedMessages(), 0);
  store.appendHistory([{ kind: "message", data: {} }, { kind: "message", data: {} }]);
  store.appendHistory([]);
  store.close();
  const again = open(path);
  assert.equal(again.importedMessages(), 2);
  again.appendHistory([{ kind: "message", data: {} }]);
  assert.equal(again.importedMessages(), 3);
  assert.equal(again.eventsAfter(0, 10).length, 3);
  again.close();
});
