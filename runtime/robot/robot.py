"""The robot as a supervised child: hears what the writer settled, decides, and says it durably."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import trio

from supervisors import Backoff, ChildContext, Delays

from ..errors import Conflict, Invalid, JournalUnavailable, NotFound, Unavailable
from ..failpoints import failpoint
from ..journal import Connection, Entry, Heard, Journal, NewCommand, NewEntry, RobotState, Stored
from ..storage.rows import Atendimento, Configuracao
from .config import Config, Configs
from .decide import (
    Attendant,
    Customer,
    Decision,
    Due,
    Finished,
    Happening,
    Phase,
    State,
    decide,
    from_data,
    to_data,
)
from .ears import heard_of
from .finishes import FINISHED_AGE, Finishes, Finishing
from .speech import speak

logger = logging.getLogger("zapvisor.robot")

CONFIG_SECONDS = 10.0
"""How often the configurations are read anew."""
FINISHED_SECONDS = 5.0
"""How often finished atendimentos are looked for; the API's own changes are seen at once."""
BATCH = 50
"""Messages or due states that are handled at once."""
IDLE_SECONDS = 5.0
RETRY = Backoff(first=1.0, cap=15.0)
RETRY_AT_LEAST = 0.25
"""Full jitter may give next to nothing; a call that is refused at once must not spin."""
BEAT_SECONDS = 15.0

