"""Server processes that an earlier run left behind, because it was killed before it could stop
them: a postmaster, or its children, who take a moment to notice that it is gone."""

from __future__ import annotations

import logging
import signal
import time

import psutil

from .cluster import Cluster

log = logging.getLogger("zapvisor.local_stack")

FAST_SHUTDOWN = 15.0
IMMEDIATE_SHUTDOWN = 5.0
# A server process notices by itself that its postmaster is gone, unless it is in a long query.
HEADLESS_EXIT = 3.0
POLL_INTERVAL = 0.02


class LeftoverError(Exception):
    """A process of an earlier run does not end."""


def stop_servers(cluster: Cluster) -> None:
    """Stop every PostgreSQL process of ``cluster`` (blocking, bounded by the times above).

    The caller holds the claim on the cluster, so none of them belongs to a living runtime.
    Afterwards a new server can start. Raises LeftoverError.
    """
    servers = _servers(cluster)
    if servers:
        pids = {process.pid for process in servers}
        heads = [process for process in servers if _parent(process) not in pids]
        log.warning("stopping the database server of an earlier run (pid %d)", heads[0].pid)
        # The postmaster's own children end with it; without it these signals mean little to them.
        for number, patience in (
            (signal.SIGINT, FAST_SHUTDOWN if len(heads) == 1 else HEADLESS_EXIT),
            (signal.SIGQUIT, IMMEDIATE_SHUTDOWN),
            (signal.SIGKILL, IMMEDIATE_SHUTDOWN),
        ):
            _signal(heads, number)
            servers = _wait(servers, patience)
            if not servers:
                break
            heads = servers
        else:
            raise LeftoverError(
                f"the database server of an earlier run (pid {heads[0].pid}) does not end"
            )
    # Another program may have got the pid in the lock file; PostgreSQL would refuse to start.
    pid_file = cluster.data / "postmaster.pid"
    if pid_file.is_file():
        first_line = pid_file.read_text().partition("\n")[0]
        if first_line.isdigit() and psutil.pid_exists(int(first_line)):
            pid_file.unlink()
    for socket in cluster.sockets.glob(".s.PGSQL.*"):
        socket.unlink()


def _servers(cluster: Cluster) -> list[psutil.Process]:
    """PostgreSQL processes whose working directory is the data directory: all of them are there."""
    data = str(cluster.data.resolve())
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["cwd"] == data and (process.info["name"] or "").startswith("postgres")
    ]


def _wait(processes: list[psutil.Process], patience: float) -> list[psutil.Process]:
    """Who still runs after at most ``patience`` seconds. A zombie has ended: that its parent, which
    may be the init of a container, does not reap it, is no concern of ours."""
    deadline = time.monotonic() + patience
    while processes and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL)
        processes = [process for process in processes if _runs(process)]
    return processes


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return None


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
