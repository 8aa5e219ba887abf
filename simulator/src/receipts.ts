// Receipts of simulated accounts for what they were shown.
import type { Account } from "./account.ts";
import type { ReceivedMessage } from "./ledger.ts";
import { node } from "./nodes.ts";
import type { World } from "./world.ts";

export type ReceiptType = "delivered" | "read";

/** Tells all companions of the author; returns false when the author is not an account here. */
export function sendReceipt(world: World, reader: Account, message: ReceivedMessage, type: ReceiptType): boolean {
  const author = world.accounts.get(message.from);
  if (!author) return false;
  const now = Date.now();
  if (type === "delivered") message.deliveredAt ??= now;
  else message.readAt ??= now;
  const sent = author.sent.get(message.id);
  if (sent) {
    sent.deliveredAt ??= now;
    if (type === "read") sent.readAt ??= now;
    else sent.receipts += 1;
  }
  const attrs = {
    id: message.id,
    from: message.receiptFrom,
    participant: message.participant,
    type: type === "read" ? "read" : undefined,
    t: world.timestamp(),
  };
  for (const companion of author.companions.values()) {
    if (author !== reader) companion.deliver("receipt", node("receipt", attrs));
  }
  return true;
}

/** Receipts for the messages named, or for all that had none of this type yet. */
export function acknowledge(world: World, reader: Account, type: ReceiptType, ids?: readonly string[]): string[] {
  const due = [...reader.received.values()].filter((message) => {
    if (message.fromMe) return false;
    if (ids) return ids.includes(message.id);
    return (type === "read" ? message.readAt : message.deliveredAt) === undefined;
  });
  return due.filter((message) => sendReceipt(world, reader, message, type)).map(({ id }) => id);
}
