"""PostgreSQL as a supervised child."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import trio

from supervisors import ChildContext, Escalate, SubprocessChild

from . import account as accounts
from . import binaries, cluster, leftovers
from .account import Account
from .cluster import Cluster

log = logging.getLogger("zapvisor.postgres")

# SIGINT disconnects clients and writes a checkpoint. Whatever is cut off then is recovered at the
# next start.
STOP_GRACE = 15.0
STOP_DEADLINE = 30.0
# The first start on a slow disk: copying 35 MB and initdb; later ones: at most a recovery.
READY_DEADLINE = 180.0
READY_LINE = "database system is ready to accept connections"


class Postgres:
    """The ``run`` of a child. ``cluster`` is known once an incarnation has found it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.cluster: Cluster | None = None

    async def __call__(self, ctx: ChildContext) -> None:
        """Make the cluster where there is none, stop an orphan of an earlier run, then serve.

        Raises SubprocessError when the server ends, Escalate where starting again cannot help.
        """
        claim, programs, account = await trio.to_thread.run_sync(self._prepare)
        try:
            assert self.cluster is not None
            serving = trio.Event()

            def on_line(stream: str, line: str) -> None:
                log.debug("%s", line)
                if READY_LINE in line:
                    serving.set()

            server = SubprocessChild(
                [programs / "postgres", "-D", self.cluster.data],
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                ready_probe=serving.wait,
                on_line=on_line,
                stop_signal=signal.SIGINT,
                stop_grace=STOP_GRACE,
                user=account.uid if account.switch else None,
            )
            await server(ctx)
        finally:
            os.close(claim)

    def _prepare(self) -> tuple[int, Path, Account]:
        """Everything that blocks. The descriptor is the claim on the cluster."""
        try:
            account = accounts.server_account()
            programs = binaries.locate(account)
            self.cluster = cluster.locate(self._directory, account)
            claim = cluster.claim(self.cluster)
            try:
                leftovers.stop_servers(self.cluster)
                cluster.make(self.cluster, programs, account)
            except BaseException:
                os.close(claim)
                raise
        except (accounts.AccountError, binaries.BinariesError, cluster.ClusterError) as error:
            raise Escalate(str(error), "postgres_unusable") from error
        return claim, programs, account
