/** Bounded waiting. */

export class DeadlineExceeded extends Error {}

/** The result of `work`, or DeadlineExceeded after `ms`; `work` itself is not stopped. */
export async function within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineExceeded(`${what}: no answer in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Calls `expired` once when it was not touched for `idleMs` or is older than `totalMs`. */
export class ProgressDeadline {
  readonly #idleMs: number;
  readonly #expired: () => void;
  readonly #total: NodeJS.Timeout | null;
  #idle: NodeJS.Timeout;
  #stopped = false;

  constructor(idleMs: number, totalMs: number | null, expired: () => void) {
    this.#idleMs = idleMs;
    this.#expired = () => {
      this.stop();
      expired();
    };
    this.#idle = setTimeout(this.#expired, idleMs);
    this.#total = totalMs === null ? null : setTimeout(this.#expired, totalMs);
  }

  touch(): void {
    if (this.#stopped) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(this.#expired, this.#idleMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#idle);
    if (this.#total !== null) clearTimeout(this.#total);
  }
}
