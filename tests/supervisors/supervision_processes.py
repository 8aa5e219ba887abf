"""Which processes a test has left behind."""

from __future__ import annotations

import psutil


def descendants():
    """All processes below this one."""
    return set(psutil.Process().children(recursive=True))


def strays(before):
    """Processes below this one that are neither in ``before`` nor descend from one that is."""
    found = []
    for process in descendants() - before:
        try:
            if not before & set(process.parents()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found
