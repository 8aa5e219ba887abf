"""``ChildSpec``: how to run one child and what to do when it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic

from supervisors._core.settings import ChildRules
from supervisors._trio.context import ChildContext
from supervisors._trio.typevars import M


@dataclass(frozen=True)
class ChildSpec(ChildRules, Generic[M]):
    """How to run one child and what to do when it ends. ``M`` is the type of its messages.

    name
        Unique within its supervisor; becomes the last part of the path. No "/" and no control
        characters, at most 200 characters.
    run
        ``async def run(ctx: ChildContext[M]) -> None``. Called once per incarnation. Must call
        ``ctx.ready()`` when it can do its work. A ``Supervisor`` or ``DynamicSupervisor`` object is
        a valid ``run``. Returning is a normal exit, ``raise Done(...)`` one after which it is not
        restarted, ``raise Park(...)`` parks, ``raise Escalate(...)`` makes the supervisor give up,
        any other exception is a crash.
    restart
        See ``Restart``. Default PERMANENT.
    ready_deadline
        Seconds from launch to ``ctx.ready()``; missing it is a crash. Default 30, and no limit for
        a supervisor (also one that a worker runs inside), whose children have their own.
        ``math.inf`` is allowed.
    stop_deadline
        Seconds from cancellation to exit. Default 5, or what ``run`` says that it needs
        (``run.stop_needs``, seconds; a program has one), and for a supervisor (also one that a
        worker runs inside) 5 more than its children may need. A child that is still there
        afterwards is judged as ``stuck`` says.
    drain_deadline
        Seconds that the child has, once ready, to end by itself when it is told to, before it is
        cancelled: ``ctx.stopping`` is set, the loop over its mailbox ends. Default None: it is
        cancelled at once. A child that has missed its liveness deadline is always cancelled at
        once.
    drain_mailbox
        What becomes of the messages that wait when the draining begins. False (default): the loop
        over the mailbox ends at once, and they stay for the next incarnation; if none comes,
        they are dropped. True: they are handed out first. Drops are told: ``MessagesDropped``.
    stuck
        See ``Stuck``. Default ESCALATE.
    backoff
        Delay before restarts. Default None: at once.
    counts_intensity
        Whether restarts use the supervisor's budget. Default: yes without backoff, no with one. No
        budget and no backoff is refused: a hot loop.
    liveness
        Seconds; once ready the child must call ``ctx.beat()`` at least that often. To wait for a
        message in the own mailbox is a sign of life, and so is whatever is done in ``with
        ctx.idle():``. A miss is a crash whose record says where the child hangs. Default None: not
        watched. When nothing ran at all (a blocked event loop, a stopped process), which shows in a
        deadline that is seen more than a second late, this and the deadlines above begin anew, once
        in a row: that is no child's fault, except of the one that does it again (see ``Pulse``).
    mailbox
        Bound of the mailbox in messages. Default 100. 0: every send waits for a receiver.
    significant
        Takes part in the supervisor's ``auto_shutdown``. Only for children that can end by
        themselves (not PERMANENT).
    classify
        ``(exception) -> Park | Escalate | None``: what a crash means; None is an ordinary crash.
        Not asked about verdicts that the child raised itself. If it raises, the exit is a crash and
        the record tells of both.
    """

    run: Callable[[ChildContext[M]], Awaitable[None]]
