// Receipts of simulated accounts for what they were shown.
import type { Account } from "./account.ts";
import type { ReceivedMessage } from "./ledger.ts";
import { node } from "./nodes.ts";
import type { World } from "./world.ts";

/** `played`: a voice message was listened to, which is more than to read it. */
export type ReceiptType = "delivered" | "read" | "played";

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
    if (type === "delivered") sent.receipts += 1;
    else sent.readAt ??= now;
  }
  const attrs = {
    id: message.id,
    from: message.receiptFrom,
    participant: message.participant,
    type: type === "delivered" ? undefined : type,
    t: world.timestamp(),
  };
  for (const companion of author.companions.values()) {
    if (author !== reader) companion.deliver("receipt", node("receipt", attrs));
  }
  return true;
}

/** The owner of a phone reads a chat there: its companions hear of it. Returns the ids. */
export function readOnPhone(world: World, phone: Account, contact: Account): string[] {
  const unread = [...phone.received.values()].filter(
    ({ from, chat, readAt }) => from === contact.number && chat === contact.number && readAt === undefined,
  );
  const lid = contact.addressing === "lid";
  for (const message of unread) {
    sendReceipt(world, phone, message, "read");
    const attrs = {
      id: message.id,
      from: lid ? phone.lidJid : phone.pnJid,
      recipient: lid ? contact.lidJid : contact.pnJid,
      type: "read",
      t: world.timestamp(),
    };
    for (const companion of phone.companions.values()) companion.deliver("receipt", node("receipt", attrs));
  }
  return unread.map(({ id }) => id);
}

/** Receipts for the messages named, or for all that had none of this type yet. */
export function acknowledge(world: World, reader: Account, type: ReceiptType, ids?: readonly string[]): string[] {
  const due = [...reader.received.values()].filter((message) => {
    if (message.fromMe) return false;
    if (ids) return ids.includes(message.id);
    if (type === "played") return message.media?.ptt === true;
    return (type === "read" ? message.readAt : message.deliveredAt) === undefined;
  });
  return due.filter((message) => sendReceipt(world, reader, message, type)).map(({ id }) => id);
}
