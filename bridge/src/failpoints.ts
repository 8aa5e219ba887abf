/**
 * Named places where a fault test may kill the process, off unless `ZAPVISOR_FAILPOINT` is set.
 *
 * `ZAPVISOR_FAILPOINT=<name>:<action>[@<n>]`: at the n-th passage (default 1) of the named place
 * do the action: `kill` sends SIGKILL to the process itself, `stop` SIGSTOP, `fail` throws there as a
 * failing disk would. The names are listed in README.md.
 *
 * `ZAPVISOR_FAILPOINT=@<file>`: the same is read from that file at every passage; names of the runtime
 * in it are ignored. Whoever strikes removes the file first, so that it happens once.
 */

import { readFileSync, unlinkSync } from "node:fs";

import { storageFailure } from "./fatal.ts";

export const FAILPOINTS = [
  "decrypted-before-commit",
  "mid-commit",
  "committed-before-receipt",
  "receipt-before-event",
  "receipt-before-peer",
  "event-before-frame",
  "frame-before-ack",
  "stored-before-send",
  "sent-before-reply",
] as const;

export type Failpoint = (typeof FAILPOINTS)[number];

interface Armed {
  readonly name: Failpoint;
  readonly action: "kill" | "stop" | "fail";
  remaining: number;
}

export function parseFailpoint(spec: string): Armed {
  const match = /^([a-z-]+):(kill|stop|fail)(?:@(\d+))?$/.exec(spec);
  const name = FAILPOINTS.find((known) => known === match?.[1]);
  if (match === null || name === undefined) throw new Error(`unknown failpoint: ${spec}`);
  return { name, action: match[2] as Armed["action"], remaining: Number(match[3] ?? 1) };
}

const spec = process.env["ZAPVISOR_FAILPOINT"];
const file = spec?.startsWith("@") ? spec.slice(1) : null;
let armed = spec && file === null ? parseFailpoint(spec) : null;
let read = "";

/** Thrown by the action `fail`; handled like an error of SQLite. */
export class InjectedFault extends Error {}

export function failpoint(name: Failpoint): void {
  if (file !== null) readAgain(file);
  if (armed === null || armed.name !== name) return;
  armed.remaining -= 1;
  if (armed.remaining !== 0) return;
  if (file !== null) unlinkSync(file);
  if (armed.action === "fail") throw new InjectedFault(`failpoint ${name}`);
  process.kill(process.pid, armed.action === "stop" ? "SIGSTOP" : "SIGKILL");
}

function readAgain(path: string): void {
  let text = "";
  try {
    text = readFileSync(path, "utf8").trim();
  } catch {
    // Nothing is asked for now.
  }
  if (text === read) return;
  read = text;
  const ours = FAILPOINTS.some((name) => text.startsWith(`${name}:`));
  armed = ours ? parseFailpoint(text) : null;
}

/** A failpoint outside a transaction: a failure there is a failure of the storage all the same. */
export function passed(name: Failpoint): void {
  try {
    failpoint(name);
  } catch (error) {
    storageFailure(error);
  }
}
