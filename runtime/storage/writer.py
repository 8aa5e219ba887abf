"""Drains the journal into Supabase: oldest first, one transaction at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal, Protocol

import trio

from supervisors import Backoff, ChildContext, Delays

from ..errors import JournalUnavailable
from ..events import EventBus, EventName
from ..failpoints import failpoint
from ..journal import Entry, Heard, Journal, Stored
from ..reasons import about
from ..redaction import SECRETS
from ..stopping import Waits, waits_of
from ..way_in import WayIn
from .batch import MAX_COUNT, BatchSize
from .blockage import Blockage
from .classify import EXPECTED, TOO_LARGE, Action, Verdict, classify
from .lane import FastLane
from .probe import Probe
from .told import changes_of, event_of

_log = logging.getLogger("zapvisor.storage")

BEAT_SECONDS = 5.0
RETRY_FIRST_SECONDS = 0.25
RETRY_CAP_SECONDS = 30.0
PAUSE_FIRST_SECONDS = 1.0
PAUSE_CAP_SECONDS = 60.0

LINGER_SECONDS = 0.02
LINGER_FROM = 5
"""Under load (the last batch had so many entries) wait a moment, so that batches fill up."""


@dataclass(frozen=True, slots=True)
class WriterState:
    """What the writer is doing.

    ``retrying``: errors that pass by themselves. ``offline``: the probe says that Supabase is
    away. ``paused``: refused until somebody changes something. ``journal``: the journal is not
    available. ``code`` and ``reason`` say why, and are None for ``idle`` and ``draining``.
    """

    name: Literal["stopped", "idle", "draining", "retrying", "offline", "paused", "journal"]
    since: datetime
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class WriterStatistics:
    """Counts since the start, and the limits for the next batch."""

    stored: int
    buried: int
    batches: int
    failures: int
    batch_count_limit: int
    batch_bytes_limit: int


class Ingesting(Protocol):
    """What the writer writes to."""

    async def ingest(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]: ...


Hears = Callable[[Entry, Stored], Heard | None]
"""What the robot shall be told of an entry that is now in Supabase, if anything."""


class Writer:
    """The child that empties the journal. Errors of Supabase never crash it."""

    def __init__(
        self,
        journal: Journal,
        supabase: Ingesting,
        probe: Probe,
        events: EventBus,
        *,
        hears: Hears | None = None,
        way_in: WayIn | None = None,
        random: Random | None = None,
    ) -> None:
        random = random or Random()  # noqa: S311 - jitter
        self._journal = journal
        self._supabase = supabase
        self._probe = probe
        self._events = events
        self._hears = hears
        self._way_in = way_in or WayIn()
        self._size = BatchSize()
        self._lane = FastLane(journal)
        self._retry = Delays(Backoff(first=RETRY_FIRST_SECONDS, cap=RETRY_CAP_SECONDS), random)
        self._pause = Delays(Backoff(first=PAUSE_FIRST_SECONDS, cap=PAUSE_CAP_SECONDS), random)
        self._last_count = 0
        self._took = 0.0  # seconds, by the last call
        self._stored_batch: tuple[list[Entry], list[Stored]] | None = None  # not settled yet
        self._ahead: list[Entry] = []  # read for the next call
        self._blockage = Blockage()
        self._stored = self._buried = self._batches = self._failures = 0
        self.state = WriterState("stopped", datetime.now(UTC))

    def statistics(self) -> WriterStatistics:
        """Counters and limits."""
        return WriterStatistics(
            self._stored,
            self._buried,
            self._batches,
            self._failures,
            self._size.count,
            self._size.bytes,
        )

    async def run(self, ctx: ChildContext) -> None:
        """Write until told to stop; the batch in hand is then written and settled.

        A call that is cancelled may have been committed: it is repeated, and Supabase answers
        ``duplicate``. Beats at least every 30 s.
        """
        ctx.ready()
        self._ahead = []
        try:
            async with waits_of(ctx) as waits:
                while not waits.over:
                    ctx.beat()
                    await self._turn_if_possible(ctx, waits)
                await self._last(ctx)
        finally:
            self._enter("stopped")

    async def _turn_if_possible(self, ctx: ChildContext, waits: Waits) -> None:
        try:
            await self._turn(ctx, waits)
        except* JournalUnavailable as group:
            # Whatever was under way is still pending.
            self._stored_batch, self._ahead = None, []
            error = _first(group)
            self._enter("journal", error.code, error.message)
            with ctx.idle(), waits():
                await self._journal.wait_open()

    async def _last(self, ctx: ChildContext) -> None:
        """Settle what was stored last; what was only read ahead stays pending."""
        ctx.beat()
        try:
            await self._finish()
        except JournalUnavailable:
            self._stored_batch = None  # still pending: sent again, and answered as a duplicate

    async def _turn(self, ctx: ChildContext, waits: Waits) -> None:
        """Wait for something to write and for somewhere to write it, then write one batch."""
        await self._until_healthy(ctx, waits)
        if waits.over:
            return
        entries = await self._next(ctx, waits)
        if not entries or waits.over:
            return
        failpoint("claim")
        outcome = await self._send_meanwhile(entries)
        if isinstance(outcome, Verdict):
            self._failures += 1
            self._ahead = []
            self._lane.close()
            if self._blockage.failed(entries, healthy=self._probe.healthy):
                await self._bury(entries[0], outcome)
            else:
                await self._face(outcome, entries, ctx, waits)
        else:
            self._enter("draining")
            self._retry.reset()
            self._pause.reset()
            is_full = len(entries) >= self._size.count
            self._size.succeeded(len(entries), self._took)
            self._stored_batch = entries, outcome
            if len(self._ahead) > self._size.count:
                self._ahead = []
            if not self._ahead:
                await self._finish()
            self._blockage.went_through()
            if is_full:
                await self._lane.look(entries[0].seq)
            else:
                self._lane.close()

    async def _next(self, ctx: ChildContext, waits: Waits) -> list[Entry]:
        """What was read ahead, or what is pending now; maybe nothing."""
        if self._ahead:
            passed = await self._let_pass()
            ahead, self._ahead = self._ahead, []
            if entries := [entry for entry in ahead if entry.seq not in passed]:
                return entries
        await self._finish()
        with waits(BEAT_SECONDS) as patience:
            await self._journal.wait_pending()
        if patience.cancelled_caught:
            return []
        if LINGER_FROM <= self._last_count < self._size.count:
            await trio.sleep(LINGER_SECONDS)
        if waits.over:
            return []
        await self._let_pass()
        ctx.beat()
        entries = await self._claim()
        self._last_count = len(entries)
        if not entries:
            self._enter("idle")
        return entries

    async def _send_meanwhile(self, entries: list[Entry]) -> list[Stored] | Verdict:
        """`_send`; while Supabase works the last batch is settled, and the next one read.

        Only what this call writes is not settled when the next one begins: one call at a time, so
        that nothing overtakes what is older.
        """
        is_deep = len(entries) == MAX_COUNT
        if self._stored_batch is None and not is_deep:
            return await self._send(entries)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._meanwhile, entries if is_deep else [])
            return await self._send(entries)

    async def _meanwhile(self, sent: list[Entry]) -> None:
        await self._finish()
        if sent:
            self._ahead = await self._journal.pending(
                limit=MAX_COUNT, max_bytes=self._size.bytes, skip={entry.seq for entry in sent}
            )

    async def _finish(self) -> None:
        """Settle what is stored."""
        if self._stored_batch is not None:
            entries, outcome = self._stored_batch
            await self._settle(entries, outcome)
            self._stored_batch = None

    async def _let_pass(self) -> frozenset[int]:
        """Write what may pass a deep queue, if there is any; returns what it was."""
        entries = await self._lane.claim(trio.current_time(), self._size.count, self._size.bytes)
        if not entries:
            return frozenset()
        outcome = await self._send(entries)
        if isinstance(outcome, Verdict):
            self._failures += 1
            self._lane.failed()
            return frozenset()
        await self._settle(entries, outcome)
        self._lane.went()
        return frozenset(entry.seq for entry in entries)

    async def _claim(self) -> list[Entry]:
        """The oldest entries, or the one that `Blockage` wants to see tried."""
        if (blocked := self._blockage.way_around) is not None:
            behind = await self._journal.pending(
                limit=MAX_COUNT, max_bytes=self._size.bytes, skip={blocked.seq}
            )
            if (detour := self._blockage.detour(behind)) is not None:
                return [detour]
        limit = 1 if self._blockage.is_on_trial else self._size.count
        return await self._journal.pending(limit=limit, max_bytes=self._size.bytes)

    async def _until_healthy(self, ctx: ChildContext, waits: Waits) -> None:
        while not (self._probe.healthy or waits.over):
            problem = self._probe.problem
            if problem is not None:
                self._enter("offline", problem.code, problem.reason)
            self._size.half_open()
            with ctx.idle(), waits():
                await self._probe.wait_checked()

    async def _send(self, entries: list[Entry]) -> list[Stored] | Verdict:
        """One call, one transaction."""
        started = trio.current_time()
        items = [{**entry.payload, "seq": entry.seq} for entry in entries]
        try:
            answers = await self._supabase.ingest(items)
        except EXPECTED as error:
            return classify(error)
        finally:
            self._took = trio.current_time() - started
        return [
            Stored(
                entry.seq,
                str(answer.get("result")),
                answer.get("atendimento_id"),
                answer.get("alvo"),
                answer.get("changes") or (),
                answer.get("code"),
            )
            for entry, answer in zip(entries, answers, strict=True)
        ]

    async def _settle(self, answered: list[Entry], answers: list[Stored]) -> None:
        """What is stored is done with; what alone was refused is a dead letter, in one step."""
        failpoint("rpc-committed")
        pairs = list(zip(answered, answers, strict=True))
        refused = [(entry, *_refusal(one)) for entry, one in pairs if one.is_refused]
        entries = [entry for entry, one in pairs if not one.is_refused]
        outcomes = [one for _, one in pairs if not one.is_refused]
        told = {
            entry.seq: event
            for entry, outcome in zip(entries, outcomes, strict=True)
            if (event := event_of(entry, outcome)) is not None
        }
        then = {outcome.seq: made for outcome in outcomes if (made := changes_of(outcome))}
        await self._journal.settle(
            outcomes,
            self._heard(entries, outcomes),
            told,
            then,
            {entry.seq: (code, reason) for entry, code, reason in refused},
        )
        failpoint("settle")
        for entry, code, reason in refused:
            self._mourn(entry, code, reason)
        self._stored += len(entries)
        for entry in entries:
            self._way_in.stored(entry)
        self._batches += 1
        for outcome in outcomes:
            if (event := told.get(outcome.seq)) is not None:
                self._events.tell(event)
            for event in then.get(outcome.seq, ()):
                self._events.tell(event)

    def _heard(self, entries: list[Entry], outcomes: list[Stored]) -> list[Heard]:
        if self._hears is None:
            return []
        heard = map(self._hears, entries, outcomes)
        return [one for one in heard if one is not None]

    # --- failures: nothing is held in memory, the entries are still pending in the journal

    async def _face(
        self, verdict: Verdict, entries: list[Entry], ctx: ChildContext, waits: Waits
    ) -> None:
        match verdict.action:
            case Action.BISECT if len(entries) > 1:
                self._size.poisoned(len(entries))
            case Action.BISECT:
                await self._bury(entries[0], verdict)
            case Action.SPLIT if verdict.code == TOO_LARGE and verdict.final and len(entries) == 1:
                await self._bury(entries[0], verdict)
            case Action.SPLIT if verdict.code == TOO_LARGE and verdict.final:
                self._size.too_large(sum(entry.size for entry in entries))
            case Action.SPLIT | Action.RETRY:
                if verdict.code == TOO_LARGE:  # by whomever
                    self._size.too_large(sum(entry.size for entry in entries))
                self._size.failed(len(entries))
                await self._later(verdict, ctx, waits)
            case Action.PAUSE:
                self._size.failed(len(entries))
                await self._wait_for_change(verdict, ctx, waits)

    async def _bury(self, entry: Entry, verdict: Verdict) -> None:
        # For an operator to decide by: in the database's words, which are about this row.
        words = SECRETS.redact(verdict.text) or verdict.reason
        await self._journal.bury(entry.seq, code=verdict.code, reason=words)
        self._size.set_aside()
        self._mourn(entry, verdict.code, verdict.reason)

    def _mourn(self, entry: Entry, code: str, reason: str) -> None:
        """An entry is a dead letter: count it, and tell of it."""
        self._buried += 1
        self._way_in.left(entry)
        _log.warning(
            "entry %d (%s) is a dead letter: %s",
            entry.seq,
            entry.kind,
            code,
            extra={
                "connection": entry.payload.get("connection_id"),
                "message_id": entry.payload.get("whatsapp_id"),
            },
        )
        self._events.publish(
            EventName.DEAD_LETTER,
            {
                "seq": entry.seq,
                "kind": entry.kind,
                "code": code,
                "reason": reason,
                "messageId": entry.payload.get("whatsapp_id"),
            },
            connection_id=entry.payload.get("connection_id"),
            owner_id=entry.payload.get("owner_id"),
        )

    async def _later(self, verdict: Verdict, ctx: ChildContext, waits: Waits) -> None:
        self._enter("retrying", verdict.code, verdict.reason)
        self._probe.nudge()
        with ctx.idle(), waits():
            await trio.sleep(self._retry.next(verdict.retry_after or 0.0))

    async def _wait_for_change(self, verdict: Verdict, ctx: ChildContext, waits: Waits) -> None:
        """Until the probe has been let in again, then try a few entries."""
        self._enter("paused", verdict.code, verdict.reason)
        self._size.half_open()
        with ctx.idle(), waits():
            await trio.sleep(self._pause.next(verdict.retry_after or 0.0))
            await self._probe.wait_verified(ctx.beat)

    def _enter(
        self,
        name: Literal["stopped", "idle", "draining", "retrying", "offline", "paused", "journal"],
        code: str | None = None,
        reason: str | None = None,
    ) -> None:
        if self.state.name == name and self.state.code == code:
            return
        if code is not None:
            _log.warning("writer %s: %s", name, code)
        self.state = WriterState(name, datetime.now(UTC), code, reason)


def _refusal(outcome: Stored) -> tuple[str, str]:
    """Code and sentence of an item that the ingest function left out."""
    code = outcome.code or "refused"
    return code, about(code).pt


def _first(group: BaseExceptionGroup[JournalUnavailable]) -> JournalUnavailable:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
