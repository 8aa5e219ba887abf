"""The operating system account that PostgreSQL runs under.

PostgreSQL refuses to run as root. Started by an ordinary user it runs as that user; started by
root, under an unprivileged system account, which must be able to reach its programs and its data.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

# Looked for in this order; the last one is created where none exists.
ACCOUNTS = ("postgres", "zapvisor-postgres")
CREATE_TIMEOUT = 30


class AccountError(Exception):
    """There is no account to run PostgreSQL under; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the operating system knows it; ``switch`` when it is not our own."""

    name: str
    uid: int
    gid: int
    switch: bool

    def popen_options(self) -> dict[str, object]:
        """Keyword arguments that make ``subprocess`` start a program under this account."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make the account the owner of ``path``, which this package has created."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, directory: Path) -> bool:
        """Whether the account may enter ``directory`` and every directory above it."""
        if not self.switch:
            return True
        resolved = directory.resolve()
        return all(self._can_enter(path) for path in (resolved, *resolved.parents))

    def _can_enter(self, path: Path) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def server_account() -> Account:
    """The account for PostgreSQL; as root it is created where none exists (blocking).

    Raises AccountError.
    """
    if os.geteuid() != 0:
        return _account(os.geteuid(), switch=False)
    for name in ACCOUNTS:
        try:
            return _account(pwd.getpwnam(name).pw_uid, switch=True)
        except KeyError:
            continue
    _create(ACCOUNTS[-1])
    return _account(pwd.getpwnam(ACCOUNTS[-1]).pw_uid, switch=True)


def _account(uid: int, *, switch: bool) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise AccountError(
            f"user id {uid} has no entry in the user database, which PostgreSQL insists on; "
            "run as a named user"
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch)


def _create(name: str) -> None:
    if shutil.which("useradd"):
        command = ["useradd", "--system", "--user-group", "--no-create-home"]
        command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name]
    elif shutil.which("adduser"):  # BusyBox
        command = ["adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", name]
    else:
        raise AccountError(
            "PostgreSQL does not run as root and there is no program to create an account with; "
            f"run zapvisor as an ordinary user, or create the account {name}"
        )
    result = subprocess.run(  # noqa: S603 - constant arguments
        command, capture_output=True, text=True, timeout=CREATE_TIMEOUT, check=False
    )
    if result.returncode != 0:
        raise AccountError(
            f"cannot create the account {name} for PostgreSQL (status {result.returncode}); "
            "run zapvisor as an ordinary user, or create it yourself"
        )
