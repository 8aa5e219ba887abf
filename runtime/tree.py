"""The supervision tree. There is no watchdog: liveness, restart and escalation live here."""

from __future__ import annotations

from supervisors import Backoff, ChildSpec, DynamicSupervisor, Intensity, Strategy, Supervisor

from .event_log import EventLog
from .janitor import Janitor
from .journal import Journal
from .local_stack import LocalStack
from .media.worker import MediaWorker
from .notifier import Notifier
from .robot import Robot
from .stopping import IN_HAND_SECONDS
from .storage import Probe, Writer
from .whatsapp.bridge import Bridge
from .whatsapp.manager import Connections

CORE = "core"
"""Name of the subtree between WhatsApp and Supabase, below the root."""
CONNECTIONS = f"{CORE}/whatsapp/connections"
"""Where the connections are, below the root; each is called by its id."""
SELF_TESTS = f"{CORE}/self_tests"
"""Where the self-test makes children crash, below the root."""
BUDGET = Intensity(max_restarts=3, window=300.0)
STEADY = Backoff(first=0.5, cap=30.0, reset_after=120.0)


def core_tree(
    *,
    local_stack: LocalStack | None,
    journal: Journal,
    event_log: EventLog,
    probe: Probe,
    writer: Writer,
    bridge: Bridge,
    connections: Connections,
    media: MediaWorker,
    robot: Robot,
    notifier: Notifier,
    janitor: Janitor,
    self_tests: DynamicSupervisor,
) -> Supervisor:
    """Everything between WhatsApp and Supabase: what ``/shutdown`` and ``/initialize`` mean."""
    storage = Supervisor(
        [
            ChildSpec("probe", probe.run, backoff=STEADY, liveness=60.0),
            ChildSpec(
                "writer",
                writer.run,
                backoff=STEADY,
                liveness=120.0,
                drain_deadline=IN_HAND_SECONDS,
            ),
        ],
        strategy=Strategy.REST_FOR_ONE,
    )
    whatsapp = Supervisor(
        [
            ChildSpec("bridge", bridge.run, backoff=STEADY, liveness=45.0, stop_deadline=10.0),
            ChildSpec("connections", connections.supervisor),
        ],
        strategy=Strategy.REST_FOR_ONE,
    )
    children = [
        ChildSpec("journal", journal.run, liveness=90.0, stop_deadline=15.0),
        ChildSpec("events", event_log.run, backoff=STEADY, liveness=60.0),
        ChildSpec("storage", storage),
        ChildSpec("whatsapp", whatsapp),
        ChildSpec(
            "media", media.run, backoff=STEADY, liveness=120.0, drain_deadline=IN_HAND_SECONDS
        ),
        ChildSpec("robot", robot.run, backoff=STEADY, liveness=180.0),
        ChildSpec(
            "notifier", notifier.run, backoff=STEADY, liveness=60.0, drain_deadline=IN_HAND_SECONDS
        ),
        ChildSpec("janitor", janitor.run, backoff=STEADY, liveness=300.0),
        ChildSpec("self_tests", self_tests),
    ]
    if local_stack is not None:
        children.insert(0, ChildSpec("local_stack", local_stack.supervisor(), backoff=STEADY))
    return Supervisor(children, strategy=Strategy.ONE_FOR_ONE, intensity=BUDGET)
