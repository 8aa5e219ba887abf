/** One piece of work at a time for each key, in the order asked for. */

export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `work` when everything asked for before under this key is over. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const turn = (before ?? Promise.resolve()).then(work);
    const over = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(key, over);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === over) this.#last.delete(key);
    }
  }
}
