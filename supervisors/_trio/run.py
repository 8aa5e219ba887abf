"""One run of one supervisor: a nursery, one task per live child, one loop for the deadlines.

Whoever has news (a child that is ready, a child that ended, a caller with a command, the clock)
feeds the decision core and carries out its actions on the spot, synchronously; so there is no
queue between them and a start costs no more than a task. Only when very many have news at once do
the later ones wait in a backlog, which the loop works off in pieces, letting others run in between.

All of this is protected from KeyboardInterrupt, which must not tear the machine apart between two
actions; what is user code (the ``run`` of a child) is not.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import trio

from supervisors._core.actions import (
    Abandon,
    Action,
    Cancel,
    Drain,
    EndKind,
    Finish,
    Launch,
    Remove,
    Settle,
    Started,
    Stopping,
    Stuck,
)
from supervisors._core.board import Policy
from supervisors._core.errors import EscalationError, SupervisionError, SupervisorDownError
from supervisors._core.exits import ExitKind, Why, judge, missed_deadline
from supervisors._core.machine import Machine
from supervisors._core.settings import ChildRules
from supervisors._core.slot import Slot
from supervisors._trio.context import ChildContext
from supervisors._trio.hang import where
from supervisors._trio.mailbox import Mailbox
from supervisors._trio.parent import Parent
from supervisors._trio.ref import Home, Ref
from supervisors._trio.system import System
from supervisors._trio.ticket import Command, Ticket
from supervisors._trio.user import unprotected, without_cancelled
from supervisors.events import ChildAbandoned, ChildStuck, Event, MessagesDropped

BURST = 100
"""News that are acted on at once since the loop last came round."""

PIECE = 100
"""News of the backlog that are acted on before others may run."""


class Run:
    """See the module's text. Lives as long as one call of the supervisor."""

    def __init__(self, parent: Parent, policy: Policy, home: Home) -> None:
        self.parent: Parent = parent
        self._home = home
        self.system: System = parent.system
        self.machine: Machine = Machine(parent.path, policy, parent.system.rng)
        self._finished = trio.Event()
        self._nap = trio.CancelScope()
        self._napping = False
        self._pumping = False
        self._fed = 0  # news acted on at once since the loop came round
        self._backlog: deque[Callable[[float], object]] = deque()
        # Children get the supervisor's context variables, whoever's task it is that launches them.
        self._context = contextvars.copy_context()

    @trio.lowlevel.enable_ki_protection
    async def serve(self, specs: Iterable[ChildRules]) -> None:
        """Runs until the core says that nothing is left. Raises EscalationError when it gave up."""
        try:
            async with trio.open_nursery() as self._nursery:
                self._act(lambda now: self.machine.begin(specs, now))
                try:
                    await self._until_finished()
                except trio.Cancelled:
                    # Children are shielded from this cancellation; the core stops them in order,
                    # each within its own deadline. It is raised again below.
                    with trio.CancelScope(shield=True):
                        self._act(self.machine.stop)
                        await self._until_finished()
            await self._leave()
        finally:
            self._release()  # last of all: from here on nobody can begin to wait for this run

    @trio.lowlevel.enable_ki_protection
    async def _leave(self) -> None:
        ending = self.machine.ending
        if ending is None or ending.kind in (EndKind.STOP, EndKind.AUTO):
            await trio.lowlevel.checkpoint_if_cancelled()
        elif ending.kind is EndKind.FATAL and ending.error is not None:
            raise ending.error
        else:
            raise EscalationError(self.machine.board.path, ending.reason) from ending.error

    @trio.lowlevel.enable_ki_protection
    async def _until_finished(self) -> None:
        while not self.machine.finished:
            if not self._backlog and not self.machine.wants_tick:
                self._napping = True
                with trio.CancelScope(deadline=self.machine.due()) as self._nap:
                    await self._finished.wait()
            self._napping = False
            # Whoever is due at the same time, or was held up with us, goes first: a child that only
            # waited for its turn has not missed its deadline.
            await trio.lowlevel.checkpoint()
            for _ in range(min(PIECE, len(self._backlog))):
                self._act(self._backlog.popleft())
            self._fed = 0
            self._act(self.machine.tick)

    def _release(self) -> None:
        """Nobody waits for a run that is over."""
        down = SupervisorDownError(f"{self.machine.board.path} has ended")
        while self._backlog:  # by now every command is refused
            self._act(self._backlog.popleft())
        for slot in self.machine.slots.values():
            self._close_box(slot)
            for _, ticket in slot.tickets:
                ticket.settle(down)
            slot.tickets = []

    # ------------------------------------------------------------------ news

    def feed(self, news: Callable[[float], object]) -> None:
        """Tells the core something and does what it decides, now or in its turn."""
        if self._fed < BURST and not self._backlog:
            self._fed += 1
            self._act(news)
        else:
            self._backlog.append(news)
            self._wake()

    def command(self, command: Command) -> Ticket:
        """Gives a command; how it ends is told by the ticket."""
        ticket = Ticket()

        def act(now: float) -> None:
            try:
                command(self.machine, now, ticket)
            except SupervisionError as error:
                ticket.settle(error)

        self.feed(act)
        return ticket

    def _wake(self) -> None:
        """The loop has something to do."""
        if self._napping:
            self._napping = False
            self._nap.cancel()

    def _act(self, news: Callable[[float], object]) -> None:
        news(trio.current_time())
        self._pump()

    @trio.lowlevel.enable_ki_protection
    def ready(self, slot: Slot) -> None:
        """The slot's live incarnation is ready."""
        if self._fed < BURST and not self._backlog:  # as feed does: this is a start's whole cost
            self._fed += 1
            self.machine.ready(slot, trio.current_time())
            self._pump()
        else:
            self._backlog.append(partial(self._ready_late, slot, slot.current))
            self._wake()

    def _ready_late(self, slot: Slot, ctx: ChildContext[Any], now: float) -> None:
        if slot.current is ctx:
            self.machine.ready(slot, now)

    def host(self, slot: Slot, supervisor: Any) -> None:
        """The slot's live incarnation runs a supervisor."""
        self.machine.hosts(slot, supervisor)

    def unhost(self, slot: Slot, supervisor: Any) -> None:
        """It runs it no more."""
        self.machine.hosts_no_more(slot, supervisor)

    @trio.lowlevel.enable_ki_protection
    async def _child(self, slot: Slot, ctx: ChildContext[Any]) -> None:
        error: BaseException | None = None
        try:
            with ctx._scope:
                ctx.task = trio.lowlevel.current_task()
                await unprotected(slot.spec.run, ctx)
        except BaseException as caught:
            # The scope has removed the cancellation that was ours, so nothing is swallowed here.
            if issubclass(type(caught), GeneratorExit) and not trio.lowlevel.in_trio_task():
                raise  # the task itself is thrown away, for trio has broken down
            error = without_cancelled(caught)
        why = slot.why  # of the end that it was told, if it was: not of one that is told too late
        ctx.close()
        self.feed(partial(self._ended, slot, ctx, why, error))

    def _ended(
        self,
        slot: Slot,
        ctx: ChildContext[Any],
        why: Why | None,
        error: BaseException | None,
        now: float,
    ) -> None:
        slot.current = None
        exit_ = judge(error, why, slot.spec.classify, ctx._where)
        if error is None:
            error = missed_deadline(exit_)
        elif why is Why.SHUTDOWN and exit_.kind is ExitKind.CRASHED:
            self.system.news.crashed_at_stop(slot.path, error)
        if slot.box is not None:
            slot.box.died(exit_.reason)
        monitors = slot.monitors
        self.machine.exited(slot, exit_, now, error)
        for monitor in monitors:
            monitor.push(exit_)

    # ------------------------------------------------------------------ actions

    def _pump(self) -> None:
        """Carries out what the core has decided. Reentrant calls leave it to the outer one."""
        if self._pumping:
            return
        self._pumping = True
        board = self.machine.board
        try:
            while board.actions:
                for action in self.machine.take():
                    if isinstance(action, Event):
                        self.system.publish(action)
                    else:
                        _DO[type(action)](self, action)
        finally:
            self._pumping = False
        upcoming = board.timers.next()
        if upcoming < self._nap.deadline:
            self._nap.deadline = upcoming
        if self.machine.wants_tick:
            self._wake()

    def _launch(self, action: Launch) -> None:
        slot = action.slot
        slot.current = ctx = ChildContext(slot, self)
        # mypy does not see start_soon's own arguments through those of run.
        self._context.run(
            self._nursery.start_soon,  # type: ignore[arg-type]
            self._child,
            slot,
            ctx,
            name=slot.path,
        )

    def _drain(self, action: Drain) -> None:
        if action.slot.current is not None:
            action.slot.current.drain()

    def _cancel(self, action: Cancel) -> None:
        ctx: ChildContext[Any] | None = action.slot.current
        if ctx is not None:
            if action.why in (Why.HUNG, Why.NOT_READY):
                ctx._where = where(ctx.task)
            if ctx._stopping is not None:
                ctx._stopping.set()
            ctx._scope.cancel(reason=f"{action.slot.path}: {action.why.value}")

    def _stuck(self, action: Stuck) -> None:
        self.system.publish(
            ChildStuck(action.slot.path, action.at, action.incarnation, _where(action.slot))
        )

    def _abandon(self, action: Abandon) -> None:
        slot = action.slot
        hangs = _where(slot)
        if slot.box is not None:
            slot.box.died("it did not end in time")
        self.system.publish(ChildAbandoned(slot.path, action.at, action.incarnation, hangs))
        self.system.news.abandoned(slot.path, hangs)

    def _remove(self, action: Remove) -> None:
        self._close_box(action.slot)

    def _close_box(self, slot: Slot) -> None:
        for monitor in slot.monitors:
            monitor.end()
        if slot.box is not None:
            dropped = slot.box.close()
            if dropped:
                self.system.publish(MessagesDropped(slot.path, trio.current_time(), dropped))

    def _finish(self, _action: Finish) -> None:
        self._finished.set()
        self.system.news.over(self.machine.board.path)

    # ------------------------------------------------------------------ mailboxes

    def ref(self, slot: Slot) -> Ref[Any]:
        """How others reach the slot's child."""
        return Ref(self._home, slot.name)

    def box(self, slot: Slot) -> Mailbox[Any]:
        """The slot's mailbox, made when somebody first asks for it."""
        box: Mailbox[Any] | None = slot.box
        if box is None:
            box = slot.box = Mailbox(slot)
        return box


_DO: dict[type[Action], Callable[[Run, Any], None]] = {
    Launch: Run._launch,
    Drain: Run._drain,
    Cancel: Run._cancel,
    Stuck: Run._stuck,
    Abandon: Run._abandon,
    Remove: Run._remove,
    Settle: lambda _run, action: action.ticket.settle(action.error, action.exit),
    Started: lambda run, _action: run.parent.ready(),
    Stopping: lambda run, _action: run.system.news.stopping(run.machine.board.path),
    Finish: Run._finish,
}


def _where(slot: Slot) -> tuple[str, ...]:
    return () if slot.current is None else where(slot.current.task)
