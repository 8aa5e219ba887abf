// What the server still owes a companion: every stanza that it has not acknowledged, in order.
// A stanza leaves the queue by its acknowledgement only, so whatever was under way when a
// connection ended is sent again at the next login.
import type { BinaryNode } from "./nodes.ts";

export type StanzaClass = "message" | "receipt" | "notification";

export type Pending = {
  readonly stanza: BinaryNode;
  readonly class: StanzaClass;
  /** From the account's own phone to its companion; sent after the offline backlog. */
  readonly peer: boolean;
  /** True when the stanza did not go out at once but waited for a login. */
  offline: boolean;
};

export type Acknowledgement = {
  readonly class: StanzaClass;
  readonly id: string;
  readonly to?: string | undefined;
  readonly participant?: string | undefined;
  readonly type?: string | undefined;
};

export class DeliveryQueue {
  readonly #pending = new Set<Pending>();
  readonly #byId = new Map<string, Pending[]>();
  #unsent: Pending[] = [];
  #head = 0;

  get size(): number {
    return this.#pending.size;
  }

  add(stanzaClass: StanzaClass, stanza: BinaryNode, peer = false): void {
    const entry: Pending = { stanza, class: stanzaClass, peer, offline: false };
    this.#pending.add(entry);
    const id = stanza.attrs.id!;
    const sameId = this.#byId.get(id);
    if (sameId) sameId.push(entry);
    else this.#byId.set(id, [entry]);
    this.#unsent.push(entry);
  }

  /** A login: everything not acknowledged is to be sent again, the phone's own stanzas last. */
  restart(): { messages: number; receipts: number; notifications: number; total: number } {
    const backlog = [...this.#pending];
    const regular = backlog.filter((entry) => !entry.peer);
    for (const entry of regular) entry.offline = true;
    this.#unsent = [...regular, ...backlog.filter((entry) => entry.peer)];
    this.#head = 0;
    const count = (of: StanzaClass): number => regular.filter((entry) => entry.class === of).length;
    return {
      messages: count("message"),
      receipts: count("receipt"),
      notifications: count("notification"),
      total: regular.length,
    };
  }

  /** The next stanza that was not sent yet; acknowledged ones are skipped. */
  next(): Pending | undefined {
    while (this.#head < this.#unsent.length) {
      const entry = this.#unsent[this.#head++]!;
      if (this.#pending.has(entry)) return entry;
    }
    this.#unsent = [];
    this.#head = 0;
    return undefined;
  }

  /**
   * Removes what the acknowledgement names and returns it; undefined if it is unknown. One of
   * several stanzas with the same id is the oldest: a resend is settled by an answer of its own.
   */
  acknowledge(ack: Acknowledgement): Pending | undefined {
    const sameId = this.#byId.get(ack.id);
    const index = sameId?.findIndex((entry) => isFor(ack, entry)) ?? -1;
    if (!sameId || index < 0) return undefined;
    const [acknowledged] = sameId.splice(index, 1);
    if (sameId.length === 0) this.#byId.delete(ack.id);
    this.#pending.delete(acknowledged!);
    return acknowledged;
  }
}

function isFor(ack: Acknowledgement, { class: stanzaClass, stanza }: Pending): boolean {
  if (ack.class !== stanzaClass) return false;
  // Message ids are unique to a companion and receipts name the chat in several ways; a receipt
  // for one id, though, may have come from many members of a group, in several types.
  if (stanzaClass === "message") return true;
  const { from, participant, type } = stanza.attrs;
  return ack.to === from && ack.participant === participant && ack.type === type;
}
