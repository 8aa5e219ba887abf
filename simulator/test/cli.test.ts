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
