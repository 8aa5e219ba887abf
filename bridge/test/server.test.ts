import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { Bridge, TOKEN } from "./support/bridge.ts";
import { waitFor } from "./support/wait.ts";

let data: string;
let bridge: Bridge;

before(async () => {
  data = join(await mkdtemp(join(tmpdir(), "bridge-")), "data");
  bridge = await Bridge.start({ data });
});

after(async () => {
  await bridge?.stop();
  await rm(data, { recursive: true });
});

function upgradeStatus(path: string, authorization?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization };
    const ws = new WebSocket(`ws://127.0.0.1:${bridge.port}${path}`, { headers });
    ws.on("unexpected-response", (_request, response) => {
      resolve(response.statusCode ?? 0);
      response.resume();
    });
    ws.on("open", () => reject(new Error("was let in")));
    ws.on("error", () => undefined);
  });
}

test("it says where it listens, without its token", () => {
  const [record] = bridge.records;
  assert.equal(record?.["event"], "listening");
  assert.equal(record?.["baileys"], "7.0.0-rc14");
  assert.ok(!bridge.lines.join().includes(TOKEN));
});

test("without the right token there is nothing to see", async () => {
  assert.equal((await bridge.health("wrong")).status, 401);
  const { port } = bridge;
  assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 401);
  assert.equal(await upgradeStatus("/connections/a"), 401);
  assert.equal(await upgradeStatus("/connections/a", "Bearer wrong"), 401);
  assert.equal(await upgradeStatus("/connections/a", TOKEN), 401);
});

test("a connection id that is no plain name is refused", async () => {
  const authorization = `Bearer ${TOKEN}`;
  for (const id of ["", "a.b", "%2e%2e%2fa", "x".repeat(65)]) {
    assert.equal(await upgradeStatus(`/connections/${id}`, authorization), 400, id);
  }
  assert.equal(await upgradeStatus("/other", authorization), 404);
  assert.equal(await upgradeStatus("/connections/a/b", authorization), 404);
});

test("health tells figures and connections", async () => {
  const runtime = await bridge.attach("healthy");
  await runtime.hello();
  const health = (await (await bridge.health()).json()) as Record<string, unknown>;
  assert.equal(health["status"], "ok");
  for (const figure of ["uptimeMs", "rssBytes", "heapUsedBytes", "eventLoopLagMs", "decryptFailures"]) {
    assert.equal(typeof health[figure], "number", figure);
  }
  assert.deepEqual(health["connections"], [
    { id: "healthy", state: "closed", lastFrameAt: null, pendingEvents: 0, unfilledStubs: 0 },
  ]);
  await runtime.close();
});

test("credentials are private files", async () => {
  const runtime = await bridge.attach("private");
  const welcome = await runtime.hello();
  assert.equal(welcome["registered"], false);
  assert.equal(welcome["me"], null);
  assert.match(String(welcome["epoch"]), /^[0-9a-f-]{36}$/);
  assert.equal((await stat(data)).mode & 0o777, 0o700);
  assert.equal((await stat(join(data, "private.sqlite"))).mode & 0o777, 0o600);
  await runtime.close();
});

for (const [what, frame] of [
  ["no JSON", "{"],
  ["another version", '{"v":9,"type":"open"}'],
  ["an unknown type", '{"v":1,"type":"reboot"}'],
  ["hello missing", '{"v":1,"type":"open"}'],
  ["a bad field", '{"v":1,"type":"hello","generation":1,"window":"many"}'],
] as const) {
  test(`a malformed frame (${what}) is answered by a fault and 4002`, async () => {
    const runtime = await bridge.attach("malformed");
    runtime.ws.send(frame);
    assert.match(String((await runtime.frame("fault"))["message"]), /./);
    await waitFor("the close", () => runtime.closeCode === 4002);
  });
}

test("a request that is not in the protocol is answered, and the connection lives on", async () => {
  const runtime = await bridge.attach("patient");
  await runtime.hello();
  const to = "5511987654321@s.whatsapp.net";
  for (const [type, fields] of [
    ["send", { messageId: "M1", to, content: { text: "a", mentions: ["1@g.us"] } }],
    ["send", { messageId: "M1", to, content: { hologram: {} } }],
    ["read", { chat: to, ids: ["x".repeat(256)] }],
    ["check", { phones: [] }],
  ] as const) {
    const { code, retryable } = (await runtime.request(type, fields))["error"] as { code: string; retryable: boolean };
    assert.deepEqual([code, retryable], ["malformed", false], JSON.stringify(fields));
  }
  const read = (await runtime.request("read", { chat: to, ids: ["what others' clients call it"] }))["error"];
  assert.equal((read as { code: string }).code, "not_connected");
  await runtime.close();
});

test("a frame that is too large closes the connection, the process lives on", async () => {
  const runtime = await bridge.attach("large");
  await runtime.hello();
  runtime.ws.send("x".repeat(2 * 1024 * 1024));
  await waitFor("the close", () => runtime.closeCode === 1009);
  assert.equal((await bridge.health()).status, 200);
});

test("a newer runtime takes the place of the older one", async () => {
  const older = await bridge.attach("shared");
  await older.hello();
  const newer = await bridge.attach("shared");
  await waitFor("the older one's end", () => older.closeCode === 4001);
  const welcome = await newer.hello();
  assert.equal(welcome["epoch"], older.frames[0]?.["epoch"]);
  await newer.close();
});

test("a damaged database refuses its own connection only", async () => {
  const { writeFile } = await import("node:fs/promises");
  await writeFile(join(data, "damaged.sqlite"), Buffer.alloc(8192, "no database"));
  const runtime = await bridge.attach("damaged");
  assert.match(String((await runtime.frame("fault"))["message"]), /^storage: /);
  await waitFor("the close", () => runtime.closeCode === 4003);
  const other = await bridge.attach("sound");
  await other.hello();
  await other.close();
});

test("requests need an open connection", async () => {
  const runtime = await bridge.attach("closed");
  await runtime.hello();
  const content = { text: "a" };
  for (const [type, fields, code] of [
    ["send", { messageId: "M1", to: "5511987654321@s.whatsapp.net", content }, "not_connected"],
    ["check", { phones: ["5511987654321"] }, "not_connected"],
    ["probe", {}, "not_connected"],
    ["pairingCode", { phone: "5511987654321" }, "not_ready"],
  ] as const) {
    const reply = await runtime.request(type, fields);
    assert.equal(reply["ok"], false);
    assert.equal((reply["error"] as { code: string }).code, code);
  }
  await runtime.close();
});

test("the end of stdin and SIGTERM end it in order", async () => {
  for (const end of ["stdin", "SIGTERM"] as const) {
    const own = await Bridge.start({ data: `${data}-${end}` });
    const runtime = await own.attach("a");
    await runtime.hello();
    const started = performance.now();
    if (end === "stdin") own.child.stdin!.end();
    else own.child.kill("SIGTERM");
    assert.deepEqual(await own.exited(), { code: 0, signal: null });
    assert.ok(performance.now() - started < 2000);
    await waitFor("the close", () => runtime.closeCode === 1001);
    assert.equal(own.stderr, "");
    await rm(`${data}-${end}`, { recursive: true });
  }
});
