// Receipts of companions: they settle what was sent to them and reach the author.
import type { Account } from "./account.ts";
import type { Companion } from "./companion.ts";
import type { Connection } from "./connection.ts";
import { isGroupJid } from "./jid.ts";
import { onMediaRetry } from "./media-retry.ts";
import { type BinaryNode, child, children, node } from "./nodes.ts";
import { resend } from "./resend.ts";
import type { World } from "./world.ts";

/** Types by which a companion says that it has the message. */
const DELIVERED = new Set([undefined, "inactive", "read", "played"]);
const SEEN = new Set(["read", "played"]);

export function onClientReceipt(connection: Connection, companion: Companion, receipt: BinaryNode): void {
  const { world } = connection;
  if (world.faults.strike("lose-receipts", companion.account.number)) return;
  const { id, participant, to, type } = receipt.attrs;
  connection.send(node("ack", { class: "receipt", id, from: to, participant, type, t: world.timestamp() }));
  if (type === "server-error") {
    onMediaRetry(world, companion, receipt);
    return;
  }
  const ids = [id!, ...children(child(receipt, "list"), "item").map(({ attrs }) => attrs.id!)];
  const author = world.findJid(isGroupJid(to) || (type === "sender" && participant) ? participant : to);
  if (type === "retry") {
    // The request for a resend is followed by a negative acknowledgement that settles the stanza.
    if (author) askAuthor(world, author, companion, receipt);
    return;
  }
  for (const one of ids) companion.queue.acknowledge({ class: "message", id: one });
  if (!author || author === companion.account || !DELIVERED.has(type)) return;
  for (const one of ids) record(author, one, SEEN.has(type ?? ""));
  tellCompanions(world, author, companion, receipt);
}

function record(author: Account, id: string, seen: boolean): void {
  const message = author.sent.get(id);
  if (!message) return;
  const now = Date.now();
  message.deliveredAt ??= now;
  if (seen) message.readAt ??= now;
  else message.receipts += 1;
}

function askAuthor(world: World, author: Account, companion: Companion, receipt: BinaryNode): void {
  if (author.sent.has(receipt.attrs.id!)) resend(world, author, companion, receipt);
  else forward(world, author, companion, receipt);
}

/** A paired author has companions that wait for the receipt. */
function tellCompanions(world: World, author: Account, companion: Companion, receipt: BinaryNode): void {
  if (author.companions.size > 0) forward(world, author, companion, receipt);
}

function forward(world: World, author: Account, reader: Companion, receipt: BinaryNode): void {
  const { id, to, type } = receipt.attrs;
  const group = isGroupJid(to);
  const lid = group || to?.endsWith("@lid");
  const readerJid = lid ? reader.lidJid : reader.pnJid;
  const shownType = type === "inactive" ? undefined : type;
  const attrs = {
    id,
    from: group ? to : readerJid,
    participant: group ? readerJid : undefined,
    type: shownType,
    t: world.timestamp(),
  };
  for (const companion of author.companions.values()) {
    companion.deliver("receipt", node("receipt", attrs, receipt.content));
  }
}
