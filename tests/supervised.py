"""A part under a real supervisor, with the rules that it has in the product's tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import trio
import trio.testing

from runtime.local_stack import LocalStack
from runtime.tree import core_tree
from supervisors import ChildSpec, DynamicSupervisor, Supervisor, open_supervisor

_PARTS = ("journal", "event_log", "probe", "writer", "bridge", "media", "robot", "notifier")


async def never(_ctx) -> None:
    raise AssertionError("nothing is started here")


def part() -> SimpleNamespace:
    return SimpleNamespace(run=never)


def local_stack() -> Supervisor:
    """That of the product, of servers that are never started."""
    names = ("_postgres", "_prepare_schema", "_run_postgrest", "_run_gateway")
    return LocalStack.supervisor(SimpleNamespace(**dict.fromkeys(names, never)))


def product_tree(stack: Supervisor | None = None) -> Supervisor:
    """The core of the product's tree, of parts that are never started."""
    return core_tree(
        local_stack=SimpleNamespace(supervisor=lambda: stack or Supervisor([])),
        connections=SimpleNamespace(supervisor=DynamicSupervisor(max_children=1)),
        janitor=part(),
        self_tests=DynamicSupervisor(max_children=1),
        **{name: part() for name in _PARTS},
    )


def walk(supervisor: Supervisor, depth: int = 0) -> Iterator[tuple[int, ChildSpec]]:
    for spec in supervisor._children:
        yield depth, spec
        if isinstance(spec.run, Supervisor):
            yield from walk(spec.run, depth + 1)


@asynccontextmanager
async def supervised(name: str, run, **rules):
    """Run ``run`` as the product runs its part ``name``, but for ``rules``."""
    [spec] = [spec for _, spec in walk(product_tree()) if spec.name == name]
    async with open_supervisor(Supervisor([replace(spec, run=run, **rules)])) as root:
        yield Supervised(root, name)


class Supervised:
    """A child that can be stopped and started again."""

    def __init__(self, root, name: str) -> None:
        self._root = root
        self._name = name

    @property
    def state(self) -> str:
        return self._root.tree().children[0].state.value

    @asynccontextmanager
    async def stopping(self):
        """The stop begins; the block runs while the child drains, and afterwards it is over."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._root.terminate_child, self._name)
            await trio.testing.wait_all_tasks_blocked()
            assert self.state == "draining"
            yield
            with trio.fail_after(30):
                while self.state != "stopped":  # noqa: ASYNC110 - it has no event
                    await trio.sleep(0.01)

    async def stop(self) -> None:
        await self._root.terminate_child(self._name)

    async def start(self) -> None:
        await self._root.restart_child(self._name)
