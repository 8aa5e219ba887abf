import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { scan } from "../src/phone.ts";
import { Scene } from "./support/scene.ts";

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
