/**
 * The usual way to keep messages with Baileys: its own state files, and a synced journal that is
 * written on `messages.upsert`. `node usual.ts <directory> [kill at the n-th message]`.
 *
 * It says `{"qr"}` or `{"open"}` on stdout. The kill comes before the message is written down.
 */

import { openSync, writeSync, fsyncSync } from "node:fs";
import { join } from "node:path";

import { makeWASocket, useMultiFileAuthState } from "baileys";

const quiet = (): void => undefined;
console.info = console.warn = console.error = quiet;
const logger = { level: "silent", child: () => logger, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };

const [, , directory, killAt] = process.argv;
const journal = openSync(join(directory!, "journal.jsonl"), "a");
let left = Number(killAt ?? 0);

async function connect(): Promise<void> {
  const { state, saveCreds } = await useMultiFileAuthState(join(directory!, "auth"));
  const sock = makeWASocket({ auth: state, logger, markOnlineOnConnect: false });
  sock.ev.on("creds.update", () => void saveCreds());
  sock.ev.on("connection.update", ({ connection, qr }) => {
    if (qr !== undefined) process.stdout.write(`${JSON.stringify({ qr })}\n`);
    if (connection === "open") process.stdout.write(`${JSON.stringify({ open: true })}\n`);
    if (connection === "close") setTimeout(() => void connect(), 50);
  });
  sock.ev.on("messages.upsert", ({ messages }) => {
    for (const { key, message } of messages) {
      if (!message || key.fromMe) continue;
      left -= 1;
      if (left === 0) process.kill(process.pid, "SIGKILL");
      writeSync(journal, `${JSON.stringify(key.id)}\n`);
      fsyncSync(journal);
    }
  });
}

await connect();
