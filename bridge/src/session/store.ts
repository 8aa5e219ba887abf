/**
 * The durable state of one connection: credentials, Signal keys, received plaintexts, events for
 * the runtime and sent messages. Calls are synchronous and durable; see database.ts.
 *
 * Received plaintexts share commits: they are on disk at the end of the turn of the event loop, and
 * nothing may leave the process before (held-writes.ts). A sync takes as long for ten as for one.
 */

import { randomUUID } from "node:crypto";

import { failpoint, passed } from "../failpoints.ts";
import type { EventKind } from "../protocol.ts";
import { decodeKey, encodeKey } from "./codec.ts";
import { Database } from "./database.ts";
import type { Row } from "./database.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** As long as WhatsApp may deliver or fill a message again. */
export const HASH_RETENTION_MS = 14 * DAY_MS;
export const SENT_RETENTION_MS = 14 * DAY_MS;
export const SENT_MAX_COUNT = 20_000;
const PRUNE_EVERY_MS = 60 * 60 * 1000;

/** A message stanza as it arrived, in the form in which it is kept. */
export interface InboundStanza {
  readonly identity: Buffer;
  readonly messageId: string;
  /** JSON of the key, name and time, kept for a later fill. */
  readonly header: string;
  readonly stanza: string;
  /** One per ciphertext of the stanza. */
  readonly hashes: readonly Buffer[];
  readonly offline: boolean;
  readonly peer: boolean;
  readonly receivedAt: number;
}

/** A decrypted ciphertext with everything that must be committed together with the ratchet. */
export interface InboundPlaintext {
  readonly inbound: InboundStanza;
  readonly hash: Buffer;
  readonly body: Uint8Array;
  /** Messages that this (peer) message delivers on behalf of an earlier stub. */
  readonly fills: readonly Fill[];
}

export interface Fill {
  readonly messageId: string;
  readonly data: string;
}

export interface EventRow {
  readonly seq: number;
  readonly kind: EventKind;
  readonly inbound: number | null;
  readonly data: string | null;
  readonly receivedAt: number;
}

export interface InboundRow {
  readonly id: number;
  readonly stanza: string | null;
  readonly header: string;
  readonly offline: boolean;
}

export interface NewEvent {
  readonly kind: EventKind;
  readonly data: unknown;
}

/** Values per key type and id; null deletes. */
export type KeyWrites = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

export class Store {
  readonly path: string;
  readonly epoch: string;
  readonly #database: Database;
  #onEvent: () => void = () => undefined;
  #onSettled: () => void = () => undefined;
  #eventAdded = false;
  /** Plaintexts that are not on disk yet. */
  #unsettled = 0;
  #pendingEvents: number;
  #prunedAt = 0;

  /** Open or create; raises when the file cannot be used (locked, damaged, not ours to read). */
  constructor(path: string, onFailure: (error: unknown) => never) {
    this.path = path;
    this.#database = new Database(path, onFailure);
    this.#database.onSettled = () => this.#settled();
    this.epoch = this.#initialEpoch();
    this.#pendingEvents = Number(this.#database.get("SELECT count(*) AS n FROM event")?.["n"]);
  }

  get pendingEvents(): number {
    return this.#pendingEvents;
  }

  /** Messages that were announced without their content and are still owed it. */
  unfilledStubs(): number {
    return Number(
      this.#database.get("SELECT count(*) AS n FROM inbound WHERE complete <> 1 AND peer = 0")?.["n"],
    );
  }

  /** Called (synchronously) whenever an event was added; `eventsAfter` has it, and on disk. */
  set onEvent(listener: () => void) {
    this.#onEvent = listener;
  }

  /** Called (synchronously) whenever something was committed. */
  set onSettled(listener: () => void) {
    this.#onSettled = listener;
  }

  /** Whether everything is on disk. */
  get isSettled(): boolean {
    return this.#database.isSettled;
  }

  /** Put on disk what is not there yet. */
  settle(): void {
    this.#database.settle();
  }

  close(): void {
    this.#database.close();
  }

  /** Close, with the write-ahead log folded in: the file is whole by itself and can be moved. */
  seal(): void {
    this.#database.checkpoint();
    this.close();
  }

  /** Put aside for this reason: a successor has its open events. */
  retire(reason: string): void {
    this.#database.exec("INSERT OR REPLACE INTO meta VALUES ('retired', ?)", reason);
  }

