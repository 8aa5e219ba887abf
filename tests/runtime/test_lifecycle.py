"""Starting the core by command, and programs that end by themselves."""

from __future__ import annotations

from types import SimpleNamespace

import trio
import trio.testing

from runtime.lifecycle import Lifecycle
from runtime.local_stack import vigil
from runtime.tree import CORE
from runtime.whatsapp import bridge
from runtime.whatsapp.bridge import Bridge
from supervisors import ChildSpec, Supervisor, open_supervisor
from tests.child_context import Context


async def test_a_core_that_is_starting_is_waited_for_and_not_started_anew(autojump_clock):
    async def core(ctx):
        await trio.sleep(5)
        ctx.ready()
        await trio.sleep_forever()

    async with open_supervisor(Supervisor([ChildSpec(CORE, core)])) as root:
        report = SimpleNamespace(node=lambda path: root.tree().find(f"{root.path}/{path}"))
        app = SimpleNamespace(root=root, report=report)
        await root.terminate_child(CORE)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(Lifecycle._start, app)
        await Lifecycle._start(app)
        [node] = root.tree().children
        assert (node.state.value, node.incarnation) == ("running", 2)


async def test_a_server_that_ends_well_ends_its_child(autojump_clock):
    async def server(_ctx):
        await trio.sleep(10)

    async def ask():
        await trio.lowlevel.checkpoint()

    context = Context()
    with trio.fail_after(11):
        await vigil.serve(context, server, ask)
    assert context.beats


async def test_a_bridge_that_ends_well_ends_its_child(tmp_path, monkeypatch):
    async def program(ctx):
        ctx.ready()

    monkeypatch.setattr(bridge, "SubprocessChild", lambda *_args, **_options: program)
    parts = SimpleNamespace(node="node", bridge=tmp_path)
    one = Bridge(parts, tmp_path / "connections", tmp_path / "media")
    with trio.fail_after(10):
        await one.run(Context())
    assert one.facts is None
