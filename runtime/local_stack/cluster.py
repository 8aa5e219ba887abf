"""Where the database cluster lives, how it is made and how it is configured.

Below the stack's directory where the server's account can reach it, else (root's home, a private
directory) below ``/var/lib/zapvisor``. That place is recorded in the stack's directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from .account import Account
from .binaries import SYSTEM_DIRECTORY

log = logging.getLogger("zapvisor.local_stack")

SUPERUSER = "postgres"
DATABASE = "postgres"
INITDB_TIMEOUT = 120
INSIDE = "postgres"
LOCATION_FILE = "postgres-location"
# A socket path has at most 107 bytes on Linux and 103 on macOS; its last part needs 25 of them.
SOCKET_DIRECTORY_LIMIT = 103 - len("/.s.PGSQL.5432.lock.more")

# Messages below LOG stay out of the server's log, and so does the data in them: clients get them.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "max_locks_per_transaction": "256",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_line_prefix": "",
}


class ClusterError(Exception):
    """The cluster cannot be used as it is; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Paths of one cluster. ``home`` holds everything and belongs to the server's account."""

    home: Path
    sockets: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory; it exists once the cluster was made."""
        return self.home / "data"

    @property
    def socket(self) -> Path:
        """Where PostgreSQL listens."""
        return self.sockets / ".s.PGSQL.5432"

    @property
    def dsn(self) -> str:
        """libpq parameters of the superuser, who needs no password on the socket."""
        return make_conninfo(host=str(self.sockets), user=SUPERUSER, dbname=DATABASE)


def locate(directory: Path, account: Account) -> Cluster:
    """The cluster that belongs to ``directory``; its home is created on the first call (blocking).

    Raises ClusterError, OSError.
    """
    directory = directory.resolve()
    home = _recorded(directory)
    if home is None:
        home = _choose(directory, account)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        account.give(home)
    if not account.can_reach(home):
        raise ClusterError(f"the account {account.name} cannot enter {home}, where the database is")
    return Cluster(home, _socket_directory(home, account))


def make(cluster: Cluster, programs: Path, account: Account) -> None:
    """Run ``initdb`` unless the cluster is there, and write its configuration (blocking).

    Raises ClusterError, OSError.
    """
    if not cluster.data.is_dir():
        _initdb(cluster, programs, account)
    theirs = (cluster.data / "PG_VERSION").read_text().strip()
    ours = _run([str(programs / "postgres"), "--version"], account).split()[-1].partition(".")[0]
    if theirs != ours:
        raise ClusterError(
            f"{cluster.data} was made by PostgreSQL {theirs}, this installation brings {ours}; "
            "dump it with the earlier one and restore it here"
        )
    settings = {**SETTINGS, "unix_socket_directories": f'"{cluster.sockets}"'}
    lines = [f"{name} = {_quote(value)}" for name, value in settings.items()]
    _write(cluster.data / "postgresql.conf", lines, account)
    # The superuser is whoever runs zapvisor; PostgREST logs in as authenticator, with a password.
    _write(
        cluster.data / "pg_hba.conf",
        [f"local all {SUPERUSER} peer map=zapvisor", "local all all scram-sha-256"],
        account,
    )
    names = {account.name, _own_name()}
    _write(
        cluster.data / "pg_ident.conf",
        [f'zapvisor "{name}" {SUPERUSER}' for name in sorted(names)],
        account,
    )


def claim(cluster: Cluster) -> int:
    """Claim the cluster for this process until the returned descriptor is closed.

    The kernel frees the lock when its holder dies: a server that runs while the lock is free is the
    orphan of a killed runtime. Raises ClusterError if another runtime holds it.
    """
    descriptor = os.open(cluster.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ClusterError(
            f"another zapvisor is running on the database in {cluster.home}"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def find(directory: Path, account: Account) -> Cluster | None:
    """The cluster that belongs to ``directory``, if there is one. Raises ClusterError, OSError."""
    home = _recorded(directory.resolve())
    return None if home is None else Cluster(home, _socket_directory(home, account))


def erase(directory: Path) -> None:
    """Delete the cluster of ``directory`` for good; its server must be stopped (blocking)."""
    directory = directory.resolve()
    home = _recorded(directory)
    if home is not None:
        shutil.rmtree(home)
        shutil.rmtree(_short_socket_directory(home), ignore_errors=True)
    (directory / LOCATION_FILE).unlink(missing_ok=True)


def _recorded(directory: Path) -> Path | None:
    """The home of an existing cluster."""
    inside = directory / INSIDE
    if inside.is_dir():
        return inside
    record = directory / LOCATION_FILE
    if not record.is_file():
        return None
    home = Path(record.read_text(encoding="utf-8").strip())
    if not home.is_dir():
        raise ClusterError(
            f"the database of {directory} was in {home}, which is gone; bring it back, "
            f"or remove {record} to begin with an empty one"
        )
    return home


def _choose(directory: Path, account: Account) -> Path:
    if account.can_reach(directory):
        return directory / INSIDE
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    SYSTEM_DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not account.can_reach(SYSTEM_DIRECTORY):
        raise ClusterError(
            f"the account {account.name} can enter neither {directory} nor {SYSTEM_DIRECTORY}"
        )
    home = SYSTEM_DIRECTORY / digest
    for number in range(2, 1000):
        if not home.exists():
            break
        log.warning(
            "%s is the database of a data directory that was removed; delete it if unwanted", home
        )
        home = SYSTEM_DIRECTORY / f"{digest}-{number}"
    (directory / LOCATION_FILE).write_text(f"{home}\n", encoding="utf-8")
    return home


def _socket_directory(home: Path, account: Account) -> Path:
    sockets = home / "run"
    if len(os.fsencode(sockets)) > SOCKET_DIRECTORY_LIMIT:
        sockets = _short_socket_directory(home)
    try:
        sockets.mkdir(mode=0o700)
        account.give(sockets)
    except FileExistsError:
        status = sockets.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != account.uid:
            raise ClusterError(f"{sockets} belongs to somebody else; remove it") from None
    return sockets


def _short_socket_directory(home: Path) -> Path:
    return Path("/tmp") / f"zapvisor-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"  # noqa: S108


def _initdb(cluster: Cluster, programs: Path, account: Account) -> None:
    """Into a draft that is renamed at the end: an interrupted run leaves no half-made cluster."""
    for leftover in cluster.home.glob("making-*"):
        shutil.rmtree(leftover)
    draft = Path(tempfile.mkdtemp(prefix="making-", dir=cluster.home))
    account.give(draft)
    _run(
        [
            *(str(programs / "initdb"), "--pgdata", str(draft), "--username", SUPERUSER),
            *("--auth", "peer", "--encoding", "UTF8", "--locale", "C"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        ],
        account,
    )
    draft.rename(cluster.data)
    log.info("made a database cluster in %s", cluster.home)


def _run(command: list[str], account: Account) -> str:
    result = subprocess.run(  # noqa: S603 - programs of our own wheel
        command,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=INITDB_TIMEOUT,
        check=False,
        **account.popen_options(),  # type: ignore[call-overload]
    )
    if result.returncode != 0:
        program = Path(command[0]).name
        log.error("%s failed", program, extra={"text": result.stderr.strip()[-2000:]})
        raise ClusterError(f"{program} failed with status {result.returncode}; the log says why")
    return str(result.stdout)


def _write(path: Path, lines: list[str], account: Account) -> None:
    """Replace a configuration file, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    draft.chmod(0o600)
    account.give(draft)
    draft.replace(path)


def _own_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _quote(value: str) -> str:
    """A value in postgresql.conf."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
