"""The tables, as a list of migrations; ``PRAGMA user_version`` counts those applied.

Only append to ``MIGRATIONS``: an installation may come from any earlier version with pending rows.
"""

from __future__ import annotations

import sqlite3

# Times are microseconds since the epoch (UTC), JSON is ASCII text.
_VERSION_1 = """
CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    accepted INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    archived INTEGER NOT NULL DEFAULT 0,
    touches INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO totals (id) VALUES (1);

-- Pending entries. AUTOINCREMENT: a seq is never used twice, also after its row is gone.
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT,
    payload TEXT NOT NULL,
    crc INTEGER NOT NULL,
    happened_at INTEGER,
    raw TEXT,
    event_data TEXT,
    accepted_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE dead_letter (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT,
    payload TEXT NOT NULL,
    crc INTEGER NOT NULL,
    happened_at INTEGER,
    raw TEXT,
    event_data TEXT,
    accepted_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    died_at INTEGER NOT NULL
) STRICT;

-- The keys accepted within the retention, pending or not, as digests.
CREATE TABLE seen (
    seq INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    accepted_at INTEGER NOT NULL
) STRICT;

-- The last microsecond given out in each second of each chat; the second leads, so that
-- neighbours in time are neighbours on the disk.
CREATE TABLE chat_second (
    second INTEGER NOT NULL,
    chat BLOB NOT NULL,
    micros INTEGER NOT NULL,
    PRIMARY KEY (second, chat)
) STRICT, WITHOUT ROWID;

CREATE TABLE command (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    connection_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    row_id TEXT NOT NULL,
    to_jid TEXT NOT NULL,
    content TEXT NOT NULL,
    idempotency_key TEXT,
    request_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    sent_at INTEGER,
    updated_at INTEGER NOT NULL,
    UNIQUE (connection_id, message_id)
) STRICT;
CREATE UNIQUE INDEX command_by_idempotency_key ON command (connection_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX command_queued ON command (connection_id, seq) WHERE state = 'queued';
CREATE INDEX command_by_state ON command (state);

CREATE TABLE connection (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    company_id TEXT,
    created_at INTEGER NOT NULL,
    phone_number TEXT,
    whatsapp_id TEXT,
    push_name TEXT,
    parked_code TEXT,
    parked_reason TEXT,
    last_seen INTEGER,
    last_error TEXT
) STRICT, WITHOUT ROWID;
"""

# What the robot heard and has not answered; where it is with each atendimento; how much it said.
_ROBOT = """
CREATE TABLE robot_heard (
    seq INTEGER PRIMARY KEY,
    atendimento_id TEXT NOT NULL,
    facts TEXT NOT NULL,
    accepted_at INTEGER NOT NULL
) STRICT;

CREATE TABLE robot_state (
    atendimento_id TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    due INTEGER,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX robot_state_due ON robot_state (due) WHERE due IS NOT NULL;
CREATE INDEX robot_state_age ON robot_state (updated_at);

CREATE TABLE robot_pace (
    chat TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    sent INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE robot_mark (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Files of messages. A task that is done or given up has no `due`.
_MEDIA = """
CREATE TABLE media (
    row_id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    incoming INTEGER NOT NULL,
    kind TEXT NOT NULL,
    mimetype TEXT,
    file_name TEXT,
    size INTEGER,
    sha256 TEXT,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT,
    reason TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX media_by_state ON media (state);
CREATE INDEX media_by_age ON media (created_at);

CREATE TABLE media_task (
    row_id TEXT NOT NULL,
    name TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due INTEGER,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (row_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX media_task_due ON media_task (due) WHERE due IS NOT NULL;
CREATE INDEX media_uploads_to_do ON media_task (row_id) WHERE due IS NOT NULL AND name = 'upload';

CREATE TABLE media_upload (
    fingerprint TEXT PRIMARY KEY,
    upload TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

# The names of customers, see contacts.py, and what each connection was told to do.
_CONTACTS = """
CREATE TABLE contact (
    connection_id TEXT NOT NULL,
    alias TEXT NOT NULL,
    number TEXT,
    lid TEXT,
    absent INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL DEFAULT 0,
    checked_at INTEGER,
    PRIMARY KEY (connection_id, alias)
) STRICT, WITHOUT ROWID;

ALTER TABLE connection ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
"""

# The event log, and what of it is to be delivered to webhooks. `at`: milliseconds, never falling.
_EVENTS = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    connection_id TEXT,
    owner_id TEXT,
    chat TEXT,
    data TEXT NOT NULL,
    happened_at INTEGER NOT NULL
) STRICT;
CREATE INDEX event_by_time ON event (at, seq);

CREATE TABLE webhook_endpoint (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    owner_id TEXT,
    connection_id TEXT,
    events TEXT NOT NULL,
    description TEXT,
    secret TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    disabled_code TEXT,
    failing_since INTEGER,
    last_success_at INTEGER,
    last_error TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_delivery (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint_id TEXT NOT NULL,
    event_seq INTEGER NOT NULL,
    chat TEXT NOT NULL,
    state TEXT NOT NULL,
    due INTEGER,
    attempts INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    duration_ms INTEGER
) STRICT;
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (endpoint_id, chat, seq)
    WHERE state = 'pending';
CREATE INDEX webhook_delivery_due ON webhook_delivery (endpoint_id, due) WHERE due IS NOT NULL;
CREATE INDEX webhook_delivery_log ON webhook_delivery (endpoint_id, seq);
CREATE INDEX webhook_delivery_by_event ON webhook_delivery (event_seq);
CREATE INDEX webhook_delivery_by_age ON webhook_delivery (state, updated_at);
"""

# The chat of an entry, so that new messages may pass an old queue: see `inbox.passing`. X'00'
# stands for any chat: that of an entry accepted by an earlier release.
_CHATS = """
ALTER TABLE entry ADD COLUMN chat BLOB;
UPDATE entry SET chat = X'00' WHERE kind IN ('message', 'change');
CREATE INDEX entry_by_chat ON entry (chat, seq) WHERE chat IS NOT NULL;
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1, _ROBOT, _MEDIA, _CONTACTS, _EVENTS, _CHATS)


class SchemaTooNew(Exception):
    """The file was written by a later release; this one must not touch it."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"journal schema version {found} is newer than {len(MIGRATIONS)}, "
            "the newest this release knows"
        )
        self.found = found


def migrate(connection: sqlite3.Connection) -> int:
    """Bring the schema up to date, each step in its own transaction; returns the version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise SchemaTooNew(version)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        # executescript() would commit first; a single script keeps the step all-or-nothing.
        connection.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    return len(MIGRATIONS)
