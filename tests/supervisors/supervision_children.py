"""Children that several tests need."""

from __future__ import annotations

import trio

from supervisors import ChildSpec
from supervisors.testing import ScriptedChild


def worker(name, *scripts, **options):
    """A child that does what its scripts say."""
    return ChildSpec(name, ScriptedChild(*scripts), **options)


def slow_to_stop(seconds):
    """A ``run`` that takes so long to end when it is cancelled."""

    async def run(ctx):
        ctx.ready()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(seconds)

    return run
