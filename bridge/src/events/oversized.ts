/** An event too large for a frame goes out without its data, which stays in a file of its own. */

import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { EventKind } from "../protocol.ts";

/** Well below what the runtime takes as one frame (32 MiB). */
export const MAX_EVENT_BYTES = 8 * 1024 * 1024;

export interface Outgoing {
  readonly kind: EventKind;
  readonly data: unknown;
}

/** `data` of an `oversized` event: what it is, and where the whole of it is kept. */
export interface OversizedData {
  readonly kind: EventKind;
  readonly bytes: number;
  readonly file: string;
  readonly key: unknown;
}

export interface Oversized {
  readonly directory: string;
  readonly connectionId: string;
  readonly seq: number;
  readonly kind: EventKind;
  readonly dataJson: string;
}

/** The event as it is to be sent; raises when a file that it needs cannot be written. */
export function fitting(event: Oversized, limit = MAX_EVENT_BYTES): Outgoing {
  const { kind, dataJson } = event;
  const data: unknown = JSON.parse(dataJson);
  const bytes = Buffer.byteLength(dataJson);
  if (bytes <= limit) return { kind, data };
  const file = join(event.directory, `${event.connectionId}.${event.seq}.oversized.json`);
  writeDurably(event.directory, file, dataJson);
  const { key = null } = data as { key?: unknown };
  return { kind: "oversized", data: { kind, bytes, file, key } satisfies OversizedData };
}

/** Whole or not at all, also through a crash. */
function writeDurably(directory: string, file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
