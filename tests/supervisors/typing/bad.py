"""Slips; each marked line is an error for mypy and for pyright."""

from __future__ import annotations

from supervisors import Call, ChildContext, ChildSpec, Supervisor, TaskSupervisor


async def two(ctx: ChildContext, extra: int) -> None: ...


async def text(ctx: str) -> None: ...


def not_async(ctx: ChildContext) -> None: ...


async def counter(ctx: ChildContext[int | Call[str, int]]) -> None: ...


async def double(number: int) -> int:
    return 2 * number


ChildSpec("a", two)  # slip
ChildSpec("a", text)  # slip
ChildSpec("a", not_async)  # slip
spec = ChildSpec("a", counter)
tree = Supervisor([spec])


async def use() -> None:
    ref = tree.child(spec)
    await ref.send("text")  # slip
    ref.send_nowait(1.5)  # slip
    await ref.call(7)  # slip
    wrong: str = await ref.call("x")  # slip
    tasks = TaskSupervisor(max_children=1)
    await tasks.start(double, "four")  # slip
    also: str = await (await tasks.start(double, 4)).result()  # slip
    print(wrong, also)
