import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { BufferJSON } from "baileys";
import type { AuthenticationCreds } from "baileys";

import { Store } from "../src/session/store.ts";
import { Bridge } from "./support/bridge.ts";
import { textOf } from "./support/runtime.ts";
import type { Runtime } from "./support/runtime.ts";
import { waitFor } from "./support/wait.ts";
import { WhatsApp } from "./support/whatsapp.ts";

const CUSTOMER = "5511911110001";

let data: string;
let whatsapp: WhatsApp;
let bridge: Bridge;
let next = 1;

before(async () => {
  data = await mkdtemp(join(tmpdir(), "bridge-"));
  whatsapp = await WhatsApp.start();
  await whatsapp.contact(CUSTOMER);
  bridge = await Bridge.start({ data, whatsappUrl: whatsapp.url });
});

after(async () => {
  await bridge?.stop();
  await whatsapp?.close();
  await rm(data, { recursive: true });
});

interface Scene {
  readonly id: string;
  readonly phone: string;
  readonly runtime: Runtime;
}

/** A phone and a connection of its own. */
async function scene(): Promise<Scene> {
  const number = next++;
  const phone = `551190000${String(number).padStart(4, "0")}`;
  await whatsapp.phone(phone);
  const id = `connection${number}`;
  const runtime = await bridge.attach(id);
  runtime.autoAck = true;
  await runtime.hello();
  return { id, phone, runtime };
}

async function pairedScene(): Promise<Scene> {
  const made = await scene();
  await whatsapp.pair(made.runtime, made.phone);
  return made;
}

test("pairing by QR: connecting, qr, 515, connecting, open; registered afterwards", async () => {
  const { id, phone, runtime } = await pairedScene();
  const states = runtime.frames.filter(({ type }) => type === "state");
  assert.deepEqual(
    states.map((frame) => frame["code"] ?? frame["state"]),
    ["connecting", "qr", 515, "connecting", "open"],
  );
  const qr = states[1]!;
  const left = Number(qr["expiresAt"]) - Date.now();
  assert.ok(left > 50_000 && left <= 60_000);
  const { me } = states[4] as unknown as { me: { phone: string; lid: string } };
  assert.equal(me.phone, phone);
  assert.match(me.lid, /@lid$/);
  await runtime.close();
  const again = await bridge.attach(id);
  const welcome = await again.hello();
  assert.equal(welcome["registered"], true);
  assert.equal((welcome["me"] as { phone: string }).phone, phone);
  await again.close();
});

test("pairing by code", async () => {
  const { phone, runtime } = await scene();
  runtime.send({ type: "open" });
  const reply = await runtime.request("pairingCode", { phone });
  const { pairingCode } = reply["data"] as { pairingCode: string };
  assert.match(pairingCode, /^[A-Z0-9]{8}$/);
  await whatsapp.post(`/phones/${phone}/pair`, { code: pairingCode });
  await runtime.state("closed");
  runtime.send({ type: "open" });
  await runtime.state("open");
  await runtime.close();
});

test("an abandoned pairing code does not keep the next QR away", async () => {
  const { phone, runtime } = await scene();
  runtime.send({ type: "open" });
  await runtime.request("pairingCode", { phone });
  runtime.send({ type: "open" });
  await runtime.state("qr", 1);
  await runtime.close();
});

test("what arrives while closed comes after the next open, marked offline", async () => {
  const { phone, runtime } = await pairedScene();
  runtime.send({ type: "close" });
  const closed = await runtime.state("closed", 1);
  assert.equal(closed["code"], 1000);
  const ids = await whatsapp.write(CUSTOMER, phone, { texts: ["um", "dois", "três"] });
  runtime.send({ type: "open" });
  await runtime.message(ids[2]!);
  assert.deepEqual(
    runtime.messages().map(({ data: { key, offline } }) => [key.id, offline]),
    ids.map((id) => [id, true]),
  );
  await runtime.close();
});

test("redelivery after lost receipts is not a second event", async () => {
  const { phone, runtime } = await pairedScene();
  const fault = await whatsapp.fault({ kind: "lose-receipts", phone });
  const [id] = await whatsapp.write(CUSTOMER, phone, { text: "sem recibo" });
  await runtime.message(id!);
  await whatsapp.call("DELETE", `/faults/${fault.id}`);
  runtime.send({ type: "open" });
  await waitFor("the receipt at last", async () => {
    const { sent } = await whatsapp.sent(phone);
    return sent.find((one) => one.id === id)?.delivered;
  });
  assert.equal(runtime.messages().filter(({ data: { key } }) => key.id === id).length, 1);
  await runtime.close();
});

