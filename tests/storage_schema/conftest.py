"""One PostgreSQL per test session, with Supabase's roles; ingest tests share one database."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from runtime import migrate
from runtime.local_stack import account, binaries, cluster, leftovers, schema

MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"
AUTHENTICATOR_PASSWORD = "not a secret"
START_DEADLINE = 30


@pytest.fixture(scope="session")
def server() -> Iterator[cluster.Cluster]:
    """A running server with nothing in it."""
    directory = Path(tempfile.mkdtemp(prefix="zapvisor-schema-"))
    who = account.server_account()
    programs = binaries.locate(who)
    place = cluster.locate(directory, who)
    cluster.make(place, programs, who)
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", place.data, "-c", "fsync=off"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stderr=log,
            **who.popen_options(),
        )
    try:
        _wait_until_ready(place)
        yield place
    finally:
        leftovers.stop_servers(place)
        process.wait(START_DEADLINE)
        cluster.erase(directory)
        shutil.rmtree(directory)


def _wait_until_ready(place: cluster.Cluster) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while True:
        try:
            psycopg.connect(place.dsn).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


_numbers = itertools.count()


@pytest.fixture(scope="session")
def make_database(server: cluster.Cluster) -> Callable[[str], str]:
    """``make_database(template)`` → the dsn of a new database, a copy of the template."""

    def make(template: str) -> str:
        name = f"test_{next(_numbers)}"
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(f"create database {name} template {template}")
        return make_conninfo(server.dsn, dbname=name)

    return make


@pytest.fixture(scope="session")
def templates(server: cluster.Cluster) -> dict[str, str]:
    """``empty``: a project before any migration. ``migrated``: after them."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("create database project_empty")
    empty = make_conninfo(server.dsn, dbname="project_empty")
    with psycopg.connect(empty) as connection:
        connection.execute(schema.BOOTSTRAP.read_bytes())
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("create database project_migrated template project_empty")
    migrate.apply(make_conninfo(server.dsn, dbname="project_migrated"), MIGRATIONS)
    return {"empty": "project_empty", "migrated": "project_migrated"}


@pytest.fixture
def empty_dsn(make_database: Callable[[str], str], templates: dict[str, str]) -> str:
    return make_database(templates["empty"])


@pytest.fixture(scope="session")
def migrated_dsn(make_database: Callable[[str], str], templates: dict[str, str]) -> str:
    return make_database(templates["migrated"])


@dataclass
class Project:
    """A migrated database as the tests see it: superuser connection, one owner."""

    dsn: str
    connection: psycopg.Connection[Any]
    owner: uuid.UUID

    def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        cursor = self.connection.cursor(row_factory=psycopg.rows.dict_row)
        return cursor.execute(query, arguments).fetchall()

    def add_owner(self) -> uuid.UUID:
        (row,) = self.rows("insert into auth.users default values returning id")
        return row["id"]

    def ingest(self, *items: dict[str, Any]) -> list[dict[str, Any]]:
        """One call by the service role, as PostgREST makes it."""
        with service_role(self.connection):
            (row,) = self.rows("select public.zapvisor_ingest(%s) as result", Jsonb(items))
        return row["result"]


@contextmanager
def service_role(connection: psycopg.Connection[Any]) -> Iterator[None]:
    with connection.transaction():
        connection.execute("set local role service_role")
        yield


@pytest.fixture
def project(migrated_dsn: str) -> Iterator[Project]:
    """A migrated project without rows, but for one owner."""
    with psycopg.connect(migrated_dsn, autocommit=True) as connection:
        connection.execute("truncate auth.users, zapvisor.connections cascade")
        project = Project(migrated_dsn, connection, uuid.UUID(int=0))
        project.owner = project.add_owner()
        yield project
