/** A bridge process of its own, as the runtime starts it. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

import { Runtime } from "./runtime.ts";
import { waitFor } from "./wait.ts";

const DIRECTORY = fileURLToPath(new URL("../../", import.meta.url));
const PRELOAD = new URL("../../../simulator/src/preload.ts", import.meta.url).href;

export const TOKEN = "a-token-for-tests";

const started = new Set<Bridge>();

// A test that failed half-way must not leave a process that holds up the others.
after(async () => {
  for (const bridge of started) await bridge.kill();
});

export interface BridgeOptions {
  readonly data: string;
  readonly whatsappUrl?: string;
  readonly failpoint?: string;
  /** The directory for media. */
  readonly media?: string;
  /** A file of certificates to trust beside the usual ones. */
  readonly extraCertificates?: string;
}

export class Bridge {
  readonly child: ChildProcess;
  readonly records: Record<string, unknown>[] = [];
  readonly lines: string[] = [];
  stderr = "";
  port = 0;

  private constructor(child: ChildProcess) {
    this.child = child;
    createInterface({ input: child.stdout! }).on("line", (line) => {
      this.lines.push(line);
      this.records.push(JSON.parse(line) as Record<string, unknown>);
    });
    child.stderr!.on("data", (chunk) => {
      this.stderr += String(chunk);
    });
  }

  static async start(options: BridgeOptions): Promise<Bridge> {
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      ZAPVISOR_BRIDGE_TOKEN: TOKEN,
      ZAPVISOR_BRIDGE_DATA: options.data,
    };
    delete env["NODE_TEST_CONTEXT"];
    delete env["ZAPVISOR_FAILPOINT"];
    if (options.whatsappUrl !== undefined) {
      env["NODE_OPTIONS"] = `--import=${PRELOAD}`;
      env["WHATSAPP_SIMULATOR_URL"] = options.whatsappUrl;
    }
    if (options.media !== undefined) env["ZAPVISOR_BRIDGE_MEDIA"] = options.media;
    if (options.extraCertificates !== undefined) env["NODE_EXTRA_CA_CERTS"] = options.extraCertificates;
    if (options.failpoint !== undefined) env["ZAPVISOR_FAILPOINT"] = options.failpoint;
    const child = spawn(process.execPath, ["src/main.ts"], {
      cwd: DIRECTORY,
      env,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const bridge = new Bridge(child);
    started.add(bridge);
    const record = await waitFor("the bridge to listen", () => {
      if (bridge.hasExited) throw new Error(`bridge ended: ${bridge.stderr}`);
      return bridge.records.find(({ event }) => event === "listening");
    });
    bridge.port = Number(record["port"]);
    return bridge;
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (!this.hasExited) await once(this.child, "exit");
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }

  /** As the runtime ends it: by closing stdin. */
  async stop(): Promise<void> {
    this.child.stdin!.end();
    await this.exited();
  }

  async kill(): Promise<void> {
    if (!this.hasExited) this.child.kill("SIGKILL");
    await this.exited();
  }

  attach(id: string): Promise<Runtime> {
    return Runtime.connect(this.port, id, TOKEN);
  }

  health(token = TOKEN): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}/health`, {
      headers: { authorization: `Bearer ${token}` },
    });
  }
}
