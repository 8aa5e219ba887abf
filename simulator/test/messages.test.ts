import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { acknowledge } from "../src/receipts.ts";
import { sendText } from "../src/outgoing.ts";
import { textOf } from "./support/client.ts";
import { Scene } from "./support/scene.ts";
import { waitFor } from "./support/wait.ts";

let scene: Scene;

beforeEach(async () => {
  scene = await Scene.start();
});

afterEach(() => scene.close());

for (const addressing of ["lid", "pn"] as const) {
  test(`a contact's text reaches the client, addressed by ${addressing}, and is recorded as delivered`, async () => {
    const client = await scene.paired();
    const customer = scene.contact(undefined, { addressing });
    const id = scene.write(customer, scene.phone(), "Oi, tudo bem?");
    const { message, type } = await waitFor("the text", () => client.upserts.find((one) => one.message.key.id === id));
    assert.equal(type, "notify");
    assert.equal(textOf(message), "Oi, tudo bem?");
    assert.equal(message.pushName, "Ana Souza");
    assert.equal(message.key.remoteJid, addressing === "lid" ? customer.lidJid : customer.pnJid);
    assert.equal(message.key.remoteJidAlt, addressing === "lid" ? customer.pnJid : customer.lidJid);
    await waitFor("the delivery receipt", () => customer.sent.get(id)?.deliveredAt);
    assert.equal(customer.sent.get(id)?.receipts, 1);
  });

  test(`the client's text to a ${addressing} address is shown once, delivered and read`, async () => {
    const client = await scene.paired();
    const customer = scene.contact();
    const jid = addressing === "lid" ? customer.lidJid : customer.pnJid;
    const { key } = await client.send(jid, "Bom dia! Como posso ajudar?");
    assert.equal((await client.ack(key.id!)).error, undefined);
    const shown = await waitFor("the text on the contact's screen", () => customer.received.get(key.id!));
    assert.equal(shown.text, "Bom dia! Como posso ajudar?");
    assert.equal(shown.arrivals, 1);
    acknowledge(scene.world, customer, "read");
    const read = await waitFor("the read receipt", () =>
      client.updates.find((one) => one.key.id === key.id && one.update.status === 4),
    );
    assert.equal(read.key.remoteJid, jid);
    assert.equal(read.key.fromMe, true);
  });
}

test("what the phone sends itself arrives at the client as fromMe", async () => {
  const client = await scene.paired();
  const customer = scene.contact();
  const { id } = sendText(scene.world, scene.phone(), { account: customer }, "Respondi pelo celular");
  const { message } = await waitFor("the copy", () => client.upserts.find((one) => one.message.key.id === id));
  assert.equal(message.key.fromMe, true);
  assert.equal(message.key.remoteJid, customer.lidJid);
  assert.equal(message.key.remoteJidAlt, customer.pnJid);
  assert.equal(textOf(message), "Respondi pelo celular");
  assert.equal(customer.received.get(id)?.text, "Respondi pelo celular");
  await waitFor("the settled queue", () => scene.phone().companions.get(1)?.queue.size === 0);
});

test("the phone sees what its companion sent", async () => {
  const client = await scene.paired();
  const customer = scene.contact();
  const { key } = await client.send(customer.lidJid, "Enviado pelo computador");
  const seen = await waitFor("the copy on the phone", () => scene.phone().received.get(key.id!));
  assert.equal(seen.fromMe, true);
  assert.equal(seen.chat, customer.number);
  assert.equal(seen.text, "Enviado pelo computador");
});
