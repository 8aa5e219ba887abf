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

async function health(): Promise<{
  decryptFailures: number;
  connections: { unfilledStubs: number }[];
}> {
  return (await (await bridge.health()).json()) as Awaited<ReturnType<typeof health>>;
}

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

test("a message of ours is acknowledged, delivered and read, and not echoed", async () => {
  const reply = await runtime.request("send", {
    messageId: "3EB0AAAA0001",
    to: `${CUSTOMER}@s.whatsapp.net`,
    content: { text: "Bom dia https://example.invalid/x" },
  });
  assert.equal(reply["ok"], true, JSON.stringify(reply));
  await runtime.status("3EB0AAAA0001", "server_ack");
  await runtime.status("3EB0AAAA0001", "delivered");
  await whatsapp.post(`/contacts/${CUSTOMER}/read`);
  await runtime.status("3EB0AAAA0001", "read");
  const inbox = await whatsapp.inbox(CUSTOMER);
  assert.equal(inbox.find(({ id }) => id === "3EB0AAAA0001")?.text, "Bom dia https://example.invalid/x");
  assert.equal(
    runtime.messages().some(({ data: { key } }) => key.id === "3EB0AAAA0001"),
    false,
  );
});

test("the same message id sent twice is one message for the customer", async () => {
  const send = (): Promise<unknown> =>
    runtime.request("send", {
      messageId: "3EB0AAAA0002",
      to: `${CUSTOMER}@s.whatsapp.net`,
      content: { text: "uma vez" },
    });
  await send();
  await send();
  await runtime.status("3EB0AAAA0002", "delivered");
  const shown = (await whatsapp.inbox(CUSTOMER)).filter(({ id }) => id === "3EB0AAAA0002");
  assert.equal(shown.length, 1);
});

test("a send that WhatsApp rejects is an error status", async () => {
  await whatsapp.fault({ kind: "reject-sends", code: 463, times: 1 });
  await runtime.request("send", {
    messageId: "3EB0AAAA0003",
    to: `${CUSTOMER}@s.whatsapp.net`,
    content: { text: "recusada" },
  });
  const status = await runtime.status("3EB0AAAA0003", "error");
  assert.equal((status["data"] as { error: string }).error, "463");
});

test("a group that does not exist is refused for good", async () => {
  const reply = await runtime.request("send", {
    messageId: "3EB0AAAA0009",
    to: "120363999999999999@g.us",
    content: { text: "para ninguém" },
  });
  const { code, retryable } = reply["error"] as { code: string; retryable: boolean };
  assert.deepEqual([code, retryable], ["send_failed", false]);
});

test("what is written on the phone itself comes as fromMe", async () => {
  const { ids } = await whatsapp.post<{ ids: string[] }>(`/phones/${PHONE}/send`, {
    to: CUSTOMER,
    text: "Respondi pelo celular",
  });
  const { data: message } = await runtime.message(ids[0]!);
  assert.equal(message.key.fromMe, true);
  assert.equal(message.phone, CUSTOMER);
  assert.equal(textOf(message.message), "Respondi pelo celular");
});

test("a phone is checked", async () => {
  const reply = await runtime.request("check", { phones: [CUSTOMER, "5511900009999"] });
  const [known, unknown] = reply["data"] as { phone: string; exists: boolean; lid: string }[];
  assert.equal(known?.exists, true);
  assert.match(known?.lid ?? "", /@lid$/);
  assert.deepEqual(unknown, { phone: "5511900009999", exists: false, jid: null, lid: null });
});

test("a check that says nothing of the number is no absence", async () => {
  await whatsapp.fault({ kind: "empty-check", times: 1 });
  const reply = await runtime.request("check", { phones: [CUSTOMER] });
  const { code, retryable } = reply["error"] as { code: string; retryable: boolean };
  assert.deepEqual([code, retryable], ["query_failed", true]);
});

test("a probe tells the round trip", async () => {
  const reply = await runtime.request("probe");
  assert.ok((reply["data"] as { rttMs: number }).rttMs >= 0);
});

