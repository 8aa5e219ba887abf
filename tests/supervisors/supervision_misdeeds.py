"""What children can do wrong: the table of the storm of strangers, one function for each kind.

Each takes ``me`` (see ``supervision_stranger.Me``) and plays one incarnation. Whatever hangs does
so for a bounded time, so that every story has an end. Here: what they do by themselves; what they
do with others is in ``supervision_meddlers``, which has to be imported to be in the table.
"""

from __future__ import annotations

import contextlib

import trio

from supervisors import Done, Escalate, Park

MISDEEDS = {}


def misdeed(function):
    """Enters the function in the table."""
    MISDEEDS[function.__name__] = function
    return function


class OnPurposeError(Exception):
    """What strangers crash with."""


class OfItsOwn(BaseException):
    """No Exception, and none that Python knows."""


class NoTextError(Exception):
    """Its text cannot be had."""

    def __str__(self):
        raise RuntimeError("no text for you")

    __repr__ = __str__


class OddGroup(BaseExceptionGroup):
    """A group that does not let itself be split."""

    def split(self, _condition):
        raise RuntimeError("indivisible")

    def derive(self, _members):
        raise RuntimeError("underivable")


# ---------------------------------------------------------------------- starts


@misdeed
async def crashes_at_once(me):
    raise me.crash()


@misdeed
async def crashes_after_ready(me):
    me.ctx.ready()
    await me.nap(3)
    raise me.crash()


@misdeed
async def never_is_ready(me):
    await trio.sleep_forever()


@misdeed
async def is_ready_again_and_again(me):
    for _ in range(5):
        me.ctx.ready()
        await me.nap(1)


@misdeed
async def returns_at_once(me):
    pass


@misdeed
async def is_ready_and_returns(me):
    me.ctx.ready()


@misdeed
async def works_well(me):
    me.ctx.ready()
    while True:
        me.ctx.beat()
        await trio.sleep(0.5)


# ---------------------------------------------------------------------- hangs


@misdeed
async def hangs_shielded(me):
    me.ctx.ready()
    try:
        await trio.sleep(me.dice.choice([1, 1000]))
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(me.dice.choice([0.5, 2, 4] + [12] * 3 * me.world.may_hang))


@misdeed
async def blocks_the_loop(me):
    me.ctx.ready()
    for _ in range(3):
        await me.nap(2)
        me.world.block(me.dice.choice([0.01, 0.5, 2, 5]))


@misdeed
async def forgets_to_beat(me):
    me.ctx.ready()
    with me.ctx.idle():
        await me.nap(9)
    await trio.sleep_forever()


@misdeed
async def swallows_cancelled_once(me):
    me.ctx.ready()
    with contextlib.suppress(trio.Cancelled):
        await trio.sleep_forever()
    await trio.sleep_forever()


@misdeed
async def swallows_cancelled_and_returns(me):
    me.ctx.ready()
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        return


# ---------------------------------------------------------------------- odd errors


@misdeed
async def raises_without_text(me):
    me.ctx.ready()
    raise me.told(NoTextError())


@misdeed
async def adds_odd_notes(me):
    error = me.crash()
    error.__notes__ = me.dice.choice([7, [1, NoTextError()], "note", None, ["x" * 100_000]])
    me.ctx.ready()
    raise error


@misdeed
async def nests_cancelled_and_crash(me):
    me.ctx.ready()
    cancelled = await _cancelled()
    inner = BaseExceptionGroup("inner", [cancelled, me.crash()])
    for _ in range(me.dice.choice([1, 5, 50])):
        inner = BaseExceptionGroup("outer", [cancelled, inner])
    raise inner


@misdeed
async def raises_an_indivisible_group(me):
    me.ctx.ready()
    raise OddGroup("odd", [await _cancelled(), me.crash()])


@misdeed
async def lets_cancelled_out(me):
    me.ctx.ready()
    raise await _cancelled()


@misdeed
async def raises_generator_exit(me):
    me.ctx.ready()
    raise me.told(GeneratorExit())


@misdeed
async def raises_a_base_exception(me):
    await me.nap(1)
    raise me.told(OfItsOwn("mine"))


@misdeed
async def raises_stop_iteration(me):
    me.ctx.ready()
    raise StopAsyncIteration(me.dice.random())


async def _cancelled():
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep_forever()
        except trio.Cancelled as error:
            return error


# ---------------------------------------------------------------------- ends


@misdeed
async def crashes_when_stopped(me):
    me.ctx.ready()
    try:
        await trio.sleep_forever()
    finally:
        raise me.crash()


@misdeed
async def ignores_the_drain(me):
    me.ctx.ready()
    await me.ctx.stopping.wait()
    await trio.sleep_forever()


@misdeed
async def drains_slowly(me):
    me.ctx.ready()
    await me.ctx.stopping.wait()
    await me.nap(4)


@misdeed
async def crashes_when_drained(me):
    me.ctx.ready()
    await me.ctx.stopping.wait()
    raise me.crash()


@misdeed
async def reads_slowly_to_the_end(me):
    me.ctx.ready()
    async for call in me.ctx.mailbox:
        await me.nap(2)
        me.answer(call)


@misdeed
async def parks(me):
    if me.dice.random() < 0.5:
        me.ctx.ready()
    raise Park("a person is needed", me.dice.choice(["parked", "", "x" * 500]))


@misdeed
async def escalates(me):
    await me.nap(3)
    if me.world.may_escalate:
        raise Escalate("enough")


@misdeed
async def is_done(me):
    if me.dice.random() < 0.5:
        me.ctx.ready()
    raise Done(me.dice.choice(["done", NoTextError()]))


@misdeed
async def exits_the_program(me):
    await me.nap(8)
    if me.world.may_end:
        raise SystemExit(3)
