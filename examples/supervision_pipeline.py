"""A pipeline under supervision: ``PYTHONPATH=. python examples/supervision_pipeline.py``.

A store, a writer that needs the store, and a sensor that sends to the writer. The writer has a bug:
it crashes at the number 3. ``rest_for_one`` restarts the writer and everything after it, nothing
before it; the number that was being written is lost with its incarnation, those that waited in the
mailbox are not. The last line is the tree as it then stands.
"""

from __future__ import annotations

import trio

from supervisors import (
    ChildContext,
    ChildSpec,
    Event,
    Intensity,
    Node,
    Restart,
    Strategy,
    Supervisor,
    open_supervisor,
)


class Pipeline:
    """The three children, and what the store has got."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.complete = trio.Event()
        self.supervisor = Supervisor(
            [
                ChildSpec("store", self.store),
                ChildSpec("writer", self.writer, liveness=5, mailbox=10),
                ChildSpec("sensor", self.sensor, restart=Restart.TRANSIENT),
            ],
            strategy=Strategy.REST_FOR_ONE,
            intensity=Intensity(max_restarts=3, window=60),
        )
        self.next_number = 1

    async def store(self, ctx: ChildContext) -> None:
        ctx.ready()
        async for row in ctx.mailbox:
            self.rows.append(row)
            if row == 6:
                self.complete.set()

    async def writer(self, ctx: ChildContext) -> None:
        store = self.supervisor.child("store")
        ctx.ready()
        while True:
            ctx.beat()
            with trio.move_on_after(1):
                number = await ctx.mailbox.receive()
                if number == 3:
                    raise ValueError("I cannot write 3")
                await store.send(number)

    async def sensor(self, ctx: ChildContext) -> None:
        writer = self.supervisor.child("writer")
        ctx.ready()
        while self.next_number <= 6:
            number, self.next_number = self.next_number, self.next_number + 1
            await writer.send(number)
            await trio.sleep(0.01)


def show(event: Event) -> None:
    """An observer: logs, metrics and status pages are made in the same way."""
    print(f"{event.path:12} {type(event).__name__}")


def sketch(node: Node, depth: int = 0) -> str:
    line = f"{'  ' * depth}{node.name}: {node.state.value}, {node.restarts} restarts"
    return "\n".join([line, *(sketch(child, depth + 1) for child in node.children)])


async def main() -> None:
    pipeline = Pipeline()
    async with open_supervisor(pipeline.supervisor, observers=[show]) as root:
        with trio.fail_after(10):
            await pipeline.complete.wait()
        picture = sketch(root.tree())
    print("stored:", pipeline.rows)
    print(picture)


if __name__ == "__main__":
    trio.run(main)
