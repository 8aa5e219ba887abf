/** Which messages of the phone's history are imported. */

import type { WAMessage } from "baileys";

import { isDirect } from "./chats.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export interface HistoryBound {
  readonly days: number;
  readonly maxMessages: number;
  readonly alreadyImported: number;
}

/** The newest messages of chats of two within the bound, the oldest of them first. */
export function importable(messages: readonly WAMessage[], bound: HistoryBound, now: number): WAMessage[] {
  const room = bound.maxMessages - bound.alreadyImported;
  const since = (now - bound.days * DAY_MS) / 1000;
  const timeOf = (message: WAMessage): number => Number(message.messageTimestamp ?? 0);
  if (room <= 0) return [];
  return messages
    .filter(({ key, message }) => message && key.id && isDirect(key.remoteJid))
    .filter((message) => timeOf(message) >= since)
    // Phones tell the newest first; of one second the order has to be turned, too.
    .reverse()
    .sort((a, b) => timeOf(a) - timeOf(b))
    .slice(-room);
}
