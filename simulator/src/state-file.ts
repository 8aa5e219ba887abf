// Keeps the state in a file: read at the start, written soon after a change and at the end.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { restore, serialize } from "./state.ts";
import type { World } from "./world.ts";

const SETTLE_MS = 100;

/** Restores the world from the file, if there is one; the function returned saves a last time. */
export function keepState(world: World, file: string): () => void {
  if (existsSync(file)) restore(world, readFileSync(file, "utf8"));
  let timer: NodeJS.Timeout | undefined;
  const save = (): void => {
    clearTimeout(timer);
    timer = undefined;
    // A reader, or a crash in between, never meets half a file.
    const next = `${file}.next`;
    writeFileSync(next, serialize(world), { mode: 0o600 });
    renameSync(next, file);
  };
  world.onChange = () => {
    timer ??= setTimeout(save, SETTLE_MS);
  };
  return save;
}
