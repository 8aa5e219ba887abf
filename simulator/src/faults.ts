// Faults on request. A fault is asked for at the point where it would strike; a counted one is
// used up there.

export const FAULT_KINDS = [
  "drop",
  "silence",
  "freeze",
  "delay",
  "refuse-upgrade",
  "refuse-login",
  "stream-error",
  "duplicate",
  "undecryptable",
  "unavailable",
  "lose-receipts",
  "lose-acks",
  "lose-sends",
  "reject-sends",
  "media-status",
  "media-page",
  "media-truncate",
  "media-corrupt",
  "media-slow",
  "refuse-upload",
  "empty-check",
  "refuse-reupload",
  "lose-reupload",
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export type FaultRequest = {
  readonly kind: FaultKind;
  /** Only this account's connections; all when absent. */
  readonly phone?: string | undefined;
  /** HTTP status, failure reason, stream error code, ack error or a phone's refusal, by kind. */
  readonly code?: number | undefined;
  /** Delay of each stanza, or of each piece of a download, in milliseconds. */
  readonly ms?: number | undefined;
  /** `drop`: after this many further messages instead of at once. */
  readonly after?: number | undefined;
  /** `drop`: reset the TCP connection instead of closing it. */
  readonly reset?: boolean | undefined;
  /** How often it strikes; until cleared when absent. */
  readonly times?: number | undefined;
  /** Cleared by itself after this many milliseconds. */
  readonly durationMs?: number | undefined;
};

export type Fault = FaultRequest & { readonly id: number; remaining: number; struck: number };

export class Faults {
  readonly #faults = new Map<number, Fault>();
  readonly #timers = new Map<number, NodeJS.Timeout>();
  #nextId = 1;
  /** Called when a fault ends, however it ends. */
  onEnd: (fault: Fault) => void = () => undefined;

  add(request: FaultRequest): Fault {
    const fault: Fault = {
      ...request,
      id: this.#nextId++,
      remaining: request.times ?? Number.POSITIVE_INFINITY,
      struck: 0,
    };
    this.#faults.set(fault.id, fault);
    if (request.durationMs !== undefined) {
      const timer = setTimeout(() => this.clear(fault.id), request.durationMs);
      this.#timers.set(fault.id, timer);
    }
    return fault;
  }

  list(): Fault[] {
    return [...this.#faults.values()];
  }

  clear(id: number): boolean {
    const fault = this.#faults.get(id);
    if (!fault) return false;
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.#faults.delete(id);
    this.onEnd(fault);
    return true;
  }

  clearAll(): void {
    for (const id of [...this.#faults.keys()]) this.clear(id);
  }

  /** The fault of this kind that holds for the account now, not used up by asking. */
  active(kind: FaultKind, phone?: string): Fault | undefined {
    if (this.#faults.size === 0) return undefined;
    for (const fault of this.#faults.values()) {
      if (fault.kind === kind && (fault.phone === undefined || fault.phone === phone)) return fault;
    }
    return undefined;
  }

  /** Lets a fault of this kind strike once. */
  strike(kind: FaultKind, phone?: string): Fault | undefined {
    const fault = this.active(kind, phone);
    if (!fault) return undefined;
    fault.struck += 1;
    fault.remaining -= 1;
    if (fault.remaining <= 0) this.clear(fault.id);
    return fault;
  }
}
