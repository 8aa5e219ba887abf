#!/usr/bin/env node
// Command line: starts a simulator, or talks to the admin API of a running one.
import { parseArgs } from "node:util";
import { AdminClient } from "./admin-client.ts";

const USAGE = `usage: whatsapp-simulator <command>

  start [--port N] [--state FILE] [--stdin-eof]     serve on 127.0.0.1 until told to stop

  phone NUMBER [NAME]                               an account whose companions are under test
  scan NUMBER QR                                    the phone scans a QR code
  pair NUMBER CODE                                  the phone's owner types a pairing code
  logout NUMBER                                     the phone logs its companions out
  contact NUMBER [NAME]                             somebody who writes and reads
  send FROM TO [TEXT] [--count N] [--interval MS]   FROM is a contact or a phone
  read CONTACT | deliver CONTACT                    receipts for all that had none
  inbox NUMBER                                      what a contact or a phone was shown
  group SUBJECT NUMBER...                           a group of these accounts
  ledger [--phone NUMBER]
  fault KIND [--phone NUMBER] [--code N] [--ms N] [--after N] [--times N] [--duration MS] [--reset]
  faults | clear [ID]                               list faults, end one or all
  state

WHATSAPP_SIMULATOR_ADMIN_URL (or --admin URL) says where the running simulator is;
WHATSAPP_SIMULATOR_TOKEN, if set, is the token that the admin API asks for.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    admin: { type: "string" },
    after: { type: "string" },
    code: { type: "string" },
    count: { type: "string" },
    duration: { type: "string" },
    help: { type: "boolean", short: "h" },
    interval: { type: "string" },
    ms: { type: "string" },
    phone: { type: "string" },
    port: { type: "string" },
    reset: { type: "boolean" },
    state: { type: "string" },
    "stdin-eof": { type: "boolean" },
    times: { type: "string" },
  },
});

type Body = Record<string, unknown>;

function number(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d+$/.test(value)) throw new Error(`not a number: ${value}`);
  return Number(value);
}

function need(value: string | undefined, name: string): string {
  if (value === undefined) throw new Error(`${name} is missing`);
  return value;
}

async function call(command: string, args: readonly string[]): Promise<unknown> {
  const admin = new AdminClient(values.admin ?? process.env.WHATSAPP_SIMULATOR_ADMIN_URL);
  const post = (path: string, body: Body = {}): Promise<unknown> => admin.call("POST", path, body);
  const [first, second, ...rest] = args;
  switch (command) {
    case "phone":
    case "contact":
      return post(`/${command}s`, { number: need(first, "NUMBER"), name: second });
    case "scan":
      return post(`/phones/${need(first, "NUMBER")}/scan`, { qr: need(second, "QR") });
    case "pair":
      return post(`/phones/${need(first, "NUMBER")}/pair`, { code: need(second, "CODE") });
    case "logout":
      return post(`/phones/${need(first, "NUMBER")}/logout`);
    case "send": {
      const role = await admin.role(need(first, "FROM"));
      const line = rest.length > 0 ? rest.join(" ") : undefined;
      const body = { to: need(second, "TO"), text: line, count: number(values.count), intervalMs: number(values.interval) };
      return post(`/${role}s/${first}/send`, body);
    }
    case "read":
    case "deliver":
      return post(`/contacts/${need(first, "CONTACT")}/${command}`);
    case "inbox":
      return admin.call("GET", `/${await admin.role(need(first, "NUMBER"))}s/${first}/inbox`);
    case "group":
      return post("/groups", { subject: need(first, "SUBJECT"), members: args.slice(1) });
    case "ledger":
      return admin.call("GET", values.phone === undefined ? "/ledger" : `/ledger?phone=${values.phone}`);
    case "fault":
      return post("/faults", {
        kind: need(first, "KIND"),
        phone: values.phone,
        code: number(values.code),
        ms: number(values.ms),
        after: number(values.after),
        times: number(values.times),
        durationMs: number(values.duration),
        reset: values.reset,
      });
    case "faults":
      return admin.call("GET", "/faults");
    case "clear":
      return admin.call("DELETE", first === undefined ? "/faults" : `/faults/${first}`);
    case "state":
      return admin.call("GET", "/state");
    default:
      throw new Error(`no such command: ${command}`);
  }
}

const [command, ...args] = positionals;
if (command === undefined || values.help) {
  process.stdout.write(USAGE);
  process.exitCode = values.help ? 0 : 2;
} else {
  try {
    if (command === "start") {
      // Loaded on demand: the other commands have no need of Baileys.
      const { runServer } = await import("./run-server.ts");
      await runServer({ port: number(values.port), stateFile: values.state, stdinEof: values["stdin-eof"] ?? false });
    } else {
      process.stdout.write(`${JSON.stringify(await call(command, args), null, 2)}\n`);
    }
  } catch (error) {
    process.stderr.write(`whatsapp-simulator: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
