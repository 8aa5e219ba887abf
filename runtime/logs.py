"""Log records: readable on the console and in ``server.log``, JSON lines in ``logs/``.

``logs/combined.log`` holds all from INFO up, ``logs/error.log`` the errors, ``logs/audit.log`` who
controlled what. A file ends with its day (UTC) or at ``MAX_BYTES``; old ones go by number and by
age. Records are written by a thread of their own, so a slow disk does not hold up the event loop; a
full queue drops records, never the message path.

A record's own fields (``extra={...}``) become JSON keys: ``connection``, ``incarnation`` and
``message_id`` (WhatsApp's) tell which records belong together; `correlated` gives them to all
records of a block. Loggers are named ``zapvisor.<area>``. Secrets of this process and whole phone
numbers are hidden in all of them, in tracebacks too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import queue
import sys
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .phone_masking import mask_phones
from .redaction import SECRETS

MAX_BYTES = 10 * 1024 * 1024
KEPT_FILES = 20
"""Of each log, besides the one that is written: a file for each day, or more on busy ones."""
KEPT_SECONDS = 14 * 24 * 3600
QUEUE_RECORDS = 10_000
FLUSH_SECONDS = 1.0

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LIBRARIES = ("httpx", "httpcore", "hypercorn", "hpack", "trio-websocket", "wsproto", "postgrest")


def readable(text: str) -> str:
    """What of a text a log may show: no secret of this process, no whole phone number."""
    return mask_phones(SECRETS.redact(text))


def _readable_value(value: Any) -> Any:
    """The same for a record's field. A number is a figure of ours, never somebody's telephone."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {readable(str(key)): _readable_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_readable_value(one) for one in value]
    return readable(str(value))


_shared: ContextVar[Mapping[str, Any]] = ContextVar("shared", default=MappingProxyType({}))


@contextlib.contextmanager
def correlated(**fields: Any) -> Iterator[None]:
    """Give these fields to every record of the block, and of the tasks started within it."""
    token = _shared.set({**_shared.get(), **fields})
    try:
        yield
    finally:
        _shared.reset(token)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {
        key: _readable_value(value) for key, value in vars(record).items() if key not in _STANDARD
    }


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": readable(record.getMessage()),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = readable(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class ConsoleFormatter(logging.Formatter):
    """Time, level, area, what happened, its fields."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        area = record.name.removeprefix("zapvisor.")
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        line = f"{record.levelname:<7} {area}: {readable(record.getMessage())} {fields}".rstrip()
        if record.exc_info:
            line = f"{line}\n{readable(self.formatException(record.exc_info))}"
        return f"{when} {line}"


class _LossyQueueHandler(logging.handlers.QueueHandler):
    """Drops a record when the queue is full instead of printing a traceback about it."""

    queue: queue.Queue[logging.LogRecord]

    def flush(self) -> None:
        """Until the thread has written what is queued, for a moment at most: for a process that
        ends on the spot."""
        until = time.monotonic() + FLUSH_SECONDS
        while self.queue.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.01)

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # The default would merge arguments and drop exception details; the thread formats it all.
        for name, value in _shared.get().items():
            vars(record).setdefault(name, value)
        return record


class _DailyFile(logging.handlers.RotatingFileHandler):
    """Rotates by size and with the day; what is older than ``KEPT_SECONDS`` goes."""

    def __init__(self, path: Path) -> None:
        self._day = _day(path.stat().st_mtime if path.exists() else time.time())
        super().__init__(
            path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8", errors="replace"
        )
        self._forget_old()

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - logging's own
        if _day(record.created) > self._day:
            if self.stream is not None and self.stream.tell() > 0:
                return True
            self._day = _day(record.created)
        return bool(super().shouldRollover(record))

    def doRollover(self) -> None:  # noqa: N802
        super().doRollover()
        self._day = _day(time.time())
        self._forget_old()

    def _forget_old(self) -> None:
        path = Path(self.baseFilename)
        for old in path.parent.glob(f"{path.name}.*"):
            if old.stat().st_mtime < time.time() - KEPT_SECONDS:
                old.unlink(missing_ok=True)


def _day(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def _file(path: Path, level: int, formatter: logging.Formatter) -> logging.Handler:
    handler = _DailyFile(path)
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


@contextlib.contextmanager
def errors_logged_to(path: Path) -> Iterator[None]:
    """For a command that ends soon: errors of the block go to a file of their own, if it can be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = _file(path, logging.ERROR, JsonFormatter())
    except OSError:
        handler = logging.NullHandler()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