  /** Back in use. Open events that a successor took over are dropped, others stay. */
  reinstate(): void {
    this.#transaction(() => {
      if (this.#database.exec("DELETE FROM meta WHERE name = 'retired'") === 0) return;
      this.#pendingEvents -= this.#database.exec("DELETE FROM event");
    });
  }

  // --- credentials and Signal keys ---------------------------------------------------------

  credentials(): string | null {
    const row = this.#database.get("SELECT value FROM meta WHERE name = 'credentials'");
    return row === undefined ? null : String(row["value"]);
  }

  writeCredentials(json: string): void {
    this.#database.exec("INSERT OR REPLACE INTO meta VALUES ('credentials', ?)", json);
  }

  keys(type: string, ids: readonly string[]): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    for (const id of ids) {
      const row = this.#database.get(
        "SELECT value FROM signal_key WHERE type = ? AND id = ?",
        type,
        id,
      );
      if (row !== undefined) found[id] = decodeKey(type, row["value"]);
    }
    return found;
  }

  /**
   * One transaction: Signal keys, the plaintexts that came out of them, the events that follow.
   * `events` is asked inside it for what the key changes mean to the runtime. With plaintexts it is
   * on disk after `settle`, which comes by itself at the end of this turn of the event loop.
   */
  commit(
    writes: KeyWrites,
    plaintexts: readonly InboundPlaintext[],
    events: readonly NewEvent[] = [],
  ): void {
    const now = Date.now();
    const write = (): void => {
      for (const [type, values] of Object.entries(writes)) {
        for (const [id, value] of Object.entries(values ?? {})) {
          if (value === null || value === undefined) {
            this.#database.exec("DELETE FROM signal_key WHERE type = ? AND id = ?", type, id);
          } else {
            const encoded = encodeKey(type, value);
            this.#database.exec("INSERT OR REPLACE INTO signal_key VALUES (?, ?, ?)", type, id, encoded);
          }
        }
      }
      if (plaintexts.length > 0) failpoint("mid-commit");
      for (const plaintext of plaintexts) this.#storePlaintext(plaintext);
      this.#appendEvents(events, now);
    };
    if (plaintexts.length === 0) {
      this.#transaction(write);
      return;
    }
    if (this.#unsettled === 0) setImmediate(() => this.settle());
    this.#unsettled += plaintexts.length;
    this.#tellingOfEvents(() => this.#database.join(write));
  }

  #settled(): void {
    for (; this.#unsettled > 0; this.#unsettled -= 1) passed("committed-before-receipt");
    this.#onSettled();
  }

  // --- received messages -------------------------------------------------------------------

  /**
   * The plaintext of a ciphertext that was decrypted before: its bytes, `"erased"` when the
   * runtime has it already, or null when it is new.
   */
  plaintext(hash: Buffer): Buffer | "erased" | null {
    const row = this.#database.get("SELECT body FROM plaintext WHERE hash = ?", hash);
    if (row === undefined) return null;
    return row["body"] === null ? "erased" : Buffer.from(row["body"] as Uint8Array);
  }

  /** A stanza that has nothing to decrypt: kept and announced once; `owed` when its content may come. */
  storeUndecryptable(inbound: InboundStanza, owed: boolean): void {
    this.#transaction(() => {
      if (this.#inboundId(inbound.identity) !== null) return;
      const id = this.#upsertInbound(inbound);
      this.#database.exec("UPDATE inbound SET complete = ? WHERE id = ?", owed ? 2 : 1, id);
      if (!inbound.peer) this.#appendEvent("message", id, null, inbound.receivedAt);
    });
  }

  /** A stanza that could not be decrypted (yet): announced once, unless it was complete before. */
  storeFailure(inbound: InboundStanza): void {
    this.#transaction(() => {
      const known = this.#database.get(
        `SELECT id, complete, EXISTS (SELECT 1 FROM event WHERE inbound = inbound.id) AS announced
         FROM inbound WHERE identity = ?`,
        inbound.identity,
      );
      if (known !== undefined && (known["complete"] !== 0 || known["announced"] === 1)) return;
      const id = this.#upsertInbound(inbound);
      if (!inbound.peer) this.#appendEvent("message", id, null, inbound.receivedAt);
    });
  }

  inbound(id: number): InboundRow | null {
    const row = this.#database.get("SELECT id, stanza, header, offline FROM inbound WHERE id = ?", id);
    return row === undefined ? null : inboundRow(row);
  }

  inboundIdOf(identity: Buffer): number | null {
    return this.#inboundId(identity);
  }

  /** The header of the stub that a message with this id is still owed to, if there is one. */
  stubHeader(messageId: string): string | null {
    const row = this.#database.get(
      "SELECT header FROM inbound WHERE message_id = ? AND peer = 0 ORDER BY id LIMIT 1",
      messageId,
    );
    return row === undefined ? null : String(row["header"]);
  }

  /** Peer messages (keys and history from the phone) that Baileys has not worked through. */
  unprocessedPeers(): InboundRow[] {
    return this.#database.all(
      `SELECT id, stanza, header, offline FROM inbound
       WHERE peer = 1 AND stanza IS NOT NULL AND complete = 1 ORDER BY id`,
    ).map(inboundRow);
  }

  markPeerProcessed(id: number): void {
    this.#transaction(() => this.#erase(id));
  }

  // --- events ------------------------------------------------------------------------------

  appendEvents(events: readonly NewEvent[]): void {
    if (events.length === 0) return;
    const now = Date.now();
    this.#transaction(() => {
      this.#appendEvents(events, now);
    });
  }

  /** Messages of the phone's history that became events, ever. */
  importedMessages(): number {
    return Number(this.#database.get("SELECT value FROM meta WHERE name = 'imported'")?.["value"] ?? 0);
  }

  /** Events of the phone's history, counted with them. */
  appendHistory(events: readonly NewEvent[]): void {
    if (events.length === 0) return;
    const now = Date.now();
    this.#transaction(() => {
      this.#appendEvents(events, now);
      const imported = this.importedMessages() + events.length;
      this.#database.exec("INSERT OR REPLACE INTO meta VALUES ('imported', ?)", String(imported));
    });
  }

  eventsAfter(seq: number, limit: number): EventRow[] {
    this.settle();
    return this.#database.all("SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit).map(
      (row) => ({
        seq: Number(row["seq"]),
        kind: row["kind"] as EventKind,
        inbound: row["inbound"] === null ? null : Number(row["inbound"]),
        data: row["data"] === null ? null : String(row["data"]),
        receivedAt: Number(row["received_at"]),
      }),
    );
  }

  /** Everything up to `seq` is durable at the runtime: forget it, keep the hashes. */
  acknowledge(seq: number): void {
    this.#transaction(() => {
      const inbounds = this.#database.all(
        "SELECT DISTINCT inbound FROM event WHERE seq <= ? AND inbound IS NOT NULL",
        seq,
      );
      this.#pendingEvents -= this.#database.exec("DELETE FROM event WHERE seq <= ?", seq);
      for (const { inbound } of inbounds) {
        const open = this.#database.get("SELECT 1 FROM event WHERE inbound = ?", inbound as number);
        if (open === undefined) this.#erase(inbound as number);
      }
    });
    this.#prune();
  }

  lastSeq(): number {
    const row = this.#database.get("SELECT seq FROM sqlite_sequence WHERE name = 'event'");
    return Number(row?.["seq"] ?? 0);
  }

  /** Take over the numbering and the open events of another database; our own come after them. */
  continueFrom(lastSeq: number, events: readonly EventRow[]): void {
    this.#transaction(() => {
      const own = this.#database.all("SELECT seq FROM event ORDER BY seq DESC");
      const highest = Math.max(lastSeq, this.lastSeq()) + own.length;
      // From the highest down, so that no number is taken twice on the way.
      for (const [index, { seq }] of own.entries()) {
        this.#database.exec("UPDATE event SET seq = ? WHERE seq = ?", highest - index, seq as number);
      }
      for (const event of events) {
        this.#database.exec(
          "INSERT INTO event (seq, kind, data, received_at) VALUES (?, ?, ?, ?)",
          event.seq,
          event.kind,
          event.data,
          event.receivedAt,
        );
        this.#pendingEvents += 1;
      }
      this.#database.exec("DELETE FROM sqlite_sequence WHERE name = 'event'");
      this.#database.exec("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?)", highest);
    });
  }

  // --- sent messages -----------------------------------------------------------------------

  sent(id: string): Buffer | null {
    const row = this.#database.get("SELECT message FROM sent WHERE id = ?", id);
    return row === undefined ? null : Buffer.from(row["message"] as Uint8Array);
  }

  storeSent(id: string, message: Uint8Array): void {
    this.#database.exec("INSERT OR IGNORE INTO sent VALUES (?, ?, ?)", id, message, Date.now());
    this.#prune();
  }

  #transaction(work: () => void): void {
    this.#tellingOfEvents(() => this.#database.transaction(work));
  }

  #tellingOfEvents(work: () => void): void {
    this.#eventAdded = false;
    work();
    if (this.#eventAdded) this.#onEvent();
  }

  // --- inside transactions -----------------------------------------------------------------

  #storePlaintext({ inbound, hash, body, fills }: InboundPlaintext): void {
    const id = this.#upsertInbound(inbound);
    this.#database.exec("INSERT OR IGNORE INTO plaintext VALUES (?, ?, ?)", hash, id, body);
    const missing = inbound.hashes.some(
      (other) => this.#database.get("SELECT 1 FROM plaintext WHERE hash = ?", other) === undefined,
    );
    if (!missing) {
      this.#database.exec("UPDATE inbound SET complete = 1 WHERE id = ?", id);
      if (!inbound.peer) this.#appendEvent("message", id, null, inbound.receivedAt);
    }
    for (const fill of fills) {
      this.#database.exec("UPDATE inbound SET complete = 1 WHERE message_id = ?", fill.messageId);
      this.#appendEvent("message", null, fill.data, inbound.receivedAt);
    }
  }

  /** The row of this stanza; a resend (new ciphertext, same id) takes the place of an older one. */
  #upsertInbound(inbound: InboundStanza): number {
    this.#database.exec(
      `INSERT INTO inbound
         (identity, message_id, header, stanza, offline, peer, complete, received_at)
       VALUES (?, ?, ?, ?, ?, ?, 0, ?)
       ON CONFLICT (identity) DO UPDATE SET
         stanza = excluded.stanza, offline = excluded.offline, received_at = excluded.received_at`,
      inbound.identity,
      inbound.messageId,
      inbound.header,
      inbound.stanza,
      Number(inbound.offline),
      Number(inbound.peer),
      inbound.receivedAt,
    );
    return this.#inboundId(inbound.identity)!;
  }

  #inboundId(identity: Buffer): number | null {
    const row = this.#database.get("SELECT id FROM inbound WHERE identity = ?", identity);
    return row === undefined ? null : Number(row["id"]);
  }

  #appendEvents(events: readonly NewEvent[], at: number): void {
    for (const event of events) this.#appendEvent(event.kind, null, event.data, at);
  }

  #appendEvent(kind: EventKind, inbound: number | null, data: unknown, at: number): void {
    const json = typeof data === "string" || data === null ? data : JSON.stringify(data);
    this.#database.exec(
      "INSERT INTO event (kind, inbound, data, received_at) VALUES (?, ?, ?, ?)",
      kind,
      inbound,
      json,
      at,
    );
    this.#pendingEvents += 1;
    this.#eventAdded = true;
  }

  #erase(inbound: number): void {
    this.#database.exec("UPDATE inbound SET stanza = NULL WHERE id = ?", inbound);
    this.#database.exec("UPDATE plaintext SET body = NULL WHERE inbound = ?", inbound);
  }

  #prune(): void {
    const now = Date.now();
    if (now - this.#prunedAt < PRUNE_EVERY_MS) return;
    this.#prunedAt = now;
    this.#transaction(() => {
      this.#database.exec(
        `DELETE FROM inbound WHERE received_at < ?
           AND NOT EXISTS (SELECT 1 FROM event WHERE event.inbound = inbound.id)
           AND NOT (peer = 1 AND stanza IS NOT NULL)`,
        now - HASH_RETENTION_MS,
      );
      this.#database.exec("DELETE FROM sent WHERE stored_at < ?", now - SENT_RETENTION_MS);
      this.#database.exec(
        `DELETE FROM sent WHERE id IN
           (SELECT id FROM sent ORDER BY stored_at DESC LIMIT -1 OFFSET ?)`,
        SENT_MAX_COUNT,
      );
    });
  }

  #initialEpoch(): string {
    const row = this.#database.get("SELECT value FROM meta WHERE name = 'epoch'");
    if (row !== undefined) return String(row["value"]);
    const epoch = randomUUID();
    this.#database.exec("INSERT INTO meta VALUES ('epoch', ?)", epoch);
    return epoch;
  }
}

function inboundRow(row: Row): InboundRow {
  return {
    id: Number(row["id"]),
    stanza: row["stanza"] === null ? null : String(row["stanza"]),
    header: String(row["header"]),
    offline: row["offline"] === 1,
  };
}
