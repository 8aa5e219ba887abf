import assert from "node:assert/strict";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { output, Program } from "./support/processes.ts";

const source = fileURLToPath(new URL("../src", import.meta.url));
const host = fileURLToPath(new URL("./support/host.ts", import.meta.url));
const PHONE = "5511912345678";
const CUSTOMER = "5521987650001";

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "simulator with spaces "));
  const baileys = createRequire(import.meta.url).resolve("baileys");
  await cp(source, join(directory, "src"), { recursive: true });
  await symlink(dirname(dirname(dirname(baileys))), join(directory, "node_modules"));
});

after(() => rm(directory, { recursive: true }));

async function start(...args: string[]): Promise<{ server: Program; whatsapp: string; admin: string }> {
  const server = new Program([join(directory, "src/cli.ts"), "start", "--stdin-eof", ...args]);
  const listening = await server.line("the first line", () => true);
  assert.equal(listening.event, "listening");
  return { server, whatsapp: String(listening.whatsappUrl), admin: String(listening.adminUrl) };
}

test("a host program with the preload pairs through the command line and survives a restart", async () => {
  const state = join(directory, "state.json");
  const first = await start("--state", state);
  const cli = (...args: string[]): Promise<unknown> =>
    output([join(directory, "src/cli.ts"), ...args], { WHATSAPP_SIMULATOR_ADMIN_URL: first.admin });
  const program = new Program([host], {
    NODE_OPTIONS: `--import ${pathToFileURL(join(directory, "src/preload.ts")).href}`,
    WHATSAPP_SIMULATOR_URL: first.whatsapp,
  });
  try {
    const { qr } = await program.line("a QR code", (line) => "qr" in line);
    await cli("phone", PHONE, "Loja");
    await cli("contact", CUSTOMER, "Ana");
    assert.deepEqual(await cli("scan", PHONE, String(qr)), {
      device: 1,
      jid: `${PHONE}:1@s.whatsapp.net`,
      lid: "298719836934799:1@lid",
    });
    await program.line("open", (line) => line.connection === "open");
    await cli("send", CUSTOMER, PHONE, "Oi,", "tudo", "bem?");
    await program.line("the text", (line) => line.text === "Oi, tudo bem?");
    const ledger = (await cli("ledger", "--phone", PHONE)) as { sent: { text: string }[] };
    assert.deepEqual(ledger.sent.map(({ text }) => text), ["Oi, tudo bem?"]);
  } finally {
    await first.server.end();
  }

  const second = await start("--state", state, "--port", new URL(first.admin).port);
  try {
    assert.equal(second.admin, first.admin);
    await cli("send", CUSTOMER, PHONE, "Voltei");
    await program.line("the text after the restart", (line) => line.text === "Voltei");
  } finally {
    await program.end();
    await second.server.end();
  }
});

test("every other command does what the usage says", async () => {
  const { server, admin } = await start();
  const cli = (...args: string[]): Promise<unknown> =>
    output([join(directory, "src/cli.ts"), ...args], { WHATSAPP_SIMULATOR_ADMIN_URL: admin });
  const refused = (...args: string[]): Promise<string> =>
    cli(...args).then(
      () => assert.fail(`taken: ${args.join(" ")}`),
      (error: { code: number; stderr: string }) => `${error.code} ${error.stderr}`,
    );
  try {
    await cli("phone", PHONE, "Loja");
    await cli("contact", CUSTOMER, "Ana");
    const { ids } = (await cli("send", CUSTOMER, PHONE, "--count", "2", "--interval", "1")) as { ids: string[] };
    assert.equal(ids.length, 2);
    assert.deepEqual(await cli("inbox", CUSTOMER), []);
    assert.deepEqual(await cli("read", CUSTOMER), { ids: [] });
    assert.deepEqual(await cli("deliver", CUSTOMER), { ids: [] });
    assert.deepEqual(await cli("logout", PHONE), { devices: [] });
    const group = (await cli("group", "Família", CUSTOMER, PHONE)) as { jid: string; subject: string };
    assert.deepEqual([group.subject, group.jid.endsWith("@g.us")], ["Família", true]);

    const fields = ["--phone", PHONE, "--code", "503", "--ms", "5", "--after", "3", "--times", "2", "--duration", "60000"];
    const fault = (await cli("fault", "drop", ...fields, "--reset")) as Record<string, unknown>;
    const asked = { kind: "drop", phone: PHONE, code: 503, ms: 5, after: 3, durationMs: 60000, reset: true };
    assert.deepEqual({ ...fault, ...asked }, fault);
    await cli("fault", "silence");
    assert.deepEqual(((await cli("faults")) as { kind: string }[]).map(({ kind }) => kind), ["drop", "silence"]);
    await cli("clear", String(fault.id));
    assert.deepEqual(((await cli("faults")) as { kind: string }[]).map(({ kind }) => kind), ["silence"]);
    await cli("clear");
    assert.deepEqual(await cli("faults"), []);

    assert.match(await refused("pair", PHONE, "ABCD1234"), /^1 whatsapp-simulator: .+/);
    assert.match(await refused("scan", PHONE), /^1 whatsapp-simulator: QR is missing/);
    assert.match(await refused("fault", "fire"), /^1 whatsapp-simulator: kind has to be one of/);
    assert.match(await refused("dance"), /^1 whatsapp-simulator: no such command: dance/);
    const state = (await cli("state")) as { phones: unknown[]; contacts: unknown[]; groups: unknown[] };
    assert.deepEqual([state.phones.length, state.contacts.length, state.groups.length], [1, 1, 1]);
  } finally {
    await server.end();
  }
});

test("the preload does nothing without its variable and refuses other hosts than loopback", async () => {
  const preload = pathToFileURL(join(directory, "src/preload.ts")).href;
  const baileys = pathToFileURL(createRequire(import.meta.url).resolve("baileys")).href;
  const script = `const b = await import(${JSON.stringify(baileys)});
    console.log(JSON.stringify(b.DEFAULT_CONNECTION_CONFIG.waWebSocketUrl));`;
  const args = ["--import", preload, "--input-type=module", "--eval", script];
  assert.equal(await output(args, { WHATSAPP_SIMULATOR_URL: "" }), "wss://web.whatsapp.com/ws/chat");
  const local = "ws://127.0.0.1:9/ws/chat";
  assert.equal(await output(args, { WHATSAPP_SIMULATOR_URL: local }), local);
  await assert.rejects(output(args, { WHATSAPP_SIMULATOR_URL: "ws://192.0.2.1/ws/chat" }), /on loopback/);
});
