/** The schema of one connection's database. `user_version` is the number of applied steps. */

import type { DatabaseSync } from "node:sqlite";

const STEPS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  -- Signal keys of every type; bytes as BLOB, everything else as JSON.
  CREATE TABLE signal_key (
    type TEXT NOT NULL, id TEXT NOT NULL, value ANY NOT NULL, PRIMARY KEY (type, id)
  ) STRICT, WITHOUT ROWID;

  -- One row per message stanza. The stanza (its ciphertexts replaced by their hashes) goes away
  -- when the runtime has acknowledged the event, the identity stays to recognise redelivery.
  -- complete: 0 not all is decrypted, 1 nothing is missing, 2 it came without content.
  CREATE TABLE inbound (
    id INTEGER PRIMARY KEY,
    identity BLOB NOT NULL UNIQUE,
    message_id TEXT NOT NULL,
    header TEXT NOT NULL,
    stanza TEXT,
    offline INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    received_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX inbound_message_id ON inbound (message_id);
  CREATE INDEX inbound_received_at ON inbound (received_at);
  CREATE INDEX inbound_peer ON inbound (id) WHERE peer = 1 AND stanza IS NOT NULL;

  -- What the ciphertexts hold; the body is erased together with the stanza.
  CREATE TABLE plaintext (
    hash BLOB PRIMARY KEY,
    inbound INTEGER NOT NULL REFERENCES inbound (id) ON DELETE CASCADE,
    body BLOB
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX plaintext_inbound ON plaintext (inbound);

  -- What the runtime has not acknowledged yet. A message is rebuilt from its inbound row.
  CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    inbound INTEGER,
    data TEXT,
    received_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX event_inbound ON event (inbound) WHERE inbound IS NOT NULL;

  -- What we sent, for recipients that ask for it again.
  CREATE TABLE sent (id TEXT PRIMARY KEY, message BLOB NOT NULL, stored_at INTEGER NOT NULL)
  STRICT, WITHOUT ROWID;
  CREATE INDEX sent_stored_at ON sent (stored_at);
  `,
];

/** Not a step: an earlier release, which knows nothing of it, may go on with the file. */
const INDEX = "CREATE INDEX IF NOT EXISTS inbound_incomplete ON inbound (id) WHERE complete <> 1 AND peer = 0";

export function migrate(database: DatabaseSync): void {
  const row = database.prepare("PRAGMA user_version").get();
  const version = Number(row?.["user_version"] ?? 0);
  if (version > STEPS.length) throw new Error(`database has a newer schema: ${version}`);
  for (const [index, step] of STEPS.entries()) {
    if (index < version) continue;
    database.exec(`BEGIN IMMEDIATE; ${step} PRAGMA user_version = ${index + 1}; COMMIT;`);
  }
  database.exec(INDEX);
}
