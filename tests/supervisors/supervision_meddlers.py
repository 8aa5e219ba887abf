"""Misdeeds that concern others: tasks, contexts, calls, commands and observers."""

from __future__ import annotations

import trio
from supervision_misdeeds import OfItsOwn, OnPurposeError, misdeed

from supervisors import KeyTakenError, StaleIncarnationError, SupervisionError

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


@misdeed
async def fights_for_a_key(me):
    registry = me.world.registry
    me.ctx.ready()
    for _ in range(5):
        key = me.dice.choice("kl")
        try:
            registry.register(key, me.ctx)
        except KeyTakenError:
            with trio.move_on_after(1):
                await (await registry.wait(key)).call("yours?")
        await me.nap(2)
        if me.dice.random() < 0.5:
            registry.unregister(key, me.ctx)
    raise me.crash()
