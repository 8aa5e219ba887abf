import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { type Simulator, startSimulator } from "../src/server.ts";
import { Client } from "./support/client.ts";
import { waitFor } from "./support/wait.ts";

const PHONE = "5511912345678";
const CUSTOMER = "5521987650001";
const TOKEN = "segredo-de-teste";

let simulator: Simulator;

before(async () => {
  simulator = await startSimulator({ token: TOKEN });
});

after(() => simulator.close());

type Answer = { status: number; body: Record<string, unknown> };

async function call(method: string, path: string, body?: unknown, token = TOKEN): Promise<Answer> {
  const response = await fetch(simulator.adminUrl + path, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const post = (path: string, body: unknown = {}): Promise<Answer> => call("POST", path, body);

test("the whole conversation over HTTP: pair, write, read, log out", async () => {
  const client = new Client(simulator.whatsappUrl);
  client.connect();
  assert.equal((await post("/phones", { number: `+${PHONE}`, name: "Loja" })).status, 200);
  assert.equal((await post("/contacts", { number: CUSTOMER, name: "Ana" })).status, 200);
  const scanned = await post(`/phones/${PHONE}/scan`, { qr: await client.qr() });
  assert.deepEqual([scanned.status, scanned.body.jid], [200, `${PHONE}:1@s.whatsapp.net`]);
  await client.closed();
  client.connect();
  await client.opened();

  const { body: sent } = await post(`/contacts/${CUSTOMER}/send`, { to: PHONE, count: 3, intervalMs: 5 });
  assert.equal((sent.ids as string[]).length, 3);
  await waitFor("three lines", () => client.texts().length === 3);
  const { body: ledger } = await call("GET", `/ledger?phone=${PHONE}`);
  const written = ledger.sent as { id: string; text: string }[];
  assert.deepEqual(written.map(({ id }) => id), sent.ids);
  assert.deepEqual(written.map(({ text }) => text), client.texts());

  const { key } = await client.send(`${CUSTOMER}@s.whatsapp.net`, "Às ordens!");
  await waitFor("the text", async () => {
    const inbox = (await call("GET", `/contacts/${CUSTOMER}/inbox`)).body as unknown as { id: string }[];
    return inbox.some(({ id }) => id === key.id);
  });
  assert.deepEqual((await post(`/contacts/${CUSTOMER}/read`)).body, { ids: [key.id] });
  await waitFor("the read status", () => client.updates.some((one) => one.update.status === 4));

  assert.deepEqual((await post(`/phones/${PHONE}/logout`)).body, { devices: [1] });
  assert.equal(await client.closed(2), 401);
  const state = await waitFor("the end of the connection", async () => {
    const { body } = await call("GET", "/state");
    return (body.connections as unknown[]).length === 0 && body;
  });
  assert.deepEqual(state.unknownRequests, {});
});

test("wrong requests get the right status and say what is wrong", async () => {
  assert.equal((await call("GET", "/state", undefined, "falso")).status, 401);
  assert.equal((await call("GET", "/health", undefined, "falso")).status, 200);
  assert.equal((await call("GET", "/nothing")).status, 404);
  assert.equal((await post("/phones", "{")).status, 400);
  assert.equal((await post("/phones", [])).status, 400);
  assert.match(String((await post("/phones", { number: "abc" })).body.error), /not a phone number/);
  await post("/phones", { number: "5511900000001" });
  assert.equal((await post("/phones", { number: "5511900000001" })).status, 409);
  assert.equal((await post("/phones/5511900000001/scan", { qr: "a,b,c,d" })).status, 409);
  assert.equal((await post("/phones/5511900000001/scan", { qr: "junk" })).status, 400);
  assert.equal((await post("/contacts/5511900000009/send", { to: "5511900000001", text: "Oi" })).status, 404);
  assert.match(String((await post("/faults", { kind: "fire" })).body.error), /kind has to be one of/);
  assert.equal((await call("DELETE", "/faults/99")).status, 404);
});

test("a request under another host name is refused", async () => {
  const status = await new Promise((resolve, reject) => {
    request(`${simulator.adminUrl}/health`, { headers: { host: "evil.example" } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
  assert.equal(status, 403);
});

test("faults are listed, used up and cleared", async () => {
  const { body: fault } = await post("/faults", { kind: "delay", ms: 5, durationMs: 20 });
  assert.deepEqual([fault.kind, fault.remaining], ["delay", null]);
  await waitFor("its end", async () => ((await call("GET", "/faults")).body as unknown as unknown[]).length === 0);
  await post("/faults", { kind: "refuse-upgrade", code: 429, times: 1 });
  await call("DELETE", "/faults");
  assert.deepEqual((await call("GET", "/faults")).body, []);
});

test("the simulator refuses to listen anywhere but on loopback", async () => {
  await assert.rejects(startSimulator({ host: "0.0.0.0" }), /loopback only/);
});
