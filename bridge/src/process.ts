/** The life of the process: start, orders to stop, exits. */

import { chmodSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";

import type { WAVersion } from "baileys";

import { bug } from "./fatal.ts";
import { errorMessage, log } from "./log.ts";
import { BridgeServer } from "./server.ts";

/** Time for closing handshakes to leave before the process ends. */
const GRACE_MS = 300;

export function parseVersion(text: string): WAVersion {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (match === null) throw new Error(`ZAPVISOR_WHATSAPP_VERSION is not a.b.c: ${text}`);
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}

export async function run(token: string): Promise<void> {
  process.on("uncaughtException", bug);
  // Baileys leaves promises of its listeners to themselves; one stanza must not end all connections.
  process.on("unhandledRejection", (error) => {
    log("warn", "unhandled_rejection", { error: errorMessage(error) });
  });
  const directory = process.env["ZAPVISOR_BRIDGE_DATA"];
  if (token === "" || !directory) {
    throw new Error("ZAPVISOR_BRIDGE_TOKEN and ZAPVISOR_BRIDGE_DATA must be set");
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const override = process.env["ZAPVISOR_WHATSAPP_VERSION"];
  const version = override ? parseVersion(override) : null;
  const mediaDirectory = process.env["ZAPVISOR_BRIDGE_MEDIA"] || null;
  if (mediaDirectory !== null) mkdirSync(mediaDirectory, { recursive: true, mode: 0o700 });
  const server = new BridgeServer({ token, directory, mediaDirectory, version });
  const port = await server.listen();

  let stopping = false;
  const stop = (cause: string): void => {
    if (stopping) return;
    stopping = true;
    log("info", "stopping", { cause });
    server.close();
    setTimeout(() => process.exit(0), GRACE_MS);
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  process.stdin.on("end", () => stop("stdin closed"));
  process.stdin.on("error", () => stop("stdin failed"));
  process.stdin.resume();
  // A runtime that is gone cannot read our records; its end of stdin closes as well.
  process.stdout.on("error", () => stop("stdout closed"));

  const { version: baileys } = createRequire(import.meta.url)("baileys/package.json") as {
    version: string;
  };
  log("info", "listening", { port, pid: process.pid, node: process.version, baileys });
}
