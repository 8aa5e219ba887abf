"""Where log records go: JSON lines in files, readable lines on a terminal.

``logs/combined.log`` has everything from INFO up, ``logs/error.log`` from ERROR up,
``logs/audit.log`` the control calls, ``server.log`` what the console shows. Files rotate by size.
Records are written by a thread of their own, so a slow disk does not hold up the event loop; a
full queue drops records, never the message path.

A record's own fields (``extra={...}``) become JSON keys. Loggers are named ``zapvisor.<area>``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import queue
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MAX_BYTES = 20 * 1024 * 1024
KEPT_FILES = 5
QUEUE_RECORDS = 10_000

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PHONE = re.compile(r"(?<![0-9A-Fa-f-])(\d{2,4})\d{5,9}(\d{2})(?![0-9A-Fa-f-])")
_LIBRARIES = ("httpx", "httpcore", "hypercorn", "hpack", "trio-websocket", "wsproto", "postgrest")


def mask_phones(text: str) -> str:
    """Leave only the ends of anything that looks like a phone number or a JID's user part."""
    return _PHONE.sub(r"\1…\2", text)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return mask_phones(json.dumps(line, default=str, ensure_ascii=False))


class ConsoleFormatter(logging.Formatter):
    """Time, level, area, what happened, its fields."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        area = record.name.removeprefix("zapvisor.")
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        line = f"{when} {record.levelname:<7} {area}: {record.getMessage()} {fields}".rstrip()
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return mask_phones(line)


class _LossyQueueHandler(logging.handlers.QueueHandler):
    """Drops a record when the queue is full instead of printing a traceback about it."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # The default would merge arguments and drop exception details; the thread formats it all.
        return record


def _file(path: Path, level: int, formatter: logging.Formatter) -> logging.Handler:
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8", errors="replace"
    )
    handler.setLevel(level)
    handler.setFormatter(formatter)
    return handler


def _audit(path: Path) -> logging.Handler:
    """Who controlled what: the records of ``zapvisor.audit``, also in a file of their own."""
    handler = _file(path, logging.INFO, JsonFormatter())
    handler.addFilter(logging.Filter("zapvisor.audit"))
    return handler


@contextlib.contextmanager
def logging_to(directory: Path, *, console_level: int = logging.INFO) -> Iterator[None]:
    """Write logs below ``directory`` and to standard error while the block runs."""
    (directory / "logs").mkdir(parents=True, exist_ok=True)
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(console_level)
    console.setFormatter(ConsoleFormatter())
    records: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_RECORDS)
    listener = logging.handlers.QueueListener(
        records,
        console,
        _file(directory / "server.log", console_level, ConsoleFormatter()),
        _file(directory / "logs" / "combined.log", logging.INFO, JsonFormatter()),
        _file(directory / "logs" / "error.log", logging.ERROR, JsonFormatter()),
        _audit(directory / "logs" / "audit.log"),
        respect_handler_level=True,
    )
    root = logging.getLogger()
    handler = _LossyQueueHandler(records)
    root.addHandler(handler)
    root.setLevel(min(console_level, logging.INFO))
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        listener.stop()
