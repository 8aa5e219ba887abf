"""The log as a child: writes down what is published, whatever happens to the journal."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
import trio.testing

from runtime import event_log
from runtime.errors import JournalUnavailable
from runtime.event_log import EventFilter, EventLog
from runtime.events import Event, EventBus, EventName
from tests.child_context import Context

ALL = EventFilter()


class FakeJournal:
    """The log's table."""

    def __init__(self) -> None:
        self.rows: list[Event] = []
        self.away = False
        self.back = trio.Event()
        self.reads = 0
        self.news = trio.Event()

    def _check(self) -> None:
        if self.away:
            raise JournalUnavailable("away")

    async def wait_open(self) -> None:
        await self.back.wait()

    async def record(self, events) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        self.append(*events)

    def append(self, *events: Event) -> None:
        for one in events:
            self.rows.append(replace(one, id=f"{len(self.rows) + 1:032x}"))
        self.news.set()
        self.news = trio.Event()

    async def events(self, after: str, *, limit: int) -> list[Event]:
        await trio.lowlevel.checkpoint()
        self._check()
        self.reads += 1
        return [row for row in self.rows if row.id > after][:limit]

    async def before_last_events(self, count: int) -> str:
        await trio.lowlevel.checkpoint()
        self._check()
        kept = self.rows[: len(self.rows) - count] if count else self.rows
        return kept[-1].id if kept else ""


@asynccontextmanager
async def logging_to(journal: FakeJournal, bus: EventBus):
    log, context = EventLog(journal, bus, health=lambda: {"n": "well"}), Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run, context)
        await context.is_ready.wait()
        await trio.testing.wait_all_tasks_blocked()
        yield log
        nursery.cancel_scope.cancel()


def numbers(events) -> list:
    return [one.data["n"] for one in events]


def publish(bus: EventBus, *ns: int) -> None:
    for n in ns:
        bus.publish(EventName.CONNECTED, {"n": n}, connection_id="loja")


async def test_what_is_published_is_recorded_and_what_the_journal_writes_itself_is_not(
    autojump_clock,
):
    journal, bus = FakeJournal(), EventBus()
    async with logging_to(journal, bus):
        publish(bus, 1)
        bus.publish(EventName.MESSAGE_RECEIVED, {"n": 2})
        bus.publish(EventName.QR_CODE, {"n": 3})
        await trio.testing.wait_all_tasks_blocked()
        assert numbers(journal.rows) == [1, 3]


async def test_nothing_is_lost_while_the_journal_is_away(autojump_clock):
    journal, bus = FakeJournal(), EventBus()
    async with logging_to(journal, bus):
        journal.away = True
        publish(bus, 1, 2)
        await trio.sleep(10)
        publish(bus, 3)
        journal.away = False
        journal.back.set()
        await trio.sleep(0.1)
        assert numbers(journal.rows) == [1, 2, 3]


async def test_what_was_published_just_before_the_stop_is_written_down(autojump_clock):
    journal, bus = FakeJournal(), EventBus()
    async with logging_to(journal, bus):
        publish(bus, *range(500))
    assert numbers(journal.rows) == list(range(500))


async def test_a_stop_does_not_wait_for_a_journal_that_is_away(autojump_clock):
    journal, bus = FakeJournal(), EventBus()
    async with logging_to(journal, bus):
        journal.away = True
        publish(bus, 1)
    assert trio.current_time() < 5


async def test_readers_at_the_end_cost_the_journal_nothing(autojump_clock):
    journal, bus = FakeJournal(), EventBus()
    async with logging_to(journal, bus) as log:
        feeds = [await log.follow(ALL, after=None, recent=0) for _ in range(50)]
        grown = log.grown
        publish(bus, 1, 2)
        await grown.wait()
        before = journal.reads
        for feed in feeds:
            assert numbers(await feed.read()) == [1, 2]
            assert await feed.read() == []
            assert feed.at_end
        assert journal.reads == before


async def test_readers_from_further_back_read_on_without_a_gap(autojump_clock, monkeypatch):
    monkeypatch.setattr(event_log, "RECENT", 5)
    monkeypatch.setattr(event_log, "READ_BATCH", 3)
    journal, bus = FakeJournal(), EventBus()
    journal.append(*(Event(EventName.CONNECTED, {"n": n}) for n in range(4)))
    async with logging_to(journal, bus) as log:
        publish(bus, *range(4, 20))
        await trio.testing.wait_all_tasks_blocked()
        for begin in range(20):
            after = f"{begin:032x}"
            feed = await log.follow(ALL, after=after, recent=0)
            found = []
            while not feed.at_end:
                found += await feed.read()
            assert numbers(found) == list(range(begin, 20))


@pytest.mark.parametrize(("recent", "expected"), [(2, [6, 8]), (100, [0, 2, 4, 6, 8])])
async def test_the_last_ones_that_are_wanted(autojump_clock, recent, expected):
    journal, bus = FakeJournal(), EventBus()
    journal.append(
        *(Event(EventName.CONNECTED, {"n": n}, "a" if n % 2 == 0 else "b") for n in range(9))
    )
    async with logging_to(journal, bus) as log:
        wanted = EventFilter(frozenset({EventName.CONNECTED}), connection_id="a")
        feed = await log.follow(wanted, after=None, recent=recent)
        assert numbers(feed.begin) == expected
        publish(bus, 9)
        bus.publish(EventName.CONNECTED, {"n": 10}, connection_id="a")
        await trio.testing.wait_all_tasks_blocked()
        assert numbers(await feed.read()) == [10]


async def test_health_is_told_every_minute(autojump_clock):
    journal, bus = FakeJournal(), EventBus()
    async with logging_to(journal, bus):
        await trio.sleep(130)
    assert [(one.event, one.data["n"]) for one in journal.rows] == [
        (EventName.HEALTH_CHECK, "well"),
        (EventName.HEALTH_CHECK, "well"),
    ]


async def test_losses_are_not_silent(autojump_clock, monkeypatch, caplog):
    monkeypatch.setattr(event_log, "BACKLOG", 10)
    journal, bus = FakeJournal(), EventBus()
    async with logging_to(journal, bus):
        publish(bus, *range(15))
        await trio.testing.wait_all_tasks_blocked()
    assert numbers(journal.rows) == list(range(11))  # one in hand, ten waiting
    assert "events not recorded" in caplog.text
