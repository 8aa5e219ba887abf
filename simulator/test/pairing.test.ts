import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { enterPairingCode, logOut, scan } from "../src/phone.ts";
import { PHONE, Scene } from "./support/scene.ts";
import { waitFor } from "./support/wait.ts";

let scene: Scene;

beforeEach(async () => {
  scene = await Scene.start();
});

afterEach(() => scene.close());

test("a client pairs by QR, is told to restart, logs in and opens within two seconds", async () => {
  const started = Date.now();
  const client = scene.client();
  client.connect();
  const companion = await scan(scene.world, scene.phone(), await client.qr());
  assert.equal(await client.closed(), 515);
  client.connect();
  await client.opened();
  assert.ok(Date.now() - started < 2_000, `took ${Date.now() - started} ms`);
  assert.equal(client.auth.creds.me?.id, companion.pnJid);
  assert.equal(client.auth.creds.me?.lid, companion.lidJid);
});

test("events flow right after the first open: the history spares the client its 20 second wait", async () => {
  const client = await scene.paired();
  await waitFor("the first sync", () => client.auth.creds.accountSyncCounter === 1, 3_000);
  await waitFor("the own name", () => client.auth.creds.me?.name === "Loja do Zé");
  await waitFor("the settled queue", () => scene.phone().companions.get(1)?.queue.size === 0);
});

test("a client pairs by code", async () => {
  const client = scene.client();
  client.connect();
  await client.qr();
  const code = await client.socket.requestPairingCode(PHONE);
  const phone = scene.phone();
  await waitFor("the request", () => [...scene.world.connections].some((one) => one.registration?.linkCode));
  const companion = await enterPairingCode(scene.world, phone, `${code.slice(0, 4)}-${code.slice(4)}`);
  assert.equal(await client.closed(), 515);
  client.connect();
  await client.opened();
  assert.equal(client.auth.creds.me?.id, companion.pnJid);
});

test("a wrong code pairs nobody, and the right one may still be typed", async () => {
  const client = scene.client();
  client.connect();
  await client.qr();
  const code = await client.socket.requestPairingCode(PHONE, "ABCD1234");
  await waitFor("the request", () => [...scene.world.connections].some((one) => one.registration?.linkCode));
  await assert.rejects(enterPairingCode(scene.world, scene.phone(), "WXYZ5678"), /wrong pairing code/);
  assert.equal(scene.phone().companions.size, 0);
  await enterPairingCode(scene.world, scene.phone(), code);
  assert.equal(await client.closed(), 515);
});

test("six QR codes are offered, then the client gives up; a later one is scanned like the first", async () => {
  const client = scene.client({ qrTimeout: 30 });
  client.connect();
  assert.equal(await client.closed(), 408);
  assert.equal(new Set(client.qrs).size, 6);
  await assert.rejects(scan(scene.world, scene.phone(), client.qrs[0]!), /no client waits/);

  const patient = scene.client({ qrTimeout: 200 });
  patient.connect();
  const third = await waitFor("the third QR code", () => patient.qrs[2]);
  await scan(scene.world, scene.phone(), third);
  assert.equal(await patient.closed(), 515);
});

test("a logout on the phone reaches the client as 401, and so does every login after it", async () => {
  const client = await scene.paired();
  assert.deepEqual(logOut(scene.world, scene.phone()), [1]);
  assert.equal(await client.closed(2), 401);
  client.connect();
  assert.equal(await client.closed(3), 401);
});

test("a client that logs itself out is no companion any more", async () => {
  const client = await scene.paired();
  await client.socket.logout();
  await waitFor("its removal", () => scene.phone().companions.size === 0);
});

test("a second login with the same credentials replaces the first", async () => {
  const first = await scene.paired();
  const second = scene.client();
  Object.assign(second.auth, first.auth);
  second.connect();
  await second.opened();
  assert.equal(await first.closed(2), 440);
  assert.equal(second.open, true);
});
