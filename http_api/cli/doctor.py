"""``zapvisor doctor``: is everything there that the product needs? Changes nothing."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass

import click
import httpx
import trio

from runtime.advice import about_journal, about_supabase
from runtime.journal import DataDirectoryInUse, DataDirectoryLock
from runtime.journal.faults import diagnose
from runtime.journal.schema import MIGRATIONS
from runtime.local_stack.postgrest import PostgrestError, executable
from runtime.node_parts import (
    NodePartsError,
    installed_parts,
    locate_sources,
    locked_version,
    node_executable,
)
from runtime.reasons import about
from runtime.settings import Settings
from runtime.storage import REQUIRED_SCHEMA_VERSION, Supabase, classify
from runtime.storage.classify import EXPECTED, error_class

from .prerequisites import load_settings
from .remote import BOOTSTRAP, Remote
from .tables import print_json
from .terminal import Problem, system_error

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = (24, 18)
# Below this the journal may soon have no room for what WhatsApp delivers.
LOW_DISK_BYTES = 1024**3
COMMAND_TIMEOUT = 20.0
ANSWER_TIMEOUT = 5.0
SUPABASE_TIMEOUT = 15.0


_ADDRESS_ADVICE = {
    errno.EADDRINUSE: "stop the program that does, or set PORT",
    errno.EADDRNOTAVAIL: "it is none of this machine: set HOST",
    errno.EACCES: "set PORT to one above 1023",
}


class Ailing(Exception):
    """A check failed; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """``run`` returns what it found, or raises Ailing."""

    name: str
    run: Callable[[Settings], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, or what is wrong and what to do."""

    name: str
    ok: bool
    finding: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """What became of every entry that the journal ever accepted."""

    accepted: int
    stored: int
    dead: int
    pending: int

    def balance(self) -> str:
        """The identity in words. Raises Ailing when an entry is unaccounted for."""
        sentence = (
            f"accepted {self.accepted} = stored {self.stored} + dead {self.dead}"
            f" + pending {self.pending}"
        )
        if self.accepted != self.stored + self.dead + self.pending:
            raise Ailing(
                f"the accounts do not balance: not {sentence}; run `zapvisor journal verify`"
            )
        return sentence


def doctor(*, as_json: bool) -> int:
    """Print what each check found; return 0 when all is well, 1 otherwise."""
    settings = load_settings()
    findings = []
    for check in CHECKS:
        finding = _find(check, settings)
        findings.append(finding)
        if not as_json:  # at once: some checks take their time
            mark, colour = ("ok", None) if finding.ok else ("FAILED", "red")
            click.secho(f"{mark:7}{finding.name:16}{finding.finding}", fg=colour)
    if as_json:
        print_json([asdict(one) for one in findings])
    return 0 if all(one.ok for one in findings) else 1


def _find(check: Check, settings: Settings) -> Finding:
    try:
        return Finding(check.name, True, check.run(settings))
    except (Ailing, Problem, NodePartsError) as error:
        return Finding(check.name, False, str(error))


def _python(_settings: Settings) -> str:
    if sys.version_info < OLDEST_PYTHON:
        raise Ailing(f"{platform.python_version()} is too old; 3.11 or newer is needed")
    return platform.python_version()


def _node(_settings: Settings) -> str:
    node = node_executable()
    try:
        answer = subprocess.run(  # noqa: S603 - the Node of our own wheel
            [node, "--version"], capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise Ailing(f"{node} does not run ({_kind(error)}); install zapvisor anew") from None
    major, minor, *_ = (int(part) for part in answer.removeprefix("v").split("."))
    if (major, minor) < OLDEST_NODE:
        raise Ailing(f"{answer} is too old; {'.'.join(map(str, OLDEST_NODE))} or newer is needed")
    return answer


def _kind(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, OSError):
        return system_error(error)
    return "it takes too long" if isinstance(error, subprocess.TimeoutExpired) else "it fails"


def _node_packages(settings: Settings) -> str:
    parts = installed_parts(settings.data_dir)
    baileys = locked_version(locate_sources(), "baileys")
    if parts is None:
        return f"Baileys {baileys} will be installed by the first `up`"
    if not (parts.node_modules / "baileys" / "package.json").is_file():
        raise Ailing(f"Baileys is missing; remove {parts.node_modules} and start again")
    return f"Baileys {baileys}"


def _data_directory(settings: Settings) -> str:
    directory = settings.data_dir.resolve()
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"zapvisor")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Ailing(
            f"{directory} is not writable ({system_error(error)}); set ZAPVISOR_DATA_DIR"
        ) from None
    free = shutil.disk_usage(existing).free
    if free < LOW_DISK_BYTES:
        raise Ailing(f"{directory}: only {free // 1024**2} MB are free; make room")
    return f"{directory}, {free // 1024**3} GB free"


def _journal(settings: Settings) -> str:
    path = settings.data_dir.resolve() / "journal.sqlite"
    if not path.exists():
        return "will be made by the first `up`"
    try:
        # The lock keeps a runtime from starting meanwhile: the journal allows one connection.
        with DataDirectoryLock(path.parent, f"{path.name}.lock"):
            connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
            try:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                accounts = Accounts(
                    *connection.execute(
                        "SELECT accepted, stored, dead, pending FROM totals"
                    ).fetchone()
                )
            finally:
                connection.close()
    except DataDirectoryInUse as error:
        return f"in use by the running zapvisor (pid {error.pid}); {_running_accounts(settings)}"
    except (sqlite3.Error, OSError) as error:
        fault = diagnose(error)
        code = "journal_io_error" if fault is None else fault.code
        raise Ailing(f"{path}: {about(code).en}; {about_journal(code).en}") from None
    if version > len(MIGRATIONS):
        raise Ailing(f"{path} is of a newer release; {about_journal('journal_too_new').en}")
    if finding != "ok":
        raise Ailing(f"{path}: the file is damaged; {about_journal('journal_corrupt').en}")
    return f"readable, {path.stat().st_size // 1024} KB; {accounts.balance()}"


def _running_accounts(settings: Settings) -> str:
    """The accounts as the running zapvisor tells them, where there is a key to ask with."""
    if settings.api_key is None:
        return "set ZAPVISOR_API_KEY to see its accounts"
    with Remote(ANSWER_TIMEOUT) as remote:
        queue = remote.call("GET", f"{BOOTSTRAP}/stats")["queue"]
    if queue is None:
        return "its journal is not available now"
    dead = queue["deadLetters"] + queue["archived"]
    return Accounts(queue["accepted"], queue["stored"], dead, queue["pending"]).balance()


def _port(settings: Settings) -> str:
    address = f"{settings.host}:{settings.port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if _answers(address):
                return f"zapvisor answers on {address}"
            what = _ADDRESS_ADVICE.get(error.errno or 0, "set HOST and PORT")
            raise Ailing(f"{address} cannot be used ({system_error(error)}); {what}") from None
    return f"{address} is free"


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/health/live", timeout=ANSWER_TIMEOUT).is_success
    except httpx.HTTPError:
        return False


def _supabase(settings: Settings) -> str:
    if settings.uses_local_stack:
        return _local_stack(settings)
    if settings.supabase_service_role_key is None:
        raise Ailing(
            "SUPABASE_URL is set, but SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY is not; "
            "set it too (Supabase: Project Settings, API keys)"
        )
    try:
        version = trio.run(_schema_version, settings)
    except EXPECTED as error:
        code, advice = classify(error).code, about_supabase(error_class(error)).en
        raise Ailing(f"{settings.supabase_url}: {about(code).en} ({code}); {advice}") from None
    if version < REQUIRED_SCHEMA_VERSION:
        raise Ailing(f"schema {version} is too old; run `zapvisor migrate`")
    return f"{settings.supabase_url}, schema {version}"


async def _schema_version(settings: Settings) -> int:
    assert settings.supabase_url is not None
    assert settings.supabase_service_role_key is not None
    key = settings.supabase_service_role_key.get_secret_value()
    with trio.fail_after(SUPABASE_TIMEOUT):
        async with Supabase(settings.supabase_url, key) as supabase:
            return await supabase.schema_version()


def _local_stack(settings: Settings) -> str:
    parts = installed_parts(settings.data_dir)
    if parts is not None:
        try:
            executable(parts.node_modules)
        except PostgrestError as error:
            raise Ailing(f"{error}; set SUPABASE_URL to use a Supabase project") from None
    return "the local stack (set SUPABASE_URL to use a project)"


CHECKS = (
    Check("Python", _python),
    Check("Node", _node),
    Check("Node packages", _node_packages),
    Check("data directory", _data_directory),
    Check("journal", _journal),
    Check("address", _port),
    Check("Supabase", _supabase),
)
