"""What users write; clean under mypy and pyright in their strict modes."""

from __future__ import annotations

from typing import assert_type

import trio

from supervisors import (
    Backoff,
    Call,
    ChildContext,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Partitions,
    Ref,
    Registry,
    Supervisor,
    TaskSupervisor,
    open_program,
    open_supervisor,
    run_supervisor,
)


async def plain(ctx: ChildContext) -> None:
    ctx.ready()
    await trio.sleep_forever()


async def counter(ctx: ChildContext[int | Call[str, int]]) -> None:
    total = 0
    ctx.ready()
    async for message in ctx.mailbox:
        if isinstance(message, Call):
            message.reply(total)
        else:
            total += message


spec = ChildSpec("counter", counter, backoff=Backoff())
tree = Supervisor([spec, ChildSpec("plain", plain), ChildSpec("inner", Supervisor([]))])


async def double(number: int) -> int:
    return 2 * number


async def use() -> None:
    async with open_supervisor(tree) as root:
        ref = tree.child(spec)
        await ref.send(3)
        ref.send_nowait(4)
        assert_type(await ref.call("how much?"), int)
        assert_type(await ref.wait_exit(), Exit)
        with ref.monitor() as exits:
            async for end in exits:
                assert_type(end, Exit)
        await root.find("counter").send("anything: its type is not known here")
        pool = DynamicSupervisor(max_children=2)
        started = await pool.start_child(spec)
        assert_type(await started.call("x"), int)
        tasks = TaskSupervisor(max_children=3)
        assert_type(await (await tasks.start(double, 4)).result(), int)
        parts = Partitions(lambda _index: DynamicSupervisor(max_children=9), 4)
        assert_type(parts.of("key"), DynamicSupervisor)
        registry: Registry[str] = Registry()
        assert_type(registry.find("key"), Ref)
        async with open_program(["cat"]) as program:
            await program.wait()


code: int = run_supervisor(tree)
