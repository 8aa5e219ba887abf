"""``run_supervisor``: every row of the table of exit codes, as real processes."""

from __future__ import annotations

import textwrap

import pytest
from supervision_mains import end, program

NURSERY = textwrap.dedent("""
    async def in_a_nursery(ctx):
        if ctx is not None: ctx.ready()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails)
            await trio.sleep_forever()
""")

ENDS = {
    "body returned": (0, "", "async def body(root): pass", 'Supervisor([ChildSpec("a", steady)])'),
    "auto_shutdown": (
        0,
        "",
        "body = None",
        """Supervisor([ChildSpec("a", ScriptedChild([ready, sleep(0.01)]), significant=True,
            restart=Restart.TRANSIENT)], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)""",
    ),
    "gave up": (
        1,
        "EscalationError: root gave up",
        "body = None",
        'Supervisor([ChildSpec("a", ScriptedChild([ready, crash(ValueError("why"))]))])',
    ),
    "body raised": (
        1,
        "KeyError: 'mine'",
        'async def body(root): raise KeyError("mine")',
        'Supervisor([ChildSpec("a", steady)])',
    ),
    "crashed while stopping": (
        1,
        "flush failed",
        textwrap.dedent("""
            async def body(root): pass
            async def flushes(ctx):
                ctx.ready()
                try: await trio.sleep_forever()
                finally: raise OSError("flush failed")
        """),
        'Supervisor([ChildSpec("a", flushes)])',
    ),
    "did not end in time": (
        70,
        "root/a",
        textwrap.dedent("""
            async def body(root): pass
        """),
        'Supervisor([ChildSpec("a", deaf, stop_deadline=0.1)])',
    ),
    "SystemExit": (
        7,
        "",
        "body = None",
        'Supervisor([ChildSpec("a", ScriptedChild([ready, crash(SystemExit(7))]))])',
    ),
    "SystemExit with text": (
        1,
        "so long",
        "body = None",
        'Supervisor([ChildSpec("a", ScriptedChild([ready, crash(SystemExit("so long"))]))])',
    ),
    "SystemExit of nothing": (
        0,
        "",
        "async def body(root): sys.exit()",
        'Supervisor([ChildSpec("a", steady)])',
    ),
    "SystemExit of a task of the child": (
        7,
        "",
        "body = None\nasync def fails(): sys.exit(7)\n" + NURSERY,
        'Supervisor([ChildSpec("a", in_a_nursery)])',
    ),
    "SystemExit of a task of the body": (
        7,
        "",
        "async def fails(): sys.exit(7)\nasync def body(root): await in_a_nursery(None)\n"
        + NURSERY,
        'Supervisor([ChildSpec("a", steady)])',
    ),
    "KeyboardInterrupt of a task of the child": (
        130,
        "",
        "body = None\nasync def fails(): raise KeyboardInterrupt\n" + NURSERY,
        'Supervisor([ChildSpec("a", in_a_nursery)])',
    ),
    "SystemExit of nothing beside a crash": (
        1,
        "KeyError: 'mine'",
        'async def body(root): raise BaseExceptionGroup("both", [SystemExit(), KeyError("mine")])',
        'Supervisor([ChildSpec("a", steady)])',
    ),
    "KeyboardInterrupt": (
        130,
        "",
        "body = None",
        'Supervisor([ChildSpec("a", ScriptedChild([ready, crash(KeyboardInterrupt())]))])',
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_exit_codes(name):
    expected, logged, before, tree = ENDS[name]
    with program(f"{before}\nsys.exit(run_supervisor({tree}, body=body))") as process:
        code, _, err = end(process)
    assert code == expected, err
    assert logged in err
    logs = expected == 1 and ("Exit" not in name or "beside" in name)
    assert err.count("root has ended") == logs


def test_one_that_ends_late_is_told_by_its_code():
    text = """
        async def slow(ctx):
            ctx.ready()
            with trio.CancelScope(shield=True):
                await trio.sleep(0.5)
        async def body(root): pass
        tree = Supervisor([ChildSpec("a", slow, stop_deadline=0.1)])
        sys.exit(run_supervisor(tree, body=body, overrun=None))
    """
    with program(text) as process:
        code, _, err = end(process)
    assert code == 70
    assert err.count("root has ended") == 1
    assert "root/a" in err
