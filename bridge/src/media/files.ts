/** Files of the media directory, by name: nothing outside it can be named. */

import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";

import { ProtocolError, RequestError } from "../protocol.ts";

const NAME = /^[0-9a-z][0-9a-z-]{0,79}$/;

export function checkName(name: unknown): string {
  if (typeof name !== "string" || !NAME.test(name)) throw new ProtocolError("malformed file name");
  return name;
}

/** Opens a file of the directory for reading; a link that leads elsewhere is refused. */
export async function openForReading(directory: string, name: string): Promise<FileHandle> {
  try {
    const handle = await open(
      join(directory, checkName(name)),
      constants.O_RDONLY | constants.O_NOFOLLOW,
    );
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
  }
  throw new RequestError("file_missing", "there is no such media file", true);
}

/** Runs `write` on a new file, which gets its name only when that succeeded and is on the disk. */
export async function writeWhole<T>(
  directory: string,
  name: string,
  write: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  const path = join(directory, checkName(name));
  const partial = `${path}.part`;
  try {
    const handle = await open(partial, "w", 0o600);
    let result: T;
    try {
      result = await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
    return result;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
