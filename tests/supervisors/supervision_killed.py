"""A supervised program to be killed: ``python supervision_killed.py STAGE empty|pipe``.

Says its stage on standard output when it is in it. The child's program is deaf to
signals. STAGE: spawning (said just before), starting (not ready yet), running, draining, stopping,
restarting.
"""

from __future__ import annotations

import sys

import trio

from supervisors import (
    Backoff,
    ChildDraining,
    ChildReady,
    ChildRestarting,
    ChildSpec,
    ChildStarting,
    ChildStopping,
    SubprocessChild,
    Supervisor,
    open_supervisor,
)

DEAF = 'trap "" TERM INT HUP; sleep 300 & echo up; while :; do sleep 300; done'
SAYS = {
    "spawning": ChildStarting,
    "starting": ChildStarting,
    "running": ChildReady,
    "draining": ChildDraining,
    "stopping": ChildStopping,
    "restarting": ChildRestarting,
}


async def main(stage, stdin):
    def on_line(_stream, _line):
        if stage == "starting":
            print(stage, flush=True)
        if stage == "restarting":
            raise RuntimeError("on purpose")

    def observe(event):
        if isinstance(event, SAYS[stage]) and stage != "starting":
            print(stage, flush=True)

    program = SubprocessChild(
        ["/bin/sh", "-c", DEAF],
        ready_line=lambda _line: stage not in ("starting", "spawning"),
        on_line=on_line,
        stop_grace=0.2 if stage == "restarting" else 1,
        stdin_eof_stops=stdin == "pipe",
    )
    spec = ChildSpec(
        "program", program, drain_deadline=60 if stage == "draining" else None, backoff=Backoff(1)
    )
    async with open_supervisor(Supervisor([spec]), observers=[observe], logger=None):
        if stage == "running":
            await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