test("group messages arrive with their sender", async () => {
  await whatsapp.contact("5511911110002", { name: "Bia" });
  const group = await whatsapp.post<{ jid: string }>("/groups", {
    subject: "Clientes",
    members: [PHONE, CUSTOMER, "5511911110002"],
  });
  const ids = await whatsapp.write(CUSTOMER, group.jid, { texts: ["um", "dois", "três"] });
  for (const [index, id] of ids.entries()) {
    const { data: message } = await runtime.message(id);
    assert.equal(message.key.remoteJid, group.jid);
    assert.ok(message.key["participant"]);
    assert.equal(message.phone, null);
    assert.equal(textOf(message.message), ["um", "dois", "três"][index]);
  }
  const reply = await runtime.request("send", {
    messageId: "3EB0AAAA0004",
    to: group.jid,
    content: { text: "para todos" },
  });
  assert.equal(reply["ok"], true, JSON.stringify(reply));
  await runtime.status("3EB0AAAA0004", "delivered");
});

test("a change says who made it; a deletion of another's message, whether an admin did", async () => {
  const member = "5511911110003";
  await whatsapp.contact(member, { name: "Caio" });
  const group = await whatsapp.post<{ jid: string }>("/groups", {
    subject: "Avisos",
    members: [CUSTOMER, member, PHONE],
  });
  const lidOf = async (phone: string): Promise<string> =>
    (await whatsapp.call<{ lid: string }>("GET", `/contacts/${phone}`)).lid;
  const [admin, caio] = [await lidOf(CUSTOMER), await lidOf(member)];
  runtime.send({ type: "configure", options: { storeGroups: true } });
  const [first] = await whatsapp.write(member, group.jid, { text: "propaganda" });
  await runtime.message(first!);
  const changed = async (by: string, body: object): Promise<unknown> => {
    const message = { protocolMessage: { type: 0, ...body } };
    const { ids } = await whatsapp.post<{ ids: string[] }>(`/contacts/${by}/send`, { to: group.jid, message });
    return (await runtime.message(ids[0]!)).data.change;
  };
  const key = (participant: string): object => ({ key: { id: first, remoteJid: group.jid, fromMe: false, participant } });
  const pn = (phone: string): string => `${phone}@s.whatsapp.net`;
  assert.deepEqual(await changed(CUSTOMER, key(caio)), {
    author: [admin, pn(CUSTOMER)],
    target: { own: false, addresses: [caio, pn(member)] },
    admin: true,
  });
  assert.deepEqual(await changed(member, key(pn(CUSTOMER))), {
    author: [caio, pn(member)],
    target: { own: false, addresses: [pn(CUSTOMER), admin] },
    admin: false,
  });
  const ours = (await changed(member, key(pn(PHONE)))) as { target: { own: boolean }; admin: boolean };
  assert.deepEqual([ours.target.own, ours.admin], [true, false]);
  const own = { author: [caio, pn(member)], target: { own: false, addresses: [pn(member), caio] }, admin: null };
  assert.deepEqual(await changed(member, key(pn(member))), own);
  assert.deepEqual(await changed(member, { key: { id: first } }), { ...own, target: null });
  runtime.send({ type: "configure", options: {} });
});

test("a message that cannot be decrypted is a stub first and is filled later", async () => {
  const { decryptFailures } = await health();
  await whatsapp.fault({ kind: "undecryptable", times: 1 });
  const [id] = await whatsapp.write(CUSTOMER, PHONE, { text: "chega depois" });
  const stub = await runtime.message(id!);
  assert.equal(stub.data.stub, "ciphertext");
  assert.equal(stub.data.message, null);
  const filled = await runtime.message(id!, 1);
  assert.equal(filled.data.stub, null);
  assert.equal(textOf(filled.data.message), "chega depois");
  assert.deepEqual(filled.data.key, stub.data.key);
  const after = await health();
  assert.equal(after.decryptFailures, decryptFailures + 1);
  assert.equal(after.connections[0]!.unfilledStubs, 0);
});

