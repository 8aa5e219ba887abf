// The `start` command: one line of JSON on stdout, then nothing until the end.
import { startSimulator } from "./server.ts";
import { keepState } from "./state-file.ts";
import { World } from "./world.ts";

export type RunOptions = {
  readonly port: number | undefined;
  readonly stateFile: string | undefined;
  /** End when stdin does: a parent that dies takes the simulator with it. */
  readonly stdinEof: boolean;
};

export async function runServer({ port = 0, stateFile, stdinEof }: RunOptions): Promise<void> {
  // libsignal reports sessions, private keys included, on the console.
  console.info = console.warn = console.error = console.log = () => undefined;
  const token = process.env.WHATSAPP_SIMULATOR_TOKEN || undefined;
  const world = new World();
  const save = stateFile === undefined ? undefined : keepState(world, stateFile);
  const simulator = await startSimulator({ port, token, world });
  const { whatsappUrl, adminUrl } = simulator;
  process.stdout.write(`${JSON.stringify({ event: "listening", whatsappUrl, adminUrl })}\n`);
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
    if (stdinEof) process.stdin.once("end", resolve).once("error", resolve).resume();
  });
  process.stdin.destroy(); // an open stdin would keep the process
  await simulator.close();
  save?.();
}
