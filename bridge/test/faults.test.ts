/** The bridge killed at every place where a message could get lost: none is, none is doubled. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Bridge } from "./support/bridge.ts";
import { textOf } from "./support/runtime.ts";
import type { MessageEvent, Runtime } from "./support/runtime.ts";
import { waitFor } from "./support/wait.ts";
import { WhatsApp } from "./support/whatsapp.ts";

const PHONE = "5511900000001";
const CUSTOMER = "5511911110001";
const BATCH = 12;

let data: string;
let whatsapp: WhatsApp;
let group: string;

before(async () => {
  data = await mkdtemp(join(tmpdir(), "bridge-"));
  whatsapp = await WhatsApp.start();
  await whatsapp.phone(PHONE);
  await whatsapp.contact(CUSTOMER);
  const made = await whatsapp.post<{ jid: string }>("/groups", {
    subject: "Clientes",
    members: [PHONE, CUSTOMER],
  });
  group = made.jid;
  const bridge = await Bridge.start({ data, whatsappUrl: whatsapp.url });
  const runtime = await bridge.attach("main");
  await runtime.hello();
  await whatsapp.pair(runtime, PHONE);
  const [id] = await whatsapp.write(CUSTOMER, PHONE, { text: "primeira" });
  await runtime.message(id!);
  runtime.send({ type: "ack", seq: runtime.frames.findLast(({ type }) => type === "event")?.["seq"] });
  await bridge.stop();
});

after(async () => {
  await whatsapp?.close();
  await rm(data, { recursive: true });
});

async function attach(bridge: Bridge): Promise<Runtime> {
  const runtime = await bridge.attach("main");
  runtime.autoAck = true;
  await runtime.hello();
  runtime.send({ type: "open" });
  return runtime;
}

/** Everything that a runtime which survives the bridge would have made durable. */
function collect(runtimes: readonly Runtime[]): Map<string, MessageEvent> {
  const kept = new Map<string, MessageEvent>();
  for (const runtime of runtimes) {
    for (const event of runtime.messages()) {
      const known = kept.get(event.data.key.id);
      if (known === undefined || known.data.stub !== null) kept.set(event.data.key.id, event);
    }
  }
  return kept;
}

interface Traffic {
  readonly what: string;
  readonly write: (texts: readonly string[]) => Promise<string[]>;
}

/** The ledger knows of receipts to customers only. */
const OWN_MESSAGES = "messages from the phone itself";

const TRAFFIC: readonly Traffic[] = [
  { what: "direct messages", write: (texts) => whatsapp.write(CUSTOMER, PHONE, { texts }) },
  { what: "group messages", write: (texts) => whatsapp.write(CUSTOMER, group, { texts }) },
  {
    what: OWN_MESSAGES,
    write: async (texts) => {
      const body = { to: CUSTOMER, texts };
      return (await whatsapp.post<{ ids: string[] }>(`/phones/${PHONE}/send`, body)).ids;
    },
  },
];

/** Where a crash could part a plaintext from its ratchet, for every kind of message. */
const MOMENTS = ["mid-commit", "committed-before-receipt"];

const FAILPOINTS = [
  // First, while nothing is left over: what is told to WhatsApp is then ahead of the runtime.
  "receipt-before-event",
  "decrypted-before-commit",
  "mid-commit",
  "committed-before-receipt",
  "event-before-frame",
  "frame-before-ack",
];

/** That the process died where the name says, seen from both sides. */
async function checkMoment(
  name: string,
  runtimes: readonly Runtime[],
  ids: readonly string[],
): Promise<void> {
  const { sent } = await whatsapp.sent(PHONE);
  const told = sent.filter(({ id, delivered }) => ids.includes(id) && delivered).length;
  const kept = [...collect(runtimes).keys()].filter((id) => ids.includes(id)).length;
  if (name === "receipt-before-event") assert.ok(told > kept, `told ${told}, kept ${kept}`);
  if (name.endsWith("commit")) assert.ok(told < ids.length);
}

