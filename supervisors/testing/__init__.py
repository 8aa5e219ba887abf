"""What tests of supervised programs need; this library's own tests use nothing else.

EventRecorder
    An observer that keeps events, waits for them and checks that they are a possible story.
ScriptedChild
    A ``run`` made of steps, one script per incarnation.
FixedJitter
    Backoff without chance: ``open_supervisor(..., rng=FixedJitter())``.
``supervisors.testing.fixtures``
    ``virtual_clock`` for pytest-trio: time that jumps ahead when everybody waits. Import it in
    ``conftest.py``. (It is apart because it needs pytest.)
"""

from supervisors.testing.jitter import FixedJitter as FixedJitter
from supervisors.testing.recorder import EventRecorder as EventRecorder
from supervisors.testing.recorder import IllegalStoryError as IllegalStoryError
from supervisors.testing.scripted import ScriptedChild as ScriptedChild
from supervisors.testing.scripted import Step as Step
from supervisors.testing.scripted import beat as beat
from supervisors.testing.scripted import beating as beating
from supervisors.testing.scripted import crash as crash
from supervisors.testing.scripted import forever as forever
from supervisors.testing.scripted import park as park
from supervisors.testing.scripted import ready as ready
from supervisors.testing.scripted import sleep as sleep
from supervisors.testing.scripted import stubborn as stubborn


def _give_names_their_home() -> None:
    """What users see is where they import it from."""
    for value in tuple(globals().values()):
        if getattr(value, "__module__", "").startswith("supervisors.testing."):
            value.__module__ = __name__


_give_names_their_home()
