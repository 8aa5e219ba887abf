/**
 * One SQLite file with one writer: write-ahead log, `synchronous=FULL`, an exclusive lock.
 *
 * Every call is synchronous: when it returns, the change is on disk, but for `join`, whose changes
 * are there for whoever reads and on disk after the next `settle` or any other change. An error
 * while running goes to `onFailure`, which must not return.
 */

import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, StatementSync } from "node:sqlite";

import { migrate } from "./schema.ts";

/** How long a process that was killed may keep its lock. */
const LOCK_WAIT_MS = 2000;

export type Row = Record<string, unknown>;

/** Raised to whoever still asks a closed database: an end, not a failure of the storage. */
export class StoreClosed extends Error {
  constructor() {
    super("the store is closed");
  }
}

export class Database {
  readonly #sqlite: DatabaseSync;
  readonly #onFailure: (error: unknown) => never;
  readonly #statements = new Map<string, StatementSync>();
  #onSettled: () => void = () => undefined;
  #isOpen = false;
  #isWorking = false;
  #closed = false;

  /** Open or create; raises when the file cannot be used (locked, damaged, not ours to read). */
  constructor(path: string, onFailure: (error: unknown) => never) {
    this.#onFailure = onFailure;
    this.#sqlite = new DatabaseSync(path, { timeout: LOCK_WAIT_MS });
    try {
      // The exclusive lock keeps a second bridge out: two writers would fork the ratchets.
      this.#sqlite.exec(`
        PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 1000;
      `);
      const check = this.#sqlite.prepare("PRAGMA quick_check(1)").get();
      if (check?.["quick_check"] !== "ok") throw new Error("quick_check found damage");
      // After a failed sync the log may be in the page cache only, though it reads well. Moving all
      // of it into the main file writes it anew, so that everything rests on fresh syncs.
      const moved = this.#sqlite.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
      if (moved?.["busy"] !== 0) throw new Error("the write-ahead log is in use");
      migrate(this.#sqlite);
    } catch (error) {
      this.#sqlite.close();
      throw error;
    }
  }

  /** Called whenever a transaction has been committed. */
  set onSettled(listener: () => void) {
    this.#onSettled = listener;
  }

  /** Whether everything written is on disk. */
  get isSettled(): boolean {
    return !this.#isOpen;
  }

  transaction(work: () => void): void {
    this.join(work);
    this.settle();
  }

  /** Work in the transaction that is open, or in a new one that stays open. */
  join(work: () => void): void {
    this.run(() => {
      this.#isWorking = true;
      if (!this.#isOpen) this.exec("BEGIN IMMEDIATE");
      this.#isOpen = true;
      work();
      this.#isWorking = false;
    });
  }

  /** Commit what is open. */
  settle(): void {
    if (!this.#isOpen) return;
    this.run(() => {
      this.#statement("COMMIT").run();
      this.#isOpen = false;
    });
    this.#onSettled();
  }

  /** Fold the write-ahead log into the file. */
  checkpoint(): void {
    this.settle();
    this.run(() => this.#sqlite.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  }

  close(): void {
    if (this.#closed) return;
    this.settle();
    this.#closed = true;
    this.#statements.clear();
    this.#sqlite.close();
  }

  /** The number of changed rows. */
  exec(sql: string, ...values: SQLInputValue[]): number {
    const changes = this.run(() => Number(this.#statement(sql).run(...values).changes));
    if (!this.#isWorking) this.settle();
    return changes;
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.run(() => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.run(() => this.#statement(sql).all(...values));
  }

  /** Whatever fails in `work` is a failure of the storage. */
  run<T>(work: () => T): T {
    if (this.#closed) throw new StoreClosed();
    try {
      return work();
    } catch (error) {
      return this.#onFailure(error);
    }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#sqlite.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
