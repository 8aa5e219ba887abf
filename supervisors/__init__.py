"""Supervision and actors on trio, with the semantics of Erlang/OTP.

A program is a tree: supervisors start children in order, watch them, restart them by rule, and
give up to their own supervisor when restarting does not help. docs/supervision.md tells the whole
story; the docstrings here are the specification.

Layout::

    _core/      the decisions: plain synchronous code, no trio, no clock
        settings    ChildSpec, Restart, Strategy, Backoff, Intensity, AutoShutdown
        delays      Delays: a backoff for what a child tries again itself
        errors      the one error tree; the verdicts Park and Escalate
        exits       how an incarnation ended, and how that is judged
        events      the one table of events
        slot, timers, budget, actions    the parts of the machine
        board -> plan -> judgement -> machine    moves, order, consequences, events and commands
    _trio/      the shell: carries the decisions out
        run         one run of one supervisor
        supervisor  Supervisor, DynamicSupervisor and their commands
        root        open_supervisor
        context     what a child is given
        mailbox, ref    actors
        tree, hang, log     looking: pictures, stacks, logs
        pulse, systemd      is the process alive?
        system      what a whole tree shares
    _process/   a program as a child
    testing     what tests of supervised programs need
"""

from supervisors._core.delays import Delays as Delays
from supervisors._core.errors import ChildDownError as ChildDownError
from supervisors._core.errors import ChildExistsError as ChildExistsError
from supervisors._core.errors import ChildStateError as ChildStateError
from supervisors._core.errors import Escalate as Escalate
from supervisors._core.errors import EscalationError as EscalationError
from supervisors._core.errors import LivenessError as LivenessError
from supervisors._core.errors import MailboxGoneError as MailboxGoneError
from supervisors._core.errors import NoSuchChildError as NoSuchChildError
from supervisors._core.errors import NotReadyError as NotReadyError
from supervisors._core.errors import Park as Park
from supervisors._core.errors import StaleIncarnationError as StaleIncarnationError
from supervisors._core.errors import StartFailedError as StartFailedError
from supervisors._core.errors import SupervisionError as SupervisionError
from supervisors._core.errors import SupervisorDownError as SupervisorDownError
from supervisors._core.errors import TooManyChildrenError as TooManyChildrenError
from supervisors._core.events import ChildAbandoned as ChildAbandoned
from supervisors._core.events import ChildDone as ChildDone
from supervisors._core.events import ChildExited as ChildExited
from supervisors._core.events import ChildParked as ChildParked
from supervisors._core.events import ChildReady as ChildReady
from supervisors._core.events import ChildRemoved as ChildRemoved
from supervisors._core.events import ChildRestarting as ChildRestarting
from supervisors._core.events import ChildStarting as ChildStarting
from supervisors._core.events import ChildStopped as ChildStopped
from supervisors._core.events import ChildStopping as ChildStopping
from supervisors._core.events import ChildUnparked as ChildUnparked
from supervisors._core.events import ChildWaiting as ChildWaiting
from supervisors._core.events import Event as Event
from supervisors._core.events import SupervisorReady as SupervisorReady
from supervisors._core.events import SupervisorStopped as SupervisorStopped
from supervisors._core.events import SupervisorStopping as SupervisorStopping
from supervisors._core.exits import Exit as Exit
from supervisors._core.exits import ExitKind as ExitKind
from supervisors._core.exits import Why as Why
from supervisors._core.settings import AutoShutdown as AutoShutdown
from supervisors._core.settings import Backoff as Backoff
from supervisors._core.settings import ChildSpec as ChildSpec
from supervisors._core.settings import Intensity as Intensity
from supervisors._core.settings import Restart as Restart
from supervisors._core.settings import Strategy as Strategy
from supervisors._core.slot import State as State
from supervisors._process.child import ProcessInfo as ProcessInfo
from supervisors._process.child import SubprocessChild as SubprocessChild
from supervisors._process.child import SubprocessError as SubprocessError
from supervisors._process.program import Program as Program
from supervisors._process.program import open_program as open_program
from supervisors._trio.context import ChildContext as ChildContext
from supervisors._trio.log import log_events as log_events
from supervisors._trio.mailbox import Call as Call
from supervisors._trio.mailbox import Inbox as Inbox
from supervisors._trio.pulse import Liveness as Liveness
from supervisors._trio.pulse import Pulse as Pulse
from supervisors._trio.ref import Ref as Ref
from supervisors._trio.root import EXIT_STOP_OVERRUN as EXIT_STOP_OVERRUN
from supervisors._trio.root import Root as Root
from supervisors._trio.root import open_supervisor as open_supervisor
from supervisors._trio.supervisor import DynamicSupervisor as DynamicSupervisor
from supervisors._trio.supervisor import Supervisor as Supervisor
from supervisors._trio.tree import MailboxStatistics as MailboxStatistics
from supervisors._trio.tree import Node as Node
