/** A bounded cache with a lifetime per entry, in the shape Baileys asks of its caches. */
export class TtlCache {
  readonly #entries = new Map<string, { value: unknown; expiresAt: number }>();
  readonly #ttlMs: number;
  readonly #maximum: number;
  readonly #now: () => number;

  constructor(ttlMs: number, maximum: number, now: () => number = Date.now) {
    this.#ttlMs = ttlMs;
    this.#maximum = maximum;
    this.#now = now;
  }

  get<T>(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expiresAt <= this.#now()) {
      this.#entries.delete(key);
      return undefined;
    }
    return entry.value as T;
  }

  set(key: string, value: unknown): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, expiresAt: this.#now() + this.#ttlMs });
    // Insertion order is age, so the first one is the oldest.
    if (this.#entries.size > this.#maximum) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
  }

  del(key: string): void {
    this.#entries.delete(key);
  }

  flushAll(): void {
    this.#entries.clear();
  }
}
