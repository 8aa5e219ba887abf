// Programs under test that talk JSON lines and end when their stdin does.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { waitFor } from "./wait.ts";

export type Line = Record<string, unknown>;

export class Program {
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;
  #exited = false;

  constructor(args: readonly string[], env: Record<string, string> = {}) {
    this.#child = spawn(process.execPath, args, {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    });
    this.#child.once("exit", () => (this.#exited = true));
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.lines.push(JSON.parse(line) as Line));
  }

  line(what: string, matches: (line: Line) => boolean): Promise<Line> {
    return waitFor(what, () => this.lines.find(matches));
  }

  /** Closes its stdin and waits for its exit. */
  async end(): Promise<void> {
    this.#child.stdin!.end();
    await waitFor("the exit", () => this.#exited);
  }
}

const run = promisify(execFile);

/** Runs a program to its end; the JSON that it printed. */
export async function output(args: readonly string[], env: Record<string, string>): Promise<unknown> {
  const { stdout } = await run(process.execPath, args, { env: { ...process.env, ...env } });
  return JSON.parse(stdout);
}
