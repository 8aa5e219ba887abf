import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { createGroup } from "../src/groups.ts";
import { sendText } from "../src/outgoing.ts";
import { applyFault } from "../src/fault-actions.ts";
import { CUSTOMER, PHONE, Scene } from "./support/scene.ts";
import { waitFor } from "./support/wait.ts";

let scene: Scene;

beforeEach(async () => {
  scene = await Scene.start();
});

afterEach(() => scene.close());

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `Mensagem ${index + 1}`);

test("what was written while the client was away comes in order at its next login, as offline", async () => {
  const client = await scene.paired();
  await client.end();
  const texts = numbered(25);
  for (const text of texts) scene.write(scene.contact(), scene.phone(), text);
  await waitFor("the queue", () => scene.phone().companions.get(1)!.queue.size >= 25);
  client.connect();
  await waitFor("all texts", () => client.texts().length === 25);
  assert.deepEqual(client.texts(), texts);
  assert.ok(client.upserts.filter(({ message }) => !message.key.fromMe).every(({ type }) => type === "append"));
  await waitFor("all receipts", () => [...scene.contact().sent.values()].every((one) => one.deliveredAt));
});

test("what was not acknowledged when the connection dropped is delivered again", async () => {
  const client = await scene.paired();
  applyFault(scene.world, { kind: "lose-receipts", phone: PHONE });
  const id = scene.write(scene.contact(), scene.phone(), "Chegou?");
  await waitFor("the first delivery", () => client.texts().length === 1);
  assert.equal(scene.contact().sent.get(id)?.deliveredAt, undefined);
  applyFault(scene.world, { kind: "drop", phone: PHONE });
  assert.equal(await client.closed(2), 428);
  scene.world.faults.clearAll();
  const { queue } = scene.phone().companions.get(1)!;
  assert.equal(queue.size, 1);
  client.connect();
  // The client has used the key already, so it refuses the copy: that settles it.
  await waitFor("the refusal", () => scene.contact().sent.get(id)?.nacks.includes("487"));
  assert.equal(queue.size, 0);
});

test("a message sent into a connection that dies under it arrives after the reconnect", async () => {
  const client = await scene.paired();
  applyFault(scene.world, { kind: "silence", phone: PHONE });
  scene.write(scene.contact(), scene.phone(), "Alô?");
  await waitFor("the pending message", () => scene.phone().companions.get(1)?.queue.size === 1);
  scene.world.faults.clearAll();
  await client.closed(2);
  client.connect();
  await waitFor("the text", () => client.texts().length === 1);
  assert.deepEqual(client.texts(), ["Alô?"]);
});

test("a thousand messages arrive in order, each once and acknowledged", async () => {
  const client = await scene.paired();
  const texts = numbered(1_000);
  await Promise.all(
    texts.map((text) => sendText(scene.world, scene.contact(), { account: scene.phone() }, text).accepted),
  );
  await waitFor("all texts", () => client.texts().length === 1_000, 20_000);
  assert.deepEqual(client.texts(), texts);
  await waitFor("all receipts", () => [...scene.contact().sent.values()].every((one) => one.deliveredAt));
});

test("a group message reaches the client, and the client's reaches every member", async () => {
  const client = await scene.paired();
  const [ana, bia] = [scene.contact(CUSTOMER), scene.contact("5521987650002", { name: "Bia" })];
  const group = createGroup("Promoções", [scene.phone(), ana, bia]);
  scene.world.groups.set(group.jid, group);
  for (const text of ["Oi, pessoal", "Alguém aí?"]) sendText(scene.world, ana, { group }, text);
  await waitFor("both texts", () => client.texts().length === 2);
  assert.deepEqual(client.texts(), ["Oi, pessoal", "Alguém aí?"]);
  const { key } = client.upserts.find(({ message }) => !message.key.fromMe)!.message;
  assert.equal(key.remoteJid, group.jid);
  assert.equal(key.participant, ana.lidJid);
  assert.equal(key.participantAlt, ana.pnJid);
  await waitFor("the receipts", () => [...ana.sent.values()].every((one) => one.deliveredAt));

  const metadata = await client.socket.groupMetadata(group.jid);
  assert.equal(metadata.participants.length, 3);
  const first = await client.send(group.jid, "Promoção relâmpago");
  const second = await client.send(group.jid, "Só hoje");
  for (const member of [ana, bia, scene.phone()]) {
    await waitFor(`both texts at ${member.number}`, () => member.received.has(second.key.id!));
    assert.equal(member.received.get(first.key.id!)?.text, "Promoção relâmpago");
    assert.equal(member.received.get(second.key.id!)?.text, "Só hoje");
  }
});

test("two paired phones write to each other through their companions", async () => {
  const first = await scene.paired();
  const second = await scene.paired("5531955550000");
  const to = scene.phone("5531955550000");
  const { key } = await first.send(to.lidJid, "Olá, vizinho");
  await waitFor("the text at the other companion", () => second.texts().includes("Olá, vizinho"));
  assert.equal(to.received.get(key.id!)?.text, "Olá, vizinho");
  await waitFor("the receipt", () => first.updates.some((one) => one.key.id === key.id && one.update.status === 3));
});

test("a message to an address that nobody registered is refused", async () => {
  const client = await scene.paired();
  const { key } = await client.send("5511900000000@s.whatsapp.net", "Tem alguém aí?");
  assert.equal((await client.ack(key.id!)).error, "404");
});

test("onWhatsApp finds a Brazilian number in either spelling", async () => {
  const client = await scene.paired();
  scene.contact("551187650001");
  scene.contact("5521987650002");
  const found = async (number: string): Promise<unknown> => (await client.socket.onWhatsApp(number))?.[0];
  assert.deepEqual(await found("5511987650001"), { jid: "551187650001@s.whatsapp.net", exists: true });
  assert.deepEqual(await found("551187650001"), { jid: "551187650001@s.whatsapp.net", exists: true });
  assert.deepEqual(await found("552187650002"), { jid: "5521987650002@s.whatsapp.net", exists: true });
  assert.equal(await found("5511999999999"), undefined);
});

test("an answer that names nobody is none, once", async () => {
  const client = await scene.paired();
  scene.world.faults.add({ kind: "empty-check", times: 1 });
  const number = scene.contact().number;
  assert.equal((await client.socket.onWhatsApp(number))?.length ?? 0, 0);
  assert.equal((await client.socket.onWhatsApp(number))?.[0]?.exists, true);
});
