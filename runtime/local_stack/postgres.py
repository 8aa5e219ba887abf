"""PostgreSQL as a supervised child."""

from __future__ import annotations

import logging
import os
import signal
from functools import partial
from pathlib import Path

import trio

from supervisors import ChildContext, Escalate, SubprocessChild

from . import account as accounts
from . import binaries, cluster, leftovers, vigil
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
# "May we speak TLS?": a new process of the server answers that, before it asks who we are.
SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


class Postgres:
    """The ``run`` of a child. ``cluster`` is known once an incarnation has found it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.cluster: Cluster | None = None

    async def __call__(self, ctx: ChildContext) -> None:
        """Make the cluster where there is none, stop an orphan of an earlier run, then serve.

        Raises SubprocessError, in a group, when the server fails, and Escalate where starting again
        cannot help.
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
                success_codes=(),
                on_line=on_line,
                stop_signal=signal.SIGINT,
                stop_grace=STOP_GRACE,
                user=account.uid if account.switch else None,
            )
            await vigil.serve(ctx, server, partial(_ask, self.cluster.socket))
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


async def _ask(path: Path) -> None:
    async with await trio.open_unix_socket(path) as stream:
        await stream.send_all(SSL_REQUEST)
        if not await stream.receive_some(1):
            raise ConnectionResetError(f"{path} was closed without an answer")
