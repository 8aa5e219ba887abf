"""What children can do wrong: the table of the storm of strangers, one function for each kind.

Each takes ``me`` (see ``supervision_stranger.Me``) and plays one incarnation. Whatever hangs does so
for a bounded time, so that every story has an end.
"""

from __future__ import annotations

import trio

from supervisors import Done, Escalate, Park, StaleIncarnationError, SupervisionError

MISDEEDS = {}


def misdeed(function):
    """Enters the function in the table."""
    MISDEEDS[function.__name__] = function
    return function


class OnPurposeError(Exception):
    """What strangers crash with."""


class OfItsOwn(BaseException):  # noqa: N818
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
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        pass
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


# ---------------------------------------------------------------------- tasks and contexts


@misdeed
async def has_tasks_that_crash(me):
    async def task():
        await me.nap(3)
        raise me.crash()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(task)
        nursery.start_soon(task)
        me.ctx.ready()
        await trio.sleep_forever()


@misdeed
async def lends_its_context(me):
    """A task that is not its own uses what was the child's."""
    me.ctx.ready()
    inbox = me.ctx.mailbox
    stopping = me.ctx.stopping

    async def ghost():
        await stopping.wait()
        with trio.move_on_after(20):
            try:
                while True:
                    me.answer(await inbox.receive())
            except (StaleIncarnationError, trio.EndOfChannel):
                pass
        if not me.over:
            return
        for use in (me.ctx.ready, me.ctx.beat, me.ctx.idle().__enter__, inbox.receive_nowait):
            try:
                use()
            except StaleIncarnationError:
                continue
            me.world.fault(f"{me.path}: {use} went through after the end")

    me.world.later(f"ghost of {me.path}", ghost)
    await me.nap(4)
    if me.dice.random() < 0.5:
        raise me.crash()


@misdeed
async def calls_itself(me):
    inbox = me.ctx.mailbox
    me.ctx.ready()
    with trio.move_on_after(3):
        await me.home.child(me.ctx.name).call("me")
    async for call in inbox:
        me.answer(call)
        with trio.move_on_after(3):
            await me.home.child(me.ctx.name).call("me")


@misdeed
async def calls_in_a_circle(me):
    me.ctx.ready()
    async for call in me.ctx.mailbox:
        with trio.move_on_after(5):
            await me.home.child(me.sibling()).call("round")
        me.answer(call)


@misdeed
async def fills_its_own_mailbox(me):
    me.ctx.ready()
    for _ in range(10):
        with trio.move_on_after(1):
            await me.home.child(me.ctx.name).send("more")
    raise me.crash()


@misdeed
async def sends_to_the_dead(me):
    me.ctx.ready()
    for _ in range(10):
        await me.nap(1)
        try:
            me.home.child(me.sibling()).send_nowait("hello")
        except (SupervisionError, trio.WouldBlock):
            continue


@misdeed
async def dies_with_the_question_in_hand(me):
    me.ctx.ready()
    async for _ in me.ctx.mailbox:
        raise me.crash()


# ---------------------------------------------------------------------- commands and observers


@misdeed
async def commands_itself(me):
    me.ctx.ready()
    while True:
        await me.nap(4)
        await me.world.command(me.home, me.ctx.name)


@misdeed
async def commands_its_siblings(me):
    me.ctx.ready()
    while True:
        await me.nap(4)
        await me.world.command(me.home, me.sibling())


@misdeed
async def commands_its_parent(me):
    me.ctx.ready()
    await me.nap(6)
    await me.world.command(*me.world.somebody())


@misdeed
async def subscribes_a_failing_observer(me):
    ends = me.world.may_end and me.dice.random() < 0.1

    def observer(_event):
        raise me.told(OfItsOwn("observer")) if ends else OnPurposeError("observer")

    unsubscribe = me.ctx.system.subscribe(observer)
    try:
        me.ctx.ready()
        await me.nap(8)
    finally:
        unsubscribe()


@misdeed
async def commands_from_an_observer(me):
    """Gives a command in the middle of a transition."""
    left = 3

    def observer(_event):
        nonlocal left
        if left and me.dice.random() < 0.2:
            left -= 1
            me.world.command_soon(me.home, me.sibling())
            me.ctx.ready()

    unsubscribe = me.ctx.system.subscribe(observer)
    try:
        await me.nap(8)
    finally:
        unsubscribe()
