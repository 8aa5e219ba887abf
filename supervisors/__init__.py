"""Supervision and actors on trio, with the semantics of Erlang/OTP.

A program is a tree: supervisors start children in order, watch them, restart them by rule, and
give up to their own supervisor when restarting does not help. The documentation has a tutorial and
guides; the docstrings here are the specification.

Layout::

    events      the one table of events
    _core/      the decisions: plain synchronous code, no trio, no clock
        settings    Restart, Strategy, Backoff, Intensity, AutoShutdown, Stuck, the rules of a child
        delays      Delays: a backoff for what a child tries again itself
        errors      the one error tree; the verdicts Park and Escalate; Done
        exits, stacks    how an incarnation ended, how that is judged, where it was
        slot, timers, budget, actions    the parts of the board
        board, plan, judgement, machine    state and moves; order; consequences; events and commands
    _trio/      the shell: carries the decisions out
        spec        ChildSpec
        run, ticket, user   one run of one supervisor: its children, commands, user code
        base        the commands of a supervisor
        supervisor  Supervisor, DynamicSupervisor
        opened, root, overrun   open_supervisor, the handle that it gives, its last resort
        tasks, registry, partitions     work with results, keys, shares
        main, init  run_supervisor: signals, exit codes, process 1
        context     what a child is given
        mailbox, inbox, call, ref    actors
        tree, hang, leftovers, log      looking: pictures, stacks, logs
        pulse, sampler, systemd         is the process alive, and who holds it up?
        system      what a whole tree shares
    _process/   a program as a child
    testing     what tests of supervised programs need
"""

__version__ = "1.0.0"

from supervisors._core.delays import Delays as Delays
from supervisors._core.errors import CallCycleError as CallCycleError
from supervisors._core.errors import ChildDownError as ChildDownError
from supervisors._core.errors import ChildExistsError as ChildExistsError
from supervisors._core.errors import ChildStateError as ChildStateError
from supervisors._core.errors import Done as Done
from supervisors._core.errors import Escalate as Escalate
from supervisors._core.errors import EscalationError as EscalationError
from supervisors._core.errors import KeyTakenError as KeyTakenError
from supervisors._core.errors import LivenessError as LivenessError
from supervisors._core.errors import MailboxGoneError as MailboxGoneError
from supervisors._core.errors import NoSuchChildError as NoSuchChildError
from supervisors._core.errors import NotReadyError as NotReadyError
from supervisors._core.errors import NotStoppedError as NotStoppedError
from supervisors._core.errors import Park as Park
from supervisors._core.errors import StaleIncarnationError as StaleIncarnationError
from supervisors._core.errors import StartFailedError as StartFailedError
from supervisors._core.errors import StopError as StopError
from supervisors._core.errors import SupervisionError as SupervisionError
from supervisors._core.errors import SupervisorDownError as SupervisorDownError
from supervisors._core.errors import TooManyChildrenError as TooManyChildrenError
from supervisors._core.exits import Exit as Exit
from supervisors._core.exits import ExitKind as ExitKind
from supervisors._core.exits import Why as Why
from supervisors._core.settings import AutoShutdown as AutoShutdown
from supervisors._core.settings import Backoff as Backoff
from supervisors._core.settings import Intensity as Intensity
from supervisors._core.settings import Restart as Restart
from supervisors._core.settings import Strategy as Strategy
from supervisors._core.settings import Stuck as Stuck
from supervisors._core.slot import State as State
from supervisors._process.child import ProcessInfo as ProcessInfo
from supervisors._process.child import SubprocessChild as SubprocessChild
from supervisors._process.child import SubprocessError as SubprocessError
from supervisors._process.program import Program as Program
from supervisors._process.program import open_program as open_program
from supervisors._trio.call import Call as Call
from supervisors._trio.context import ChildContext as ChildContext
from supervisors._trio.inbox import Inbox as Inbox
from supervisors._trio.log import log_events as log_events
from supervisors._trio.main import run_supervisor as run_supervisor
from supervisors._trio.opened import open_supervisor as open_supervisor
from supervisors._trio.overrun import EXIT_STOP_OVERRUN as EXIT_STOP_OVERRUN
from supervisors._trio.overrun import hard_exit as hard_exit
from supervisors._trio.partitions import Partitions as Partitions
from supervisors._trio.pulse import Liveness as Liveness
from supervisors._trio.pulse import Pulse as Pulse
from supervisors._trio.ref import Exits as Exits
from supervisors._trio.ref import Ref as Ref
from supervisors._trio.registry import Registry as Registry
from supervisors._trio.root import Root as Root
from supervisors._trio.spec import ChildSpec as ChildSpec
from supervisors._trio.supervisor import DynamicSupervisor as DynamicSupervisor
from supervisors._trio.supervisor import Supervisor as Supervisor
from supervisors._trio.tasks import Task as Task
from supervisors._trio.tasks import TaskSupervisor as TaskSupervisor
from supervisors._trio.tree import MailboxStatistics as MailboxStatistics
from supervisors._trio.tree import Node as Node
from supervisors.events import ChildAbandoned as ChildAbandoned
from supervisors.events import ChildDone as ChildDone
from supervisors.events import ChildDraining as ChildDraining
from supervisors.events import ChildExited as ChildExited
from supervisors.events import ChildParked as ChildParked
from supervisors.events import ChildReady as ChildReady
from supervisors.events import ChildRemoved as ChildRemoved
from supervisors.events import ChildRestarting as ChildRestarting
from supervisors.events import ChildStarting as ChildStarting
from supervisors.events import ChildStopped as ChildStopped
from supervisors.events import ChildStopping as ChildStopping
from supervisors.events import ChildStuck as ChildStuck
from supervisors.events import ChildUnparked as ChildUnparked
from supervisors.events import ChildWaiting as ChildWaiting
from supervisors.events import Event as Event
from supervisors.events import LoopBlocked as LoopBlocked
from supervisors.events import MessagesDropped as MessagesDropped
from supervisors.events import SupervisorReady as SupervisorReady
from supervisors.events import SupervisorStopped as SupervisorStopped
from supervisors.events import SupervisorStopping as SupervisorStopping


def _give_names_their_home() -> None:
    """``supervisors.Park``, not ``supervisors._core.errors.Park``: what messages, pickles and pages
    show is where users import it from."""
    for name, value in tuple(globals().items()):
        home = getattr(value, "__module__", "")
        if not name.startswith("_") and home.startswith("supervisors._"):
            value.__module__ = __name__


_give_names_their_home()
