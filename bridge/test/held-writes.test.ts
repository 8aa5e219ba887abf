import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";

import { holdWrites } from "../src/session/held-writes.ts";
import type { Store } from "../src/session/store.ts";
import { temporaryStore } from "./support/signal.ts";
import { waitFor } from "./support/wait.ts";

async function pair(): Promise<{ ours: Socket; received: Buffer[]; end: () => void }> {
  const received: Buffer[] = [];
  const server = createServer((socket) => socket.on("data", (chunk) => received.push(chunk)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const ours = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(ours, "connect");
  const end = (): void => {
    ours.destroy();
    server.close();
  };
  return { ours, received, end };
}

function receive(store: Store, name: string): void {
  const hash = Buffer.from(name.padEnd(32, "."));
  const inbound = {
    identity: hash,
    messageId: name,
    header: "{}",
    stanza: "{}",
    hashes: [hash],
    offline: false,
    peer: false,
    receivedAt: Date.now(),
  };
  store.commit({ session: { a: name } }, [{ inbound, hash, body: Buffer.from(name), fills: [] }]);
}

test("nothing leaves before the messages of the turn are on disk, then everything in one piece", async () => {
  const store = temporaryStore();
  const { ours, received, end } = await pair();
  holdWrites(ours, store);
  const written: string[] = [];
  receive(store, "one");
  ours.write("receipt one;", () => written.push("one"));
  receive(store, "two");
  ours.write(Buffer.from("receipt two;"), () => written.push("two"));
  assert.equal(store.isSettled, false);
  assert.equal(ours.bytesWritten, 0);
  // Whoever waits for its write goes on in the same turn.
  await new Promise((resolve) => process.nextTick(resolve));
  assert.deepEqual(written, ["one", "two"]);
  assert.equal(ours.bytesWritten, 0);
  await waitFor("the receipts", () => received.length > 0);
  assert.equal(store.isSettled, true);
  assert.deepEqual(received.map(String), ["receipt one;receipt two;"]);
  end();
});

test("what is written while everything is on disk leaves at once", async () => {
  const store = temporaryStore();
  const { ours, received, end } = await pair();
  holdWrites(ours, store);
  ours.write("now");
  assert.equal(ours.bytesWritten, 3);
  await waitFor("it", () => String(received[0]) === "now");
  end();
});

test("any other change commits what is open and lets the receipts go", async () => {
  const store = temporaryStore();
  const { ours, received, end } = await pair();
  holdWrites(ours, store);
  receive(store, "one");
  ours.write("receipt");
  store.writeCredentials("{}");
  assert.equal(store.isSettled, true);
  assert.equal(ours.bytesWritten, 7);
  await waitFor("the receipt", () => String(received[0]) === "receipt");
  end();
});

test("the runtime is told only of what is on disk", () => {
  const store = temporaryStore();
  receive(store, "one");
  assert.equal(store.isSettled, false);
  assert.equal(store.eventsAfter(0, 10).length, 1);
  assert.equal(store.isSettled, true);
});
