"""Profile pictures and names of groups: asked for beside the messages, seldom, again in time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import trio

from runtime.journal import Connection
from runtime.whatsapp.link import RequestFailed
from runtime.whatsapp.portraits import CAPACITY, PAUSE, REFRESH, Portraits

MARIA, GROUP = "5511987654321", "1203630@g.us"
LOJA = Connection("loja", "Loja", "owner", None, datetime(2026, 1, 1, tzinfo=UTC))


class Known:
    """What WhatsApp would answer, and what became of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.rows: list[tuple[str, str | None, str | None]] = []
        self.down = False

    async def request(self, type_, *, jid):
        self.asked.append((type_, jid))
        if self.down:
            raise RequestFailed("timeout", "x", retryable=True)
        return {"subject": "Turma"} if type_ == "group" else {"url": f"https://x/{len(self.asked)}"}

    async def accept(self, entries):
        for one in entries:
            shown = one.payload
            self.rows.append((shown["numero_cliente"], shown["nome_cliente"], shown["foto_url"]))

    @asynccontextmanager
    async def running(self):
        portraits = Portraits(self, self)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(portraits.run, SimpleNamespace(connection=LOJA))
            yield portraits
            nursery.cancel_scope.cancel()


async def test_who_writes_is_asked_for_once_a_day(autojump_clock):
    known = Known()
    async with known.running() as portraits:
        for _ in range(5):
            portraits.offer([MARIA])
            await trio.sleep(REFRESH / 5.5)
        assert known.asked == [("picture", f"{MARIA}@s.whatsapp.net")]
        await trio.sleep(REFRESH / 5)
        portraits.offer([MARIA])
        await trio.sleep(1)
    assert known.rows == [(MARIA, None, "https://x/1"), (MARIA, None, "https://x/2")]


async def test_a_new_picture_is_asked_for_at_once_of_those_who_wrote(autojump_clock):
    known = Known()
    async with known.running() as portraits:
        portraits.renew([MARIA])
        await trio.sleep(5)
        assert known.asked == []
        portraits.offer([MARIA])
        await trio.sleep(5)
        portraits.renew([MARIA])
        await trio.sleep(5)
    assert known.rows == [(MARIA, None, "https://x/1"), (MARIA, None, "https://x/2")]


async def test_a_group_has_a_name_and_a_picture(autojump_clock):
    known = Known()
    async with known.running() as portraits:
        portraits.offer([GROUP])
        await trio.sleep(1)
    assert known.asked == [("group", GROUP), ("picture", GROUP)]
    assert known.rows == [(GROUP, "Turma", "https://x/2")]


async def test_what_fails_is_left_out_and_questions_are_bounded_and_paced(autojump_clock):
    known = Known()
    known.down = True
    async with known.running() as portraits:
        portraits.offer(f"55119{number:08}" for number in range(10 * CAPACITY))
        begun = trio.current_time()
        await trio.sleep(20 * CAPACITY * PAUSE)
        assert known.rows == []
        assert len(known.asked) == CAPACITY
        assert trio.current_time() - begun >= (CAPACITY - 1) * PAUSE
