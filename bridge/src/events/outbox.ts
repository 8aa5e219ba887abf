/**
 * Events on their way to the runtime: sent in the order of their sequence numbers, at most
 * `window` of them unacknowledged, kept in the store until acknowledged.
 */

import { passed } from "../failpoints.ts";
import { ProtocolError } from "../protocol.ts";
import type { EventRow, Store } from "../session/store.ts";

const BATCH = 64;
/** Acknowledgements that come in quick succession are erased in one transaction. */
const ERASE_DELAY_MS = 20;

export interface OutboxOptions {
  readonly store: Store;
  /** The JSON text of an event's data. */
  readonly render: (event: EventRow) => Promise<string>;
  readonly send: (event: EventRow, dataJson: string) => void;
  /** Anything but storage that fails here is a bug. */
  readonly onError: (error: unknown) => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #inFlight: number[] = [];
  #window = 0;
  #sentSeq = 0;
  #ackedSeq = 0;
  #pumping: Promise<void> | null = null;
  #wanted = false;
  #eraseTimer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    options.store.onEvent = () => this.wake();
  }

  /** Begin with the oldest unacknowledged event. */
  start(window: number): void {
    this.#window = window;
    this.wake();
  }

  /** There may be something to send; sends in a later turn, so that receipts go first. */
  wake(): void {
    this.#wanted = true;
    if (this.#pumping !== null || this.#stopped || this.#window === 0) return;
    this.#pumping = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#pump())
      .catch((error: unknown) => {
        if (!this.#stopped) this.#options.onError(error);
      })
      .finally(() => {
        this.#pumping = null;
        if (this.#wanted && this.#inFlight.length < this.#window) this.wake();
      });
  }

  acknowledge(seq: number): void {
    // It may have been sent by an earlier outbox: the runtime's fsync can outlast a connection.
    if (seq > this.#options.store.lastSeq()) throw new ProtocolError(`ack of unknown event ${seq}`);
    passed("frame-before-ack");
    this.#sentSeq = Math.max(this.#sentSeq, seq);
    while (this.#inFlight.length > 0 && this.#inFlight[0]! <= seq) this.#inFlight.shift();
    if (seq > this.#ackedSeq) {
      this.#ackedSeq = seq;
      this.#eraseTimer ??= setTimeout(() => this.#erase(), ERASE_DELAY_MS);
    }
    this.wake();
  }

  /** Nothing is sent afterwards; what was acknowledged is erased. */
  stop(): void {
    this.#stopped = true;
    if (this.#eraseTimer !== null) this.#erase();
  }

  #erase(): void {
    if (this.#eraseTimer !== null) clearTimeout(this.#eraseTimer);
    this.#eraseTimer = null;
    this.#options.store.acknowledge(this.#ackedSeq);
  }

  async #pump(): Promise<void> {
    const { store, render, send } = this.#options;
    while (!this.#stopped) {
      this.#wanted = false;
      const room = this.#window - this.#inFlight.length;
      if (room <= 0) return;
      const events = store.eventsAfter(this.#sentSeq, Math.min(room, BATCH));
      if (events.length === 0) return;
      for (const event of events) {
        if (event.inbound !== null) passed("receipt-before-event");
        const data = await render(event);
        if (this.#stopped) return;
        passed("event-before-frame");
        this.#sentSeq = event.seq;
        this.#inFlight.push(event.seq);
        send(event, data);
      }
    }
  }
}
