"""Is Supabase there, does it let us in, and is it migrated?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Protocol

import trio

from supervisors import Backoff, ChildContext, Delays

from ..events import EventBus, EventName
from ..reasons import MIGRATION_REQUIRED, about
from .classify import EXPECTED, Action, classify
from .client import REQUIRED_SCHEMA_VERSION

_log = logging.getLogger("zapvisor.storage")

INTERVAL_SECONDS = 5.0
RECHECK_SECONDS = 1.0
BACKOFF_CAP_SECONDS = 15.0
CHECK_SECONDS = 5.0
BEAT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Why Supabase is not usable: a code for programs, a sentence for people."""

    code: str
    reason: str


class Checked(Protocol):
    """What the probe asks."""

    async def schema_version(self) -> int: ...


class Probe:
    """Asks every few seconds; with growing delays while the answer is bad.

    Attributes:
        healthy: what is believed now; False until the first good answer.
        since: when that began.
        problem: of the last bad answer; None while all is well.
        schema_version: as last answered; None before.
    """

    def __init__(
        self, supabase: Checked, events: EventBus, *, random: Random | None = None
    ) -> None:
        self._supabase = supabase
        self._events = events
        self._delays = Delays(Backoff(first=RECHECK_SECONDS, cap=BACKOFF_CAP_SECONDS), random)
        self.healthy = False
        self.since = datetime.now(UTC)
        self.problem: Problem | None = None
        self.schema_version: int | None = None
        self._announced_offline = False
        self._begun = 0
        self._verified = 0
        self._nudged = trio.Event()
        self._checked = trio.Event()

    async def run(self, ctx: ChildContext) -> None:
        """Check until cancelled. Publishes supabaseOffline and supabaseOnline on changes."""
        ctx.ready()
        while True:
            ctx.beat()
            self._nudged = trio.Event()
            problem, final = await self._check()
            ctx.beat()
            delay = self._well() if problem is None else self._ill(problem, final)
            with trio.move_on_after(delay):
                await self._nudged.wait()

    def nudge(self) -> None:
        """Check now rather than later: somebody has seen an error."""
        self._nudged.set()

    async def wait_checked(self) -> None:
        """Return after the next check that tells anything new about the state."""
        await self._checked.wait()

    async def wait_verified(self, beat: Callable[[], None]) -> None:
        """Return when a check that began after this call was good, and the last one still is.

        Calls ``beat`` at least every 5 s meanwhile.
        """
        begun = self._begun
        self.nudge()
        while not (self.healthy and self._verified > begun):
            with trio.move_on_after(BEAT_SECONDS):
                await self.wait_checked()
            beat()

    async def _check(self) -> tuple[Problem | None, bool]:
        """The problem, and whether it is certain at the first sight of it."""
        self._begun += 1
        try:
            with trio.fail_after(CHECK_SECONDS):
                self.schema_version = await self._supabase.schema_version()
        except EXPECTED as error:
            verdict = classify(error)
            return Problem(verdict.code, verdict.reason), verdict.action is Action.PAUSE
        if self.schema_version < REQUIRED_SCHEMA_VERSION:
            found = f"(versão {self.schema_version}, necessária {REQUIRED_SCHEMA_VERSION})"
            return Problem(MIGRATION_REQUIRED, f"{about(MIGRATION_REQUIRED).pt} {found}"), True
        return None, False

    def _well(self) -> float:
        self._verified = self._begun
        self._delays.reset()
        self.problem = None
        if not self.healthy:
            now = datetime.now(UTC)
            offline_seconds = (now - self.since).total_seconds()
            self.healthy = True
            self.since = now
            _log.info("supabase is there (schema version %s)", self.schema_version)
            if self._announced_offline:
                self._announced_offline = False
                self._events.publish(
                    EventName.SUPABASE_ONLINE, {"offlineSeconds": round(offline_seconds, 3)}
                )
        self._tell()
        return INTERVAL_SECONDS

    def _ill(self, problem: Problem, final: bool) -> float:
        self.problem = problem
        delay = self._delays.next()
        if self.healthy and not final and self._delays.failures < 2:
            return RECHECK_SECONDS  # one lost answer is no outage
        if self.healthy or not self._announced_offline:
            if self.healthy:
                self.since = datetime.now(UTC)
            self.healthy = False
            self._announced_offline = True
            _log.error("supabase is not usable: %s", problem.code)
            self._events.publish(
                EventName.SUPABASE_OFFLINE, {"code": problem.code, "reason": problem.reason}
            )
        self._tell()
        # Full jitter may give next to nothing; a check that fails at once must not spin.
        return max(delay, RECHECK_SECONDS / 4)

    def _tell(self) -> None:
        self._checked.set()
        self._checked = trio.Event()
