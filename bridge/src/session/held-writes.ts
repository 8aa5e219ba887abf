/**
 * Holds back what a socket writes while the store has plaintexts that are not on disk: a receipt
 * must not leave before its message is safe. Baileys goes on meanwhile, so that the messages of one
 * turn of the event loop share one commit, and their receipts one write.
 *
 * To the writer a held chunk counts as written, as one in the kernel's buffer does.
 */

import type { Socket } from "node:net";

import type { Store } from "./store.ts";

type Written = (error?: Error | null) => void;

export function holdWrites(socket: Socket, store: Store): void {
  const write = socket.write.bind(socket);
  let held: Uint8Array[] = [];
  socket.write = (chunk: Uint8Array | string, encoding?: BufferEncoding | Written, done?: Written) => {
    if (store.isSettled) return write(chunk, encoding as BufferEncoding, done);
    const [spelled, written] = typeof encoding === "function" ? [undefined, encoding] : [encoding, done];
    held.push(typeof chunk === "string" ? Buffer.from(chunk, spelled) : chunk);
    if (written) process.nextTick(written);
    return true;
  };
  store.onSettled = () => {
    if (held.length === 0) return;
    const chunks = held;
    held = [];
    if (socket.writable) write(Buffer.concat(chunks));
  };
}
