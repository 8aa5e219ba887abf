"""The durable queue: what WhatsApp delivered and what the API accepted, until it has arrived.

One SQLite file, one connection, one thread; WAL with ``synchronous=FULL`` and group commit. A call
that returned is on the disk. Modules, from the disk upwards:

- ``schema``, ``database``, ``faults``: tables and their versions; opening and checking the file;
  what an SQLite error means for the journal.
- ``lock``: one runtime per data directory.
- ``thread``: the thread that owns the connection and commits many callers at once.
- ``records``, ``codec``: the values callers see, and how they are stored.
- ``events``, ``event_row``, ``endpoints``, ``deliveries``: the event log and what webhooks get.
- ``inbox``, ``dead_letters``, ``outbox``, ``robot``, ``contacts``, ``registry``, ``statistics``,
  ``gauges``, ``upkeep``: what can be done in a transaction, as plain functions on a connection.
- ``keeper``: the supervised child that keeps the file open; ``journal``: its methods for all.
"""

from .contacts import Alias, Checked
from .deliveries import Delivery
from .endpoints import Attempt, Endpoint
from .journal import Journal
from .lock import DataDirectoryInUse, DataDirectoryLock
from .records import (
    Accepted,
    Command,
    CommandState,
    Connection,
    DeadLetter,
    Entry,
    JournalState,
    JournalStatistics,
    Media,
    MediaTask,
    NewCommand,
    NewEntry,
    NewMedia,
    Stored,
    Submitted,
)
from .robot import Heard, RobotState

__all__ = [
    "Accepted",
    "Alias",
    "Attempt",
    "Checked",
    "Command",
    "CommandState",
    "Connection",
    "DataDirectoryInUse",
    "DataDirectoryLock",
    "DeadLetter",
    "Delivery",
    "Endpoint",
    "Entry",
    "Heard",
    "Journal",
    "JournalState",
    "JournalStatistics",
    "Media",
    "MediaTask",
    "NewCommand",
    "NewEntry",
    "NewMedia",
    "RobotState",
    "Stored",
    "Submitted",
]