for (const [index, { what, write }] of TRAFFIC.entries()) {
  test(`${what}, killed again and again`, async (context) => {
    const runtimes: Runtime[] = [];
    const ids: string[] = [];
    const texts: string[] = [];
    for (const name of index === 0 ? FAILPOINTS : MOMENTS) {
      await context.test(`at ${name}`, async () => {
        const failpoint = `${name}:kill@4`;
        const bridge = await Bridge.start({ data, whatsappUrl: whatsapp.url, failpoint });
        const runtime = await attach(bridge);
        runtimes.push(runtime);
        // What the last kill left behind may be enough for this one.
        await waitFor("open or dead", () => runtime.states("open")[0] ?? bridge.hasExited);
        const batch = Array.from({ length: BATCH }, (_, nth) => `${name} ${nth}`);
        ids.push(...(await write(batch)));
        texts.push(...batch);
        assert.equal((await bridge.exited()).signal, "SIGKILL");
        if (what !== OWN_MESSAGES) await checkMoment(name, runtimes, ids);
      });
    }
    await context.test("nothing is lost, doubled or out of order", async () => {
      const bridge = await Bridge.start({ data, whatsappUrl: whatsapp.url });
      runtimes.push(await attach(bridge));
      await waitFor("all messages", () => ids.every((id) => collect(runtimes).has(id)));
      const kept = collect(runtimes);
      assert.deepEqual(
        ids.map((id) => textOf(kept.get(id)!.data.message)),
        texts,
      );
      const order = [...kept.values()].filter(({ data: { key } }) => ids.includes(key.id));
      assert.deepEqual(
        order.map(({ data: { key } }) => key.id),
        ids,
      );
      assert.ok(order.every(({ data: { stub } }) => stub === null));
      const { sent } = await waitFor("all receipts", async () => {
        const ledger = await whatsapp.sent(PHONE);
        const mine = ledger.sent.filter(({ id }) => ids.includes(id));
        return mine.every(({ delivered }) => delivered) && ledger;
      });
      for (const record of sent) assert.deepEqual([record.nacks, record.retries], [[], 0]);
      await bridge.stop();
    });
  });
}

for (const name of ["stored-before-send", "sent-before-reply"]) {
  test(`a message of ours, killed at ${name} and sent again, is shown once`, async () => {
    const send = (runtime: Runtime, messageId: string): Promise<unknown> =>
      runtime.request("send", {
        messageId,
        to: `${CUSTOMER}@s.whatsapp.net`,
        content: { text: messageId },
      });
    const [killed, following] = [`${name}-1`, `${name}-2`];
    const failpoint = `${name}:kill`;
    const crashing = await Bridge.start({ data, whatsappUrl: whatsapp.url, failpoint });
    const first = await attach(crashing);
    await first.state("open");
    send(first, killed).catch(() => undefined);
    await crashing.exited();

    const bridge = await Bridge.start({ data, whatsappUrl: whatsapp.url });
    const second = await attach(bridge);
    await second.state("open");
    await send(second, killed);
    await send(second, following);
    await second.status(killed, "delivered");
    await second.status(following, "delivered");
    const shown = (await whatsapp.inbox(CUSTOMER)).filter(({ id }) => id.startsWith(name));
    assert.deepEqual(
      shown.map(({ id, text, arrivals }) => [id, text, arrivals]),
      [
        [killed, killed, name === "sent-before-reply" ? 2 : 1],
        [following, following, 1],
      ],
    );
    await bridge.stop();
  });
}

test("a disk that fails ends the process with 74, neither ack nor nack leaves", async () => {
  const bridge = await Bridge.start({
    data,
    whatsappUrl: whatsapp.url,
    failpoint: "mid-commit:fail",
  });
  await (await attach(bridge)).state("open");
  const [id] = await whatsapp.write(CUSTOMER, PHONE, { text: "disco cheio" });
  assert.equal((await bridge.exited()).code, 74);
  const record = (await whatsapp.sent(PHONE)).sent.find((one) => one.id === id);
  assert.deepEqual([record?.delivered, record?.nacks], [false, []]);
  const next = await Bridge.start({ data, whatsappUrl: whatsapp.url });
  const { data: message } = await (await attach(next)).message(id!);
  assert.equal(textOf(message.message), "disco cheio");
  await next.stop();
});

test("events that were not acknowledged come again, with the same numbers", async () => {
  const bridge = await Bridge.start({ data, whatsappUrl: whatsapp.url });
  const first = await bridge.attach("main");
  await first.hello(3);
  first.send({ type: "open" });
  await first.state("open");
  const ids = await whatsapp.write(CUSTOMER, PHONE, { texts: ["a", "b", "c", "d", "e"] });
  await first.message(ids[2]!);
  assert.equal(first.messages().length, 3, "the window is three events");
  await waitFor("all five to be stored", async () => {
    const health = (await (await bridge.health()).json()) as {
      connections: { pendingEvents: number }[];
    };
    return health.connections[0]?.pendingEvents === 5;
  });
  await bridge.kill();

  const again = await Bridge.start({ data, whatsappUrl: whatsapp.url });
  const second = await again.attach("main");
  const welcome = await second.hello(3);
  assert.equal(welcome["pendingEvents"], 5);
  await second.message(ids[2]!);
  assert.deepEqual(second.messages(), first.messages());
  second.send({ type: "ack", seq: second.messages()[1]!.seq });
  await second.message(ids[4]!);
  assert.deepEqual(
    second.messages().map(({ data: { key } }) => key.id),
    ids,
  );
  await again.stop();
});
