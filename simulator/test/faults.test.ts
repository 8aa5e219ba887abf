import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { afterEach, beforeEach, test } from "node:test";
import { applyFault } from "../src/fault-actions.ts";
import { FAULT_KINDS } from "../src/faults.ts";
import { PHONE, Scene } from "./support/scene.ts";
import { waitFor } from "./support/wait.ts";

let scene: Scene;

beforeEach(async () => {
  scene = await Scene.start();
});

afterEach(() => scene.close());

test("drop ends the TCP connection at once: 428, with a reset 408 or 428", async () => {
  const client = await scene.paired();
  applyFault(scene.world, { kind: "drop", phone: PHONE });
  assert.equal(await client.closed(2), 428);
  client.connect();
  await client.opened();
  applyFault(scene.world, { kind: "drop", phone: PHONE, reset: true });
  assert.ok([408, 428].includes((await client.closed(3))!));
});

test("drop after N messages strikes in the middle of a burst; the rest comes after the reconnect", async () => {
  const client = await scene.paired();
  applyFault(scene.world, { kind: "drop", phone: PHONE, after: 3 });
  for (let index = 1; index <= 6; index += 1) scene.write(scene.contact(), scene.phone(), `Linha ${index}`);
  await client.closed(2);
  client.connect();
  // Baileys itself may drop what it acknowledged but had not handed out yet: ask the ledger.
  const settled = (): boolean =>
    [...scene.contact().sent.values()].every(({ deliveredAt, nacks }) => deliveredAt !== undefined || nacks.length > 0);
  await waitFor("all six acknowledged", () => scene.contact().sent.size === 6 && settled());
  assert.ok(client.texts().includes("Linha 6"));
});

test("silence lets the client's own keep-alive find out", async () => {
  const client = await scene.paired(PHONE, { keepAliveIntervalMs: 100 });
  applyFault(scene.world, { kind: "silence", phone: PHONE });
  assert.equal(await client.socket.query(ping(), 50).catch(() => undefined), undefined);
  assert.equal(client.open, true);
  assert.equal(await client.closed(2), 408);
});

test("freeze stalls the path until it ends, then everything gets through", async () => {
  const client = await scene.paired();
  applyFault(scene.world, { kind: "freeze", phone: PHONE, durationMs: 300 });
  scene.write(scene.contact(), scene.phone(), "Travou?");
  assert.equal(await client.socket.query(ping(), 100).catch(() => undefined), undefined);
  assert.deepEqual(client.texts(), []);
  await waitFor("the text", () => client.texts().length === 1);
  assert.equal(client.open, true);
});

test("delay holds every stanza back and keeps their order", async () => {
  const client = await scene.paired();
  const delay = 150;
  applyFault(scene.world, { kind: "delay", phone: PHONE, ms: delay });
  const started = Date.now();
  for (const text of ["um", "dois", "três"]) scene.write(scene.contact(), scene.phone(), text);
  await waitFor("all texts", () => client.texts().length === 3);
  assert.ok(Date.now() - started >= delay);
  assert.deepEqual(client.texts(), ["um", "dois", "três"]);
});

test("every kind of fault is told in the README and has a test", async () => {
  const read = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), "utf8");
  const readme = await read("../README.md");
  const folder = new URL(".", import.meta.url);
  const tests = (await readdir(folder)).filter((name) => name.endsWith(".test.ts"));
  const sources = (await Promise.all(tests.map(read))).join("\n");
  for (const kind of FAULT_KINDS) {
    assert.match(readme, new RegExp(`^\\|.*\`${kind}\`.*\\|`, "m"));
    assert.ok(sources.includes(`kind: "${kind}"`), `no test for ${kind}`);
  }
});

test("refuse-upgrade with 0 leaves the client without an answer; with a status, it gets that", async () => {
  applyFault(scene.world, { kind: "refuse-upgrade", code: 0, times: 1 });
  const waiting = scene.client({ connectTimeoutMs: 200 });
  waiting.connect();
  await waitFor("the fault has struck", () => scene.world.faults.list().length === 0);
  assert.deepEqual([waiting.open, waiting.qrs], [false, []]);
  applyFault(scene.world, { kind: "refuse-upgrade", code: 503, times: 1 });
  const client = scene.client({ connectTimeoutMs: 500 });
  client.connect();
  const status = await new Promise((resolve) => {
    client.socket.ws.on("unexpected-response", (_request, response: { statusCode: number }) => resolve(response.statusCode));
  });
  assert.equal(status, 503);
});

for (const code of [401, 403, 405, 440, 503]) {
  test(`refuse-login with ${code} reaches the client as that code`, async () => {
    const client = await scene.paired();
    await client.end();
    applyFault(scene.world, { kind: "refuse-login", phone: PHONE, code, times: 1 });
    client.connect();
    assert.equal(await client.closed(2), code);
    client.connect();
    await client.opened();
  });
}

