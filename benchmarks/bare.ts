// The limit: a Baileys client with its state in memory that throws messages away.
//
// stdout: one JSON line per event: qr, open, expecting, and received with the time of each message. stdin: a
// number per line: how many messages to expect next.
import { createInterface } from "node:readline";

import { initAuthCreds, makeWASocket } from "baileys";
import type { AuthenticationState, SignalDataSet, SignalDataTypeMap, UserFacingSocketConfig } from "baileys";

const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
// libsignal reports sessions, keys included, on the console.
console.log = console.info = console.warn = console.error = () => undefined;

const silent = {
  level: "silent",
  child: () => silent,
  ...Object.fromEntries(["trace", "debug", "info", "warn", "error"].map((level) => [level, () => undefined])),
} as unknown as NonNullable<UserFacingSocketConfig["logger"]>;

const keys = new Map<string, unknown>();
const auth: AuthenticationState = {
  creds: initAuthCreds(),
  keys: {
    get<T extends keyof SignalDataTypeMap>(type: T, ids: string[]) {
      return Object.fromEntries(
        ids.flatMap((id) => (keys.has(`${type}:${id}`) ? [[id, keys.get(`${type}:${id}`)]] : [])),
      ) as Record<string, SignalDataTypeMap[T]>;
    },
    set(data: SignalDataSet) {
      for (const [type, values] of Object.entries(data)) {
        for (const [id, value] of Object.entries(values ?? {})) {
          if (value === null || value === undefined) keys.delete(`${type}:${id}`);
          else keys.set(`${type}:${id}`, value);
        }
      }
    },
  },
};

let expected = 0;
const at = new Map<string, number>();
createInterface({ input: process.stdin }).on("line", (line) => {
  expected = Number(line);
  at.clear();
  say({ event: "expecting" });
});

function connect(): void {
  const socket = makeWASocket({ auth, logger: silent, markOnlineOnConnect: false, syncFullHistory: false });
  socket.ev.on("creds.update", (update) => Object.assign(auth.creds, update));
  socket.ev.on("messages.upsert", ({ messages }) => {
    for (const { key } of messages) if (!key.fromMe && key.id) at.set(key.id, Date.now());
    if (expected > 0 && at.size >= expected) {
      expected = 0;
      say({ event: "received", at: Object.fromEntries(at) });
    }
  });
  socket.ev.on("connection.update", ({ connection, qr }) => {
    if (qr !== undefined) say({ event: "qr", qr });
    if (connection === "open") say({ event: "open" });
    if (connection === "close") connect();
  });
}
connect();