test("opening again and again leaves one socket, the older ones are silent", async () => {
  const { phone, runtime } = await pairedScene();
  for (let turn = 0; turn < 5; turn += 1) runtime.send({ type: "open" });
  await waitFor("the last one", () => {
    const states = runtime.frames.filter(({ type }) => type === "state");
    return states.at(-1)?.["state"] === "open";
  });
  const [id] = await whatsapp.write(CUSTOMER, phone, { text: "uma só" });
  await runtime.message(id!);
  assert.equal(runtime.messages().length, 1);
  assert.equal(runtime.states("closed").length, 1, "only the 515 of pairing");
  await runtime.close();
});

for (const [what, fault, code] of [
  ["a dropped connection", { kind: "drop" }, 428],
  ["a replaced session", { kind: "stream-error", code: 440 }, 440],
  ["an unavailable server", { kind: "stream-error", code: 503 }, 503],
] as const) {
  test(`${what} is closed with ${code}, and the connection can be opened again`, async () => {
    const { phone, runtime } = await pairedScene();
    await whatsapp.fault({ ...fault, phone, times: 1 });
    assert.equal((await runtime.state("closed", 1))["code"], code);
    runtime.send({ type: "open" });
    await runtime.state("open", 1);
    await runtime.close();
  });
}

test("a refused login tells its code", async () => {
  const { phone, runtime } = await pairedScene();
  await whatsapp.fault({ kind: "refuse-login", phone, code: 403, times: 1 });
  runtime.send({ type: "open" });
  assert.equal((await runtime.state("closed", 1))["code"], 403);
  await runtime.close();
});

test("a refused upgrade is closed at once, not never", async () => {
  const { runtime } = await scene();
  await whatsapp.fault({ kind: "refuse-upgrade", code: 503, times: 1 });
  runtime.send({ type: "open" });
  const closed = await runtime.state("closed");
  assert.deepEqual([closed["code"], closed["reason"]], [503, "upgrade answered with 503"]);
  await runtime.close();
});

test("a logout on the phone is 401; logging out archives what there is", async () => {
  const { id, phone, runtime } = await pairedScene();
  runtime.autoAck = false;
  const [message] = await whatsapp.write(CUSTOMER, phone, { text: "última" });
  const event = await runtime.message(message!);
  await whatsapp.post(`/phones/${phone}/logout`);
  assert.equal((await runtime.state("closed", 1))["code"], 401);
  const reply = await runtime.request("logout");
  assert.equal(reply["ok"], true);
  const files = (await readdir(data)).filter((name) => name.startsWith(`${id}.`));
  assert.ok(files.some((name) => /^connection\d+\.\d+\.archived\.sqlite$/.test(name)));
  const again = await runtime.message(message!, 1);
  assert.deepEqual(again, event, "what was not acknowledged is not archived away");
  runtime.send({ type: "open" });
  await runtime.state("qr", 1);
  await runtime.close();
  const reattached = await bridge.attach(id);
  const welcome = await reattached.hello();
  assert.equal(welcome["registered"], false);
  assert.equal(welcome["epoch"], (reply["data"] as { epoch: string }).epoch);
  await reattached.close();
});

const archivesOf = async (id: string): Promise<string[]> =>
  (await readdir(data)).filter((name) => name.startsWith(`${id}.`) && name.endsWith(".archived.sqlite"));

test("an archive is restored, with the messages that wait on either side", async () => {
  const { id, phone, runtime } = await pairedScene();
  runtime.send({ type: "close" });
  await runtime.state("closed", 1);
  const first = (await runtime.request("logout", { reason: "logged_out" }))["data"] as { epoch: string };
  assert.equal((await archivesOf(id)).length, 1);
  runtime.send({ type: "open" });
  const { qr } = await runtime.state("qr", 1);
  await whatsapp.post(`/phones/${phone}/scan`, { qr });
  await runtime.state("closed", 2);
  runtime.send({ type: "open" });
  await runtime.state("open", 1);
  runtime.autoAck = false;
  const [waiting] = await whatsapp.write(CUSTOMER, phone, { text: "espera" });
  const event = await runtime.message(waiting!);
  const [archived] = await archivesOf(id);
  const restored = await runtime.request("restore", { archive: archived!.split(".")[1] });
  assert.equal(restored["ok"], true, JSON.stringify(restored));
  assert.notEqual((restored["data"] as { epoch: string }).epoch, first.epoch);
  assert.deepEqual(await runtime.message(waiting!, 1), event, "its number, too");
  const [left] = await archivesOf(id);
  assert.notEqual(left, archived, "the present one took its place among the archives");
  runtime.autoAck = true;
  const codes = runtime.states("qr").length;
  runtime.send({ type: "open" });
  await runtime.state("open", 2);
  assert.equal(runtime.states("qr").length, codes, "no new code");
  const [later] = await whatsapp.write(CUSTOMER, phone, { text: "de volta" });
  assert.ok((await runtime.message(later!)).seq > event.seq);
  await runtime.close();
});

