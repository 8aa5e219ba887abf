"""A scripted Supabase and a journal without a thread, so that everything runs in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from random import Random

import trio
import trio.testing

from runtime.events import Event, EventBus, EventName
from runtime.journal import Journal, JournalState, NewEntry
from runtime.journal.database import open_database
from runtime.journal.statistics import Latencies
from runtime.journal.thread import _Call, commit
from runtime.storage import Probe, SupabaseError, Writer
from runtime.storage.client import REQUIRED_SCHEMA_VERSION


class InlineEngine:
    """Runs and commits each job at once in the calling task."""

    fault = None
    refuses = False

    def __init__(self, path) -> None:
        self.connection = open_database(path)
        self.connection.execute("PRAGMA synchronous = OFF")

    async def execute(self, job, after=None):
        await trio.lowlevel.checkpoint()
        call = _Call(job, after)
        commit(self.connection, [call])
        if call.error is not None:
            raise call.error
        if after is not None:
            after(call.value)
        return call.value


class InlineJournal(Journal):
    """A journal that is open from the start."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self._engine = InlineEngine(path)
        self._state = JournalState("available")
        self._latencies = Latencies()
        self._something.set()

    def close(self) -> None:
        self._engine.connection.close()

    def go_away(self) -> None:
        self._away, self._engine = self._engine, None

    def come_back(self) -> None:
        self._engine = self._away
        self._opened.set()


class FakeSupabase:
    """A table of rows by id, behind faults.

    ``script``: each call takes the next item; an exception is raised, ``None`` lets it through, a
    callable is asked (it may raise). When the script is over, calls go through.
    ``refuse``: raises for a row that it does not like, as a constraint would.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict] = {}
        self.order: list[str] = []
        self.script: list[Exception | Callable | None] = []
        self.refuse: Callable[[dict], None] = lambda _item: None
        self.calls: list[list[dict]] = []
        self.call_times: list[float] = []
        self.latency = 0.004
        self.version: int | Exception = REQUIRED_SCHEMA_VERSION
        self.taken: set[str] = set()  # ids that rows of others hold
        self.checks = 0
        self.busy = False

    async def schema_version(self) -> int:
        self.checks += 1
        await trio.sleep(0.001)
        if isinstance(self.version, Exception):
            raise self.version
        return self.version

    async def ingest(self, items):
        self.calls.append(items)
        self.call_times.append(trio.current_time())
        assert not self.busy, "two calls at once"
        self.busy = True
        try:
            await trio.sleep(self.latency)
        finally:
            self.busy = False
        fault = self.script.pop(0) if self.script else None
        if isinstance(fault, Exception):
            raise fault
        for item in items:
            self.refuse(item)
        answers = []
        for item in items:
            key = str(item.get("id", item["seq"]))
            if key in self.taken:
                refused = {"seq": item["seq"], "result": "refused", "code": "id_taken"}
                answers.append({**refused, "atendimento_id": None})
                continue
            known = key in self.rows
            if not known:
                self.rows[key] = item
                self.order.append(key)
            result = "duplicate" if known else "inserted"
            answers.append({"seq": item["seq"], "result": result, "atendimento_id": "a-1"})
        if fault is not None:
            await fault()
        return answers


def refusal(status: int, code: str | None = None, **more) -> SupabaseError:
    return SupabaseError(status, code=code, message="no", **more)


class Context:
    """Stands in for a ChildContext; ``longest_silence`` is the longest time without a beat."""

    def __init__(self) -> None:
        self.is_ready = trio.Event()
        self.longest_silence = 0.0
        self.stopping = trio.Event()
        self._last = 0.0

    def ready(self) -> None:
        self._last = trio.current_time()
        self.is_ready.set()

    def beat(self) -> None:
        now = trio.current_time()
        self.longest_silence = max(self.longest_silence, now - self._last)
        self._last = now

    @contextmanager
    def idle(self):
        self.beat()
        try:
            yield
        finally:
            self._last = trio.current_time()


class Rig:
    """Journal, fake Supabase, probe and writer, with the events they publish."""

    def __init__(self, path) -> None:
        self.journal = InlineJournal(path)
        self.supabase = FakeSupabase()
        self.bus = EventBus()
        self.probe = Probe(self.supabase, self.bus, random=Random(1))
        self.writer = Writer(self.journal, self.supabase, self.probe, self.bus, random=Random(2))
        self.events: list[Event] = []
        self.context = Context()

    @asynccontextmanager
    async def running(self):
        async with self.bus.subscribe(100_000) as subscription, trio.open_nursery() as nursery:
            nursery.start_soon(self._record, subscription)
            nursery.start_soon(self.probe.run, Context())
            nursery.start_soon(self.writer.run, self.context)
            yield self
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    async def _record(self, subscription) -> None:
        async for event in subscription:
            self.events.append(event)

    def published(self, name: EventName) -> list[Event]:
        return [event for event in self.events if event.event is name]

    async def totals(self):
        figures = await self.journal.statistics()
        assert figures.accepted == figures.stored + figures.dead + figures.pending
        return figures

    async def until(self, condition: Callable[[], bool], seconds: float = 600.0) -> None:
        with trio.fail_after(seconds):
            while not condition():  # noqa: ASYNC110 - the condition is no event of ours
                await trio.sleep(0.01)

    async def drained(self, seconds: float = 600.0) -> None:
        with trio.fail_after(seconds):
            pause = 0.01
            while (await self.totals()).pending:
                await trio.sleep(pause)
                pause = min(pause * 1.2, 1.0)
        await trio.testing.wait_all_tasks_blocked()


def message(number: int, text: str = "oi", *, sender: str = "CLIENTE", chat: int = 0) -> NewEntry:
    payload = {
        "kind": "message",
        "id": f"id-{number}",
        "owner_id": "owner",
        "connection_id": "conn",
        "numero_cliente": f"55119000000{chat}",
        "whatsapp_id": f"wa-{number}",
        "conteudo": text,
        "remetente": sender,
        "timestamp": "2026-01-31T12:00:00+00:00",
    }
    return NewEntry("message", f"key-{number}", payload, order_key="c", event_data={"n": number})
