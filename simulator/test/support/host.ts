// A host program that knows nothing of the simulator: plain Baileys, its state in memory, events
// as JSON lines on stdout. Which server it meets is decided by what was preloaded.
import { makeWASocket } from "baileys";
import { memoryAuth, silentLogger } from "./auth.ts";

const RECONNECT_MS = 50;

console.info = console.warn = console.error = () => undefined;

const auth = memoryAuth();

function tell(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function connect(): void {
  const socket = makeWASocket({ auth, logger: silentLogger });
  socket.ev.on("creds.update", (update) => Object.assign(auth.creds, update));
  socket.ev.on("connection.update", ({ connection, qr }) => {
    if (qr !== undefined) tell({ qr });
    if (connection !== undefined) tell({ connection });
    if (connection === "close") setTimeout(connect, RECONNECT_MS);
  });
  socket.ev.on("messages.upsert", ({ messages }) => {
    for (const { key, message } of messages) if (message?.conversation) tell({ from: key.remoteJid, text: message.conversation });
  });
}

process.stdin.on("end", () => process.exit(0)).resume();
connect();