MAX_AGE = timedelta(minutes=5)
"""A message that has waited longer than this with us is not answered any more."""
OFFLINE_GRACE = timedelta(seconds=60)
"""Nor is one that had waited longer than this at WhatsApp until we came back."""
CONVERSATION_AGE = timedelta(hours=24)
"""Nor gets a goodbye whose last message is older: old atendimentos are tidied up by the hundred."""
MAX_CHAT = 15
"""Messages of the robot to one chat within ``PACE_WINDOW``; then it falls silent there."""
DEAF_SECONDS = 600.0
"""When the robot has not run for this long, nothing is kept for it any more."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class Configuring(Protocol):
    """Where the configurations are."""

    async def all(self) -> list[Configuracao]: ...


class Attending(Finishing, Protocol):
    """Where the atendimentos are."""

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Atendimento]: ...


class Robot:
    """The child, and what the writer asks it.

    Args:
        ring: tells a connection that there is something to send.
        supabase_back: returns when Supabase is known to answer, and beats meanwhile.
        clock: the wall clock.
    """

    def __init__(
        self,
        journal: Journal,
        configurations: Configuring,
        atendimentos: Attending,
        ring: Callable[[str], None],
        supabase_back: Callable[[Callable[[], None]], Awaitable[None]],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._journal = journal
        self._configurations = configurations
        self._atendimentos = atendimentos
        self._ring = ring
        self._supabase_back = supabase_back
        self._delays = Delays(RETRY)
        self._finishes = Finishes(journal, atendimentos, clock)
        self._clock = clock
        self._configs: Configs | None = None
        self._readings = self._read = 0
        self._read_again_at = self._look_again_at = 0.0
        self._last_turn: float | None = None
        self._nudged = trio.Event()

    # --- asked by the writer

    def hears(self, entry: Entry, outcome: Stored) -> Heard | None:
        """What the robot shall be told of a settled entry, if anything."""
        return None if self._is_deaf() else heard_of(entry, outcome, self._configs)

    def _is_deaf(self) -> bool:
        if self._last_turn is None:
            self._last_turn = trio.current_time()
        return trio.current_time() - self._last_turn > DEAF_SECONDS

    # --- asked by the API

    async def read_configs(self) -> None:
        """Read the configurations anew. Raises StorageUnavailable."""
        self._readings += 1
        reading = self._readings
        configs = Configs(await self._configurations.all())
        if reading > self._read:  # a reading that began later has seen more
            self._configs, self._read = configs, reading

    def nudge(self) -> None:
        """Look for finished atendimentos now: somebody has just changed one."""
        self._look_again_at = 0.0
        self._nudged.set()

    # --- the child

    async def run(self, ctx: ChildContext) -> None:
        """Until cancelled. While Supabase or the journal is away, what is heard waits."""
        ctx.ready()
        while True:
            self._beat(ctx)
            try:
                await self._turn(ctx)
                self._delays.reset()
            except Unavailable as error:
                logger.info("robot waits", extra={"code": error.code})
                await self._sit_out(error, ctx)

    def _beat(self, ctx: ChildContext) -> None:
        ctx.beat()
        self._last_turn = trio.current_time()

    async def _sit_out(self, error: Unavailable, ctx: ChildContext) -> None:
        """Until the part that was missed is there again. It may be only us whom it refuses, so
        there is a pause first.
        """
        await trio.sleep(self._delays.next(RETRY_AT_LEAST))
        self._beat(ctx)
        if isinstance(error, JournalUnavailable):
            with trio.move_on_after(BEAT_SECONDS):
                await self._journal.wait_open()
        else:
            await self._supabase_back(partial(self._beat, ctx))

    async def _turn(self, ctx: ChildContext) -> None:
        """Do what there is to do, or wait a moment for something."""
        if trio.current_time() >= self._read_again_at:
            self._read_again_at = trio.current_time() + CONFIG_SECONDS
            await self._keep_configs()
        if trio.current_time() >= self._look_again_at:
            self._look_again_at = trio.current_time() + FINISHED_SECONDS
            await self._say_goodbye(ctx)
        heard = await self._journal.unanswered(limit=BATCH)
        if heard:
            await self._answer(heard)
            return
        due, following = await self._journal.robot_due(self._clock(), limit=BATCH)
        if due:
            await self._remind(due)
            return
        await self._wait(following)

    async def _wait(self, due: datetime | None) -> None:
        until = min(self._read_again_at, self._look_again_at)
        seconds = min(until - trio.current_time(), IDLE_SECONDS)
        if due is not None:
            seconds = min(seconds, (due - self._clock()).total_seconds())
        with trio.move_on_after(max(seconds, 0.01)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_first, self._journal.wait_heard, nursery.cancel_scope)
                nursery.start_soon(_first, self._nudged.wait, nursery.cancel_scope)
        if self._nudged.is_set():
            self._nudged = trio.Event()

    async def _keep_configs(self) -> None:
        try:
            await self.read_configs()
        except Unavailable:
            if self._configs is None:
                self._read_again_at = 0.0
                raise
            logger.info("configurations not read, the last ones still count")

    # --- what was said

    async def _answer(self, heard: Sequence[Heard]) -> None:
        rows = await self._atendimentos.by_ids(sorted({one.atendimento_id for one in heard}))
        states = await self._states(rows)
        # An attendant who was quicker than we are is not answered over.
        for one in sorted(heard, key=lambda one: (one.sender == "CLIENTE", one.seq)):
            row = rows.get(one.atendimento_id)
            if row is None or (row.owner_id, row.connection_id) != (
                one.owner_id,
                one.connection_id,
            ):
                await self._journal.robot_take(
                    None, answers=one.seq, chat=_chat(one.connection_id, one.number), now=self._now
                )
                continue
            happening = self._happening(one, row)
            state = states.get(one.atendimento_id)
            states[one.atendimento_id] = await self._act(
                state, happening, row, one.connection_id, one.number, answers=one.seq
            )

    def _happening(self, one: Heard, row: Atendimento) -> Happening:
        if one.sender == "ATENDENTE":
            return Attendant()
        waited = one.accepted_at - one.happened_at if one.offline else timedelta(0)
        return Customer(
            one.text,
            one.kind,
            opened=row.begun == one.happened_at,
            old=self._now - one.accepted_at > MAX_AGE or waited > OFFLINE_GRACE,
        )

    async def _remind(self, due: Sequence[RobotState]) -> None:
        rows = await self._atendimentos.by_ids([one.atendimento_id for one in due])
        for one in due:
            row = rows.get(one.atendimento_id)
            if row is None or row.connection_id is None or row.number is None:
                gone = to_data(State(Phase.ENDED))
                forgotten = RobotState(one.atendimento_id, gone, None)
                await self._journal.robot_take(forgotten, answers=None, chat="", now=self._now)
                continue
            state = from_data(dict(one.data), one.due)
            await self._act(state, Due(), row, row.connection_id, row.number)

    # --- what was finished

    async def _say_goodbye(self, ctx: ChildContext) -> None:
        if self._configs is not None and self._configs.any_active:
            await self._finishes.read(self._end, ctx.beat)

    async def _end(self, rows: Sequence[Atendimento]) -> None:
        served = [row for row in rows if self._config(row) is not None]
        states = await self._states(row.id for row in served)
        for row in served:
            state = states.get(row.id)
            over = state is not None and state.phase is Phase.ENDED
            if over or row.connection_id is None or row.number is None:
                continue
            ended = row.ended or row.changed or _BEGINNING
            talked = row.talked or _BEGINNING
            lately = self._now - ended < FINISHED_AGE and ended - talked < CONVERSATION_AGE
            await self._act(state, Finished(lately), row, row.connection_id, row.number)

    # --- carrying out

    async def _act(
        self,
        state: State | None,
        happening: Happening,
        row: Atendimento,
        connection_id: str,
        number: str,
        *,
        answers: int | None = None,
    ) -> State | None:
        """Decide, and make the outcome durable; returns the new state."""
        chat = _chat(connection_id, number)
        now = self._now
        try:
            decision = decide(
                state,
                happening,
                self._config(row),
                status=row.status,
                now=now,
                allowance=MAX_CHAT - await self._journal.robot_sent_lately(chat, now),
            )
            messages = await self._messages(decision, row, connection_id, number, now)
        except Invalid as error:
            logger.info("no sending to this chat", extra={"code": error.code})
            decision, messages = _muted(state), []
        except Unavailable:
            raise
        except Exception:  # a bug that one message brings to light must not silence all others
            logger.exception("robot failed", extra={"connection": connection_id})
            decision, messages = _muted(state), []
        kept = _kept(row.id, state, decision)
        failpoint("robot-decided")
        try:
            await self._journal.robot_take(
                kept, answers=answers, chat=chat, now=now, messages=messages
            )
        except (Conflict, NotFound) as refusal:
            # Said before, in a run of which only the outbox is left; or the connection is gone.
            logger.warning("not said", extra={"connection": connection_id, "code": refusal.code})
            await self._journal.robot_take(kept, answers=answers, chat=chat, now=now)
        if messages:
            self._ring(connection_id)
        return decision.state

    async def _messages(
        self, decision: Decision, row: Atendimento, connection_id: str, number: str, now: datetime
    ) -> list[tuple[NewCommand, NewEntry]]:
        if not decision.messages:
            return []
        connection = await self._journal.connection(connection_id)
        if connection is None or _is_own(connection, row, number):
            return []
        # A microsecond apart, so that ordering by time is the order of saying.
        return [
            speak(connection, row.id, number, message, now + timedelta(microseconds=place))
            for place, message in enumerate(decision.messages)
        ]

    def _config(self, row: Atendimento) -> Config | None:
        if self._configs is None:
            return None
        return self._configs.find(row.owner_id, row.company_id)

    async def _states(self, ids: Iterable[str]) -> dict[str, State | None]:
        found = await self._journal.robot_states(list(ids))
        return {key: from_data(dict(one.data), one.due) for key, one in found.items()}

    @property
    def _now(self) -> datetime:
        return self._clock()


async def _first(wait: Callable[[], Any], scope: trio.CancelScope) -> None:
    await wait()
    scope.cancel()


def _kept(atendimento_id: str, before: State | None, decision: Decision) -> RobotState | None:
    if decision.state is None or decision.state == before:
        return None
    return RobotState(atendimento_id, to_data(decision.state), decision.state.due)


def _muted(state: State | None) -> Decision:
    return Decision(State(Phase.SILENT) if state is None else _silenced(state))


def _silenced(state: State) -> State:
    return State(Phase.ENDED if state.phase is Phase.ENDED else Phase.SILENT)


def _is_own(connection: Connection, row: Atendimento, number: str) -> bool:
    """Whether a message would go to the account itself, or out through another owner's."""
    return number == connection.phone_number or connection.owner_id != row.owner_id


def _chat(connection_id: str, number: str) -> str:
    return f"{connection_id}/{number}"