test("an unavailable message is filled by the phone", async () => {
  await whatsapp.fault({ kind: "unavailable", times: 1 });
  const [id] = await whatsapp.write(CUSTOMER, PHONE, { text: "veio de um anúncio" });
  const stub = await runtime.message(id!);
  assert.equal(stub.data.stub, "ciphertext");
  const filled = await runtime.message(id!, 1);
  assert.equal(textOf(filled.data.message), "veio de um anúncio");
  assert.deepEqual(filled.data.key, stub.data.key);
});

test("a vote in a poll of ours says what it chose, one in another poll does not", async () => {
  const poll = "3EB0AAAA0010";
  const reply = await runtime.request("send", {
    messageId: poll,
    to: `${CUSTOMER}@s.whatsapp.net`,
    content: { poll: { name: "Volta?", options: ["sim", "não", "talvez"], selectable: 2 } },
  });
  assert.equal(reply["ok"], true, JSON.stringify(reply));
  await runtime.status(poll, "delivered");
  const vote = async (options: string[]): Promise<unknown> => {
    const path = `/contacts/${CUSTOMER}/vote`;
    const { ids } = await whatsapp.post<{ ids: string[] }>(path, { to: PHONE, poll, options });
    return ((await runtime.message(ids[0]!)).data as { vote?: unknown }).vote;
  };
  for (const addressing of ["lid", "pn"]) {
    await whatsapp.post(`/contacts/${CUSTOMER}`, { addressing });
    assert.deepEqual(await vote(["talvez", "sim"]), { options: ["sim", "talvez"] });
    assert.deepEqual(await vote([]), { options: [] });
  }
  const pollCreationMessageKey = { remoteJid: `${PHONE}@s.whatsapp.net`, fromMe: true, id: "3AFF" };
  const message = { pollUpdateMessage: { pollCreationMessageKey, vote: { encPayload: "AAAA", encIv: "AAAA" } } };
  const [unknown] = await whatsapp.write(CUSTOMER, PHONE, { message });
  assert.equal(((await runtime.message(unknown!)).data as { vote?: unknown }).vote, null);
});

test("what the owner reads on the phone is told, with the chat", async () => {
  for (const addressing of ["pn", "lid"]) {
    await whatsapp.post(`/contacts/${CUSTOMER}`, { addressing });
    const [id] = await whatsapp.write(CUSTOMER, PHONE, { text: `lida por ${addressing}` });
    await runtime.message(id!);
    await whatsapp.post(`/phones/${PHONE}/read`, { chat: CUSTOMER });
    const data = await runtime.kind("read", (read) => (read["ids"] as string[]).includes(id!));
    assert.equal(data["phone"], CUSTOMER);
    assert.match(String(data["lid"]), /@lid$/);
  }
});

test("a picture that was changed or removed is told; a group says what it is called", async () => {
  for (const [picture, told] of [["https://pps.example/a.jpg", "changed"], [null, "removed"]] as const) {
    await whatsapp.post(`/contacts/${CUSTOMER}`, { picture });
    const data = await runtime.kind("contact", (contact) => contact["picture"] === told);
    assert.equal(data["phone"], CUSTOMER);
  }
  const { jid } = await whatsapp.post<{ jid: string }>("/groups", { subject: "Um", members: [PHONE, CUSTOMER] });
  assert.deepEqual((await runtime.request("group", { jid }))["data"], { subject: "Um" });
  await whatsapp.post(`/groups/${jid}`, { subject: "Dois" });
  assert.deepEqual((await runtime.request("group", { jid }))["data"], { subject: "Dois" });
});

test("a duplicate on the wire is one event", async () => {
  await whatsapp.fault({ kind: "duplicate", times: 1 });
  const ids = await whatsapp.write(CUSTOMER, PHONE, { texts: ["dobrada", "seguinte"] });
  await runtime.message(ids[1]!);
  assert.equal(runtime.messages().filter(({ data: { key } }) => key.id === ids[0]).length, 1);
  const { sent } = await whatsapp.sent(PHONE);
  assert.deepEqual(sent.find(({ id }) => id === ids[0])?.nacks, []);
});
