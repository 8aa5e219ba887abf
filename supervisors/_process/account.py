"""The account a program runs as."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """Numeric user, group and supplementary groups; None: as we are."""

    uid: int | None
    gid: int | None
    groups: tuple[int, ...] | None

    def options(self) -> list[str]:
        """As the leash is told."""
        options: list[str] = []
        if self.uid is not None:
            options += ["--uid", str(self.uid)]
        if self.gid is not None:
            options += ["--gid", str(self.gid)]
        return [*options, "--groups", ",".join(map(str, self.groups or ()))]


def resolve(user: str | int | None, group: str | int | None) -> Account:
    """Looks names up. A user brings its own group and supplementary groups along.

    Raises KeyError for an unknown name.
    """
    import grp  # here, for not every platform has them
    import pwd

    uid = gid = None
    groups: tuple[int, ...] | None = None
    if user is not None:
        entry = pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
        uid, gid = entry.pw_uid, entry.pw_gid
        groups = tuple(os.getgrouplist(entry.pw_name, gid)) if os.geteuid() == 0 else None
    if group is not None:
        gid = grp.getgrnam(group).gr_gid if isinstance(group, str) else group
        groups = (gid,) if groups is None and os.geteuid() == 0 else groups
    return Account(uid, gid, groups)
