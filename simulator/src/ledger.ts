// The independent record of what was written, acknowledged and shown. Times are milliseconds
// since the epoch.
import type { Content } from "./content.ts";
import type { MediaRecord } from "./media-messages.ts";

/** A message that a simulated account wrote. */
export type SentMessage = {
  readonly id: string;
  /** Number of the recipient, or the group's jid. */
  readonly to: string;
  readonly text: string;
  /** What was encrypted; not shown in the ledger. */
  readonly content: Content;
  readonly media?: MediaRecord | undefined;
  readonly sentAt: number;
  /** When the server got a companion's delivery receipt. */
  deliveredAt?: number;
  readAt?: number;
  /** Delivery receipts that arrived, repeats included. */
  receipts: number;
  /** How often a companion asked for the message again. */
  retries: number;
  /** Negative acknowledgements, as codes. */
  nacks: string[];
};

/** A message that a simulated account got. */
export type ReceivedMessage = {
  readonly id: string;
  /** Number of the author. */
  readonly from: string;
  /** Device of the author; 0 is a phone. */
  readonly device: number;
  /** Number of the other side of the chat, or the group's jid. */
  readonly chat: string;
  /** True on a phone for what its own companion sent. */
  readonly fromMe: boolean;
  readonly text: string;
  /** Kind of content, e.g. `conversation`. */
  readonly kind: string;
  readonly media?: MediaRecord | undefined;
  /** What was written, as protobuf JSON, unless it is a plain text. */
  readonly message?: unknown;
  readonly at: number;
  /** Position among everything this account was shown. */
  readonly order: number;
  /** How often the message arrived; it is shown once. */
  arrivals: number;
  deliveredAt?: number;
  readAt?: number;
  /** Where receipts go: the chat as the author addressed it. */
  readonly receiptFrom: string;
  readonly participant: string | undefined;
};

export type LedgerSent = Omit<SentMessage, "content"> & { from: string; delivered: boolean; read: boolean };
export type LedgerReceived = Omit<ReceivedMessage, "receiptFrom" | "participant"> & {
  to: string;
  shown: 1;
  duplicatesSuppressed: number;
};

type Party = {
  readonly number: string;
  readonly sent: ReadonlyMap<string, SentMessage>;
  readonly received: ReadonlyMap<string, ReceivedMessage>;
};

/** Everything the account wrote, in order. */
export function sentBy(party: Party): LedgerSent[] {
  return [...party.sent.values()].map(({ content: _content, ...message }) => ({
    ...message,
    from: party.number,
    delivered: message.deliveredAt !== undefined,
    read: message.readAt !== undefined,
  }));
}

/** Everything the account was shown, in order. */
export function receivedBy(party: Party): LedgerReceived[] {
  return [...party.received.values()].map(({ receiptFrom: _from, participant: _participant, ...message }) => ({
    ...message,
    to: party.number,
    shown: 1,
    duplicatesSuppressed: message.arrivals - 1,
  }));
}
