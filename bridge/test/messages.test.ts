import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Bridge } from "./support/bridge.ts";
import { textOf } from "./support/runtime.ts";
import type { Runtime } from "./support/runtime.ts";
import { WhatsApp } from "./support/whatsapp.ts";

const PHONE = "5511900000001";
const CUSTOMER = "5511911110001";

let data: string;
let whatsapp: WhatsApp;
let bridge: Bridge;
let runtime: Runtime;

before(async () => {
  data = await mkdtemp(join(tmpdir(), "bridge-"));
  whatsapp = await WhatsApp.start();
  await whatsapp.phone(PHONE);
  await whatsapp.contact(CUSTOMER);
  bridge = await Bridge.start({ data, whatsappUrl: whatsapp.url });
  runtime = await bridge.attach("main");
  runtime.autoAck = true;
  await runtime.hello();
  await whatsapp.pair(runtime, PHONE);
});

after(async () => {
  await bridge?.stop();
  await whatsapp?.close();
  await rm(data, { recursive: true });
});

test("a customer's message becomes an event", async () => {
  const [id] = await whatsapp.write(CUSTOMER, PHONE, { text: "Oi, tudo bem?" });
  const { data: message } = await runtime.message(id!);
  assert.equal(textOf(message.message), "Oi, tudo bem?");
  assert.equal(message.phone, CUSTOMER);
  assert.match(message.lid ?? "", /^\d+@lid$/);
  assert.equal(message.key.fromMe, false);
  assert.equal(message.pushName, "Ana Souza");
  assert.equal(message.stub, null);
  assert.equal(message.offline, false);
});
