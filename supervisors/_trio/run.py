"""One run of one supervisor: a nursery, one task per live child, one loop for the deadlines.

Whoever has news (a child that is ready, a child that ended, a caller with a command, the clock)
feeds the decision core and carries out its actions on the spot, synchronously; so there is no
queue between them and a start costs no more than a task.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import trio

from supervisors._core.actions import (
    Abandon,
    Action,
    Cancel,
    EndKind,
    Finish,
    Launch,
    Remove,
    Settle,
    Started,
    Stopping,
)
from supervisors._core.board import Policy
from supervisors._core.errors import EscalationError, SupervisionError, SupervisorDownError
from supervisors._core.events import Event
from supervisors._core.exits import Why, judge, missed_deadline
from supervisors._core.machine import Machine
from supervisors._core.settings import ChildSpec
from supervisors._core.slot import Slot
from supervisors._trio.context import ChildContext
from supervisors._trio.hang import where
from supervisors._trio.mailbox import Mailbox
from supervisors._trio.system import System


class Ticket:
    """Somebody waits for the end of a command."""

    __slots__ = ("_error", "_settled")

    def __init__(self) -> None:
        self._settled = trio.Event()
        self._error: BaseException | None = None

    def settle(self, error: BaseException | None) -> None:
        self._error = error
        self._settled.set()

    async def wait(self) -> None:
        await self._settled.wait()
        if self._error is not None:
            raise self._error


class Parent(Protocol):
    """What a supervisor needs of the context it runs in."""

    @property
    def path(self) -> str: ...
    @property
    def system(self) -> System: ...
    def ready(self) -> None: ...


class Run:
    """See the module's text. Lives as long as one call of the supervisor."""

    def __init__(self, parent: Parent, policy: Policy) -> None:
        self.parent = parent
        self.system = parent.system
        self.machine = Machine(parent.path, policy, parent.system.rng)
        self._finished = trio.Event()
        self._nap = trio.CancelScope()
        self._pumping = False
        # Children get the supervisor's context variables, whoever's task it is that launches them.
        self._context = contextvars.copy_context()

    async def serve(self, specs: Iterable[ChildSpec]) -> None:
        """Runs until the core says that nothing is left. Raises EscalationError when it gave up."""
        try:
            async with trio.open_nursery() as self._nursery:
                self.feed(lambda now: self.machine.begin(specs, now))
                try:
                    await self._until_finished()
                except trio.Cancelled:
                    # Children are shielded from this cancellation; the core stops them in order,
                    # each within its own deadline. It is raised again below.
                    with trio.CancelScope(shield=True):
                        self.feed(self.machine.stop)
                        await self._until_finished()
        finally:
            self._release()
        await self._leave()

    async def _leave(self) -> None:
        ending = self.machine.ending
        if ending is None or ending.kind in (EndKind.STOP, EndKind.AUTO):
            await trio.lowlevel.checkpoint_if_cancelled()
        elif ending.kind is EndKind.FATAL and ending.error is not None:
            raise ending.error
        else:
            raise EscalationError(self.machine.path, ending.reason) from ending.error

    async def _until_finished(self) -> None:
        while not self.machine.finished:
            with trio.CancelScope(deadline=self.machine.timers.next()) as self._nap:
                await self._finished.wait()
            if self._nap.cancelled_caught:
                # Whoever is due at the same time, or was held up with us, goes first: a child that
                # only waited for its turn has not missed its deadline.
                await trio.lowlevel.checkpoint()
            self.feed(self.machine.tick)

    def _release(self) -> None:
        """Nobody waits for a run that is over."""
        for slot in self.machine.slots.values():
            if slot.box is not None:
                slot.box.close()
            for ticket in slot.start_tickets + slot.stop_tickets:
                ticket.settle(SupervisorDownError(f"{self.machine.path} has ended"))

    # ------------------------------------------------------------------ news

    @trio.lowlevel.enable_ki_protection
    def feed(self, event: Callable[[float], object]) -> None:
        """Tells the core something and does what it decides."""
        event(trio.current_time())
        self.pump()

    @trio.lowlevel.enable_ki_protection
    def ready(self, slot: Slot) -> None:
        self.machine.ready(slot, trio.current_time())
        self.pump()

    async def _child(self, slot: Slot, ctx: ChildContext) -> None:
        error: BaseException | None = None
        try:
            with ctx._scope:
                ctx._task = trio.lowlevel.current_task()
                await slot.spec.run(ctx)
        except GeneratorExit:
            raise
        except BaseException as caught:
            # The scope has removed the cancellation that was ours, so nothing is swallowed here.
            error = _without_cancelled(caught)
        self._ended(slot, ctx, error)

    @trio.lowlevel.enable_ki_protection
    def _ended(self, slot: Slot, ctx: ChildContext, error: BaseException | None) -> None:
        ctx._close()
        slot.current = None
        exit_ = judge(error, slot.why, slot.spec.classify, ctx._where)
        if error is None:
            error = missed_deadline(exit_)
        if slot.box is not None:
            slot.box.died(exit_.reason)
        self.machine.exited(slot, exit_, trio.current_time(), error)
        self.pump()

    # ------------------------------------------------------------------ actions

    def pump(self) -> None:
        """Carries out what the core has decided. Reentrant calls leave it to the outer one."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self.machine.actions:
                batch, self.machine.actions = self.machine.actions, []
                for action in batch:
                    if not isinstance(action, Event):
                        _DO[type(action)](self, action)
                    elif self.system.observers:
                        self.system.publish(action)
        finally:
            self._pumping = False
        upcoming = self.machine.timers.next()
        if upcoming < self._nap.deadline:
            self._nap.deadline = upcoming

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

    def _cancel(self, action: Cancel) -> None:
        ctx: ChildContext | None = action.slot.current
        if ctx is not None:
            if action.why in (Why.HUNG, Why.NOT_READY):
                ctx._where = where(ctx._task)
            ctx._scope.cancel(reason=f"{action.slot.path}: {action.why.value}")

    def _abandon(self, action: Abandon) -> None:
        if action.slot.box is not None:
            action.slot.box.died("it did not end in time")
        self.system.on_abandoned(action.slot.path)

    def _remove(self, action: Remove) -> None:
        if action.slot.box is not None:
            action.slot.box.close()

    def _settle(self, action: Settle) -> None:
        action.ticket.settle(action.error)

    def _started(self, _action: Started) -> None:
        self.parent.ready()

    def _stopping(self, _action: Stopping) -> None:
        self.system.on_stopping(self.machine.path)

    def _finish(self, _action: Finish) -> None:
        self._finished.set()

    # ------------------------------------------------------------------ mailboxes

    def box(self, slot: Slot) -> Mailbox:
        """The slot's mailbox, made when somebody first asks for it."""
        box: Mailbox | None = slot.box
        if box is None:
            box = slot.box = Mailbox(slot.path, slot.spec.mailbox)
        return box


# Each handler takes the action of its key.
_DO: dict[type[Action], Callable[[Run, Any], None]] = {
    Launch: Run._launch,
    Cancel: Run._cancel,
    Abandon: Run._abandon,
    Remove: Run._remove,
    Settle: Run._settle,
    Started: Run._started,
    Stopping: Run._stopping,
    Finish: Run._finish,
}


def _without_cancelled(error: BaseException) -> BaseException:
    """Removes foreign cancellations from a group; one that came alone is a fault of the child."""
    if isinstance(error, trio.Cancelled):
        leak = SupervisionError("a Cancelled escaped from the child although nobody cancelled it")
        leak.__cause__ = error
        return leak
    if isinstance(error, BaseExceptionGroup):
        rest = error.split(trio.Cancelled)[1]
        return rest if rest is not None else _without_cancelled(error.exceptions[0])
    return error
