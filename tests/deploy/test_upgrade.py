"""Another release on the same data, with messages waiting on both ways."""

import shutil
import sqlite3
from uuid import uuid4

import pytest
import trio

from runtime.journal.schema import MIGRATIONS
from supervisors import Park
from tests.child_context import Context

from .journals import Journal, age, connection, incoming, outgoing, running

OWNER = str(uuid4())


@pytest.fixture
async def path(tmp_path):
    """The journal of this release, at rest, with two messages in and one out."""
    path = tmp_path / "journal.sqlite"
    async with running(path) as journal:
        await journal.register(connection(OWNER))
        await journal.accept([incoming(OWNER, "primeira"), incoming(OWNER, "segunda")])
        await journal.submit(outgoing("AAAA"), incoming(OWNER, "olá"))
    return path


async def waiting(journal: Journal) -> tuple[list[str], list[str]]:
    """What waits for Supabase and what waits for WhatsApp; the accounts must balance."""
    assert await journal.audit() == []
    entries = await journal.pending(limit=10, max_bytes=10**6)
    commands = await journal.outgoing("loja", limit=10)
    return [entry.payload["conteudo"] for entry in entries], [c.message_id for c in commands]


async def version(path) -> int:
    with sqlite3.connect(path) as database:
        (found,) = database.execute("PRAGMA user_version").fetchone()
    database.close()
    return found


@pytest.mark.parametrize("earlier", range(1, len(MIGRATIONS)))
async def test_an_upgrade_keeps_what_waits(path, earlier):
    age(path, earlier)
    assert await version(path) == earlier

    async with running(path) as journal:
        found = await waiting(journal)
        (number,) = await journal.connections()

    assert found == (["primeira", "segunda", "olá"], ["AAAA"])
    assert number.id == "loja"
    assert await version(path) == len(MIGRATIONS)


async def test_a_rollback_is_refused_without_touching_the_file_and_the_copy_serves(path, tmp_path):
    copy = tmp_path / "before-the-upgrade.sqlite"
    shutil.copyfile(path, copy)
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.close()
    upgraded = path.read_bytes()

    with trio.fail_after(10), pytest.raises(Park) as refused:
        await Journal(path).run(Context())
    untouched = path.read_bytes()
    shutil.copyfile(copy, path)
    async with running(path) as journal:
        found = await waiting(journal)

    assert refused.value.code == "journal_too_new"
    assert untouched == upgraded
    assert found == (["primeira", "segunda", "olá"], ["AAAA"])
