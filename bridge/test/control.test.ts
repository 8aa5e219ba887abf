/**
 * The control: the same kills, and the usual way to keep messages. It has to lose some, and the
 * ledger has to say so; when it no longer does, the rig is blind and faults.test.ts proves nothing.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { waitFor } from "./support/wait.ts";
import { WhatsApp } from "./support/whatsapp.ts";

const PROGRAM = fileURLToPath(new URL("./support/usual.ts", import.meta.url));
const PRELOAD = new URL("../../simulator/src/preload.ts", import.meta.url).href;
const PHONE = "5511900000001";
const CUSTOMER = "5511911110001";
const KILLS = 4;
const BATCH = 12;

const started: ChildProcess[] = [];

interface Line {
  readonly qr?: string;
  readonly open?: boolean;
}

class Usual {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];

  constructor(directory: string, whatsappUrl: string, killAt?: number) {
    const environment = { ...process.env, WHATSAPP_SIMULATOR_URL: whatsappUrl };
    this.child = spawn(
      process.execPath,
      [`--import=${PRELOAD}`, PROGRAM, directory, ...(killAt === undefined ? [] : [String(killAt)])],
      { env: environment, stdio: ["ignore", "pipe", "ignore"] },
    );
    started.push(this.child);
    createInterface({ input: this.child.stdout! }).on("line", (line) => {
      this.lines.push(JSON.parse(line) as Line);
    });
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  qr(): Promise<string> {
    return waitFor("a QR code", () => this.lines.find(({ qr }) => qr !== undefined)?.qr);
  }

  opened(): Promise<unknown> {
    return waitFor("open", () => this.hasExited || this.lines.some(({ open }) => open));
  }

  async killed(): Promise<void> {
    if (!this.hasExited) await once(this.child, "exit");
    assert.equal(this.child.signalCode, "SIGKILL");
  }
}

test("a journal on messages.upsert loses what WhatsApp was told is delivered", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "usual-"));
  const whatsapp = await WhatsApp.start();
  await whatsapp.phone(PHONE);
  await whatsapp.contact(CUSTOMER);
  const ids: string[] = [];
  try {
    let client = new Usual(directory, whatsapp.url, 4);
    await whatsapp.post(`/phones/${PHONE}/scan`, { qr: await client.qr() });
    for (let kill = 0; kill < KILLS; kill += 1) {
      await client.opened();
      const texts = Array.from({ length: BATCH }, (_, nth) => `${kill} ${nth}`);
      ids.push(...(await whatsapp.write(CUSTOMER, PHONE, { texts })));
      await client.killed();
      client = new Usual(directory, whatsapp.url, kill + 1 < KILLS ? 4 : undefined);
    }
    await client.opened();
    const told = await waitFor("everything to be told delivered or refused", async () => {
      const { sent } = await whatsapp.sent(PHONE);
      return sent.every(({ delivered, nacks }) => delivered || nacks.length > 0) && sent;
    }, 60_000);
    const kept = new Set(
      readFileSync(join(directory, "journal.jsonl"), "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as string),
    );
    const lost = told.filter(({ id, delivered }) => delivered && !kept.has(id));
    assert.equal(told.length, KILLS * BATCH);
    assert.ok(lost.length >= KILLS, `${lost.length} of ${ids.length} lost, at ${KILLS} kills`);
    context.diagnostic(`${lost.length} of ${ids.length} lost at ${KILLS} kills`);
  } finally {
    for (const child of started) child.kill("SIGKILL");
    await whatsapp.close();
    await rm(directory, { recursive: true });
  }
});