test("what was never paired is not archived, and no archive is said to be none", async () => {
  const { id, runtime } = await scene();
  assert.equal((await runtime.request("logout"))["ok"], true);
  assert.deepEqual(await archivesOf(id), []);
  const refused = await runtime.request("restore", { archive: "1700000000000" });
  assert.equal((refused["error"] as { code: string }).code, "no_archive");
  await writeFile(join(data, `${id}.5.archived.sqlite`), "no database");
  const broken = await runtime.request("restore", { archive: "5" });
  assert.equal((broken["error"] as { code: string }).code, "archive_unusable");
  assert.deepEqual(await archivesOf(id), [`${id}.5.archived.sqlite`]);
  runtime.send({ type: "open" });
  await runtime.state("qr");
  await runtime.close();
});

test("a change of databases that a crash cut in two is finished at the next start", async () => {
  const { id, runtime } = await pairedScene();
  const welcome = runtime.frames[0]!;
  await runtime.close();
  await released(id);
  const [current, next] = [join(data, `${id}.sqlite`), join(data, `${id}.next.sqlite`)];
  await writeFile(next, "half a copy");
  const again = await bridge.attach(id);
  assert.equal((await again.hello())["epoch"], welcome["epoch"], "the successor was not whole yet");
  await again.close();
  await released(id);
  assert.equal(existsSync(next), false);
  await rename(current, next);
  const last = await bridge.attach(id);
  assert.equal((await last.hello())["registered"], true);
  await last.close();
});

function released(id: string): Promise<true> {
  return waitFor("the store to be free", async () => {
    const { connections } = (await (await bridge.health()).json()) as { connections: { id: string }[] };
    return connections.every((one) => one.id !== id);
  }) as Promise<true>;
}

test("logging out here removes the device from the phone", async () => {
  const { phone, runtime } = await pairedScene();
  assert.equal((await runtime.request("logout"))["ok"], true);
  await waitFor("the device to be gone", async () => {
    const account = await whatsapp.call<{ companions: unknown[] }>("GET", `/phones/${phone}`);
    return account.companions.length === 0;
  });
  await runtime.close();
});

test("two connections of one process know nothing of each other", async () => {
  const [one, two] = [await pairedScene(), await pairedScene()];
  const [toOne] = await whatsapp.write(CUSTOMER, one.phone, { text: "para um" });
  const [toTwo] = await whatsapp.write(CUSTOMER, two.phone, { text: "para dois" });
  assert.equal(textOf((await one.runtime.message(toOne!)).data.message), "para um");
  assert.equal(textOf((await two.runtime.message(toTwo!)).data.message), "para dois");
  assert.deepEqual([one.runtime.messages().length, two.runtime.messages().length], [1, 1]);
  await whatsapp.post(`/phones/${one.phone}/logout`);
  await one.runtime.state("closed", 1);
  assert.equal((await two.runtime.request("probe"))["ok"], true);
  await one.runtime.close();
  await two.runtime.close();
});

test("a learned LID is a contact event", async () => {
  const { runtime } = await pairedScene();
  const contact = await waitFor("the contact", () =>
    runtime.events("contact").find((frame) => {
      return (frame["data"] as { phone: string }).phone === CUSTOMER;
    }),
  );
  assert.match((contact["data"] as { lid: string }).lid, /^\d+@lid$/);
  await runtime.close();
});

test("keys from the phone survive a crash between their receipt and their use", async () => {
  const { id, phone, runtime } = await scene();
  runtime.send({ type: "open" });
  const { qr } = await runtime.state("qr");
  await whatsapp.post(`/phones/${phone}/scan`, { qr });
  await runtime.state("closed");
  await runtime.close();

  const failpoint = "receipt-before-peer:kill";
  const crashing = await Bridge.start({ data, whatsappUrl: whatsapp.url, failpoint });
  const first = await crashing.attach(id);
  await first.hello();
  first.send({ type: "open" });
  assert.equal((await crashing.exited()).signal, "SIGKILL");

  const second = await bridge.attach(id);
  await second.hello();
  second.send({ type: "open" });
  await second.state("open");
  const stored = join(data, `${id}.sqlite`);
  const [customer] = await whatsapp.write(CUSTOMER, phone, { text: "depois das chaves" });
  await second.message(customer!);
  await second.close();
  await released(id);
  const store = new Store(stored, (error) => {
    throw error;
  });
  const creds = JSON.parse(store.credentials()!, BufferJSON.reviver) as AuthenticationCreds;
  assert.ok(creds.myAppStateKeyId);
  assert.ok(store.keys("app-state-sync-key", [creds.myAppStateKeyId])[creds.myAppStateKeyId]);
  assert.deepEqual(store.unprocessedPeers(), []);
  store.close();
});

test("nothing secret is ever printed", () => {
  const printed = bridge.lines.join("\n");
  for (const secret of ["privKey", "sem recibo", "última", CUSTOMER]) {
    assert.equal(printed.includes(secret), false, secret);
  }
  assert.equal(bridge.stderr, "");
});