for (const code of [515, 440, 401, 503]) {
  test(`stream-error ${code} reaches the client as that code`, async () => {
    const client = await scene.paired();
    applyFault(scene.world, { kind: "stream-error", phone: PHONE, code });
    assert.equal(await client.closed(2), code);
  });
}

test("duplicate sends the stanza twice; the client emits it once and refuses the copy", async () => {
  const client = await scene.paired();
  const contact = scene.contact();
  applyFault(scene.world, { kind: "duplicate", phone: PHONE, times: 1 });
  const id = scene.write(contact, scene.phone(), "De novo?");
  await waitFor("the text", () => client.texts().length === 1);
  scene.write(contact, scene.phone(), "Depois");
  await waitFor("the next text", () => client.texts().includes("Depois"));
  assert.deepEqual(client.texts(), ["De novo?", "Depois"]);
  assert.equal(contact.sent.get(id)?.receipts, 1);
});

test("an undecryptable message becomes a stub, and its content comes under the same id", async () => {
  const client = await scene.paired();
  const contact = scene.contact();
  scene.write(contact, scene.phone(), "Primeira");
  await waitFor("the first text", () => client.texts().length === 1);
  applyFault(scene.world, { kind: "undecryptable", phone: PHONE, times: 1 });
  const id = scene.write(contact, scene.phone(), "Difícil de ler");
  const ofId = (): (string | null | undefined)[] =>
    client.upserts.filter(({ message }) => message.key.id === id).map(({ message }) => message.message?.conversation);
  await waitFor("stub and content", () => ofId().length === 2);
  assert.deepEqual(ofId(), [undefined, "Difícil de ler"]);
  assert.equal(contact.sent.get(id)?.retries, 1);
});

test("a message that comes without content is asked for at the phone, which has it", async () => {
  const client = await scene.paired();
  applyFault(scene.world, { kind: "unavailable", phone: PHONE, times: 1 });
  const id = scene.write(scene.contact(), scene.phone(), "Vim pelo anúncio");
  const filled = await waitFor("the content", () =>
    client.upserts.find(({ message }) => message.key.id === id && message.message),
  );
  assert.equal(filled.message.message?.conversation, "Vim pelo anúncio");
  const stub = client.upserts.find(({ message }) => message.key.id === id);
  assert.equal(stub?.message.messageStubType, 2);
});

test("lose-acks: the message is shown, but the client hears nothing of it", async () => {
  const client = await scene.paired();
  const customer = scene.contact();
  applyFault(scene.world, { kind: "lose-acks", phone: PHONE, times: 1 });
  const { key } = await client.send(customer.lidJid, "Recebeu?");
  await waitFor("the text", () => customer.received.get(key.id!));
  await client.send(customer.lidJid, "Recebeu?", key.id!);
  await waitFor("the second arrival", () => customer.received.get(key.id!)?.arrivals === 2);
  assert.equal(customer.received.size, 1);
  assert.equal(client.acks.filter((ack) => ack.id === key.id).length, 1);
});

test("lose-sends: the message is gone without a trace", async () => {
  const client = await scene.paired();
  const customer = scene.contact();
  applyFault(scene.world, { kind: "lose-sends", phone: PHONE, times: 1 });
  await client.send(customer.lidJid, "Perdida");
  const { key } = await client.send(customer.lidJid, "Chegou");
  await waitFor("the second text", () => customer.received.has(key.id!));
  assert.deepEqual([...customer.received.values()].map(({ text }) => text), ["Chegou"]);
});

for (const code of [463, 479]) {
  test(`reject-sends ${code}: the ack carries the error and nobody is shown anything`, async () => {
    const client = await scene.paired();
    const customer = scene.contact();
    applyFault(scene.world, { kind: "reject-sends", phone: PHONE, code, times: 1 });
    const { key } = await client.send(customer.lidJid, "Não pode");
    assert.equal((await client.ack(key.id!)).error, String(code));
    // Baileys folds a fast answer into the message that it emits for the send.
    await waitFor(
      "the failed status",
      () =>
        client.updates.some((one) => one.key.id === key.id && one.update.status === 0) ||
        client.upserts.some(({ message }) => message.key.id === key.id && message.status === 0),
    );
    assert.equal(customer.received.size, 0);
  });
}

test("a contact that lost its session asks again and shows the text once", async () => {
  const client = await scene.paired();
  const customer = scene.contact();
  await client.send(customer.lidJid, "Antes");
  await waitFor("the first text", () => customer.received.size === 1);
  customer.device.forgetSessions();
  const { key } = await client.send(customer.lidJid, "Depois");
  const shown = await waitFor("the text after a retry", () => customer.received.get(key.id!));
  assert.equal(shown.text, "Depois");
});

function ping(): { tag: string; attrs: Record<string, string>; content: { tag: string; attrs: object }[] } & never {
  return {
    tag: "iq",
    attrs: { to: "s.whatsapp.net", type: "get", xmlns: "w:p" },
    content: [{ tag: "ping", attrs: {} }],
  } as never;
}
