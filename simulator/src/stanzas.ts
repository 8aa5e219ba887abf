// Where a client's stanzas go.
import { onClientMessage } from "./client-messages.ts";
import { onClientReceipt } from "./client-receipts.ts";
import type { Connection } from "./connection.ts";
import type { StanzaClass } from "./delivery-queue.ts";
import { onRequest } from "./iq/requests.ts";
import type { BinaryNode } from "./nodes.ts";
import { onClientSignal } from "./signals.ts";

export function dispatch(connection: Connection, stanza: BinaryNode): void {
  const { attrs, tag } = stanza;
  if (tag === "iq") {
    if (attrs.type === "get" || attrs.type === "set") onRequest(connection, stanza);
    else connection.registration?.onReply(stanza);
    return;
  }
  const { companion } = connection;
  if (!companion) return;
  if (tag === "message") onClientMessage(connection, companion, stanza);
  else if (tag === "receipt") onClientReceipt(connection, companion, stanza);
  else if (tag === "ack") onAck(connection, stanza);
  else if (tag === "presence" || tag === "chatstate" || tag === "call") onClientSignal(connection, companion.account, stanza);
  // Telemetry asks for nothing back.
}

function onAck(connection: Connection, { attrs }: BinaryNode): void {
  const { companion, world } = connection;
  if (attrs.class === "message" && world.faults.strike("lose-receipts", connection.phone)) return;
  const acknowledged = companion!.queue.acknowledge({
    class: attrs.class as StanzaClass,
    id: attrs.id!,
    to: attrs.to,
    participant: attrs.participant,
    type: attrs.type,
  });
  if (!acknowledged || attrs.class !== "message" || attrs.error === undefined) return;
  const { from, participant } = acknowledged.stanza.attrs;
  world.findJid(participant ?? from)?.sent.get(attrs.id!)?.nacks.push(attrs.error);
}
