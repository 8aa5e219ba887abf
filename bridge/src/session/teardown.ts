/** Ends a Baileys socket without waiting for a peer that may be gone. */

import { log, errorMessage } from "../log.ts";
import type { Socket } from "./socket.ts";

const GRACE_MS = 1000;

/** A frozen path keeps Baileys' own `end()` waiting half a minute for the closing handshake. */
export function endSocket(sock: Socket, error: Error | null): void {
  const { socket } = sock.ws as unknown as { socket: { terminate?: () => void } | null };
  const timer = setTimeout(() => socket?.terminate?.(), GRACE_MS);
  sock
    .end(error ?? undefined)
    .catch((failure: unknown) => log("warn", "end_failed", { error: errorMessage(failure) }))
    .finally(() => clearTimeout(timer));
}
