"""What must be so at the end of a story of strangers."""

from __future__ import annotations

import trio
from supervision_misdeeds import OfItsOwn, OnPurposeError

from supervisors import EscalationError, NotStoppedError, SupervisorDownError
from supervisors._core.exits import leaves
from supervisors._trio import call as calls


class Checks:
    """The part of ``supervision_stranger.Stranger`` that looks at the end."""

    def _check_way_out(self, error, way):
        self.out = type(error).__name__
        expected = (EscalationError, NotStoppedError, OnPurposeError, OfItsOwn, SystemExit)
        for part in [] if error is None else leaves(error):
            if not isinstance(part, expected) and not self.story.crashed_at_the_stop:
                self.fault(f"out came {part!r}, {way}")
        if error is None and self.story.crashed_at_the_stop and way != "cancelled":
            self.fault("children crashed when stopped, and nobody was told")
        if self.late and not self._somebody_hung():
            self.fault(f"the stop took longer than it may: {self.late}")

    def _somebody_hung(self):
        names = {type(event).__name__ for event in self.story.events}
        return bool(names & {"ChildAbandoned", "ChildStuck"})

    def _check_remains(self):
        self.story.end()
        if any(self.live.values()):
            self.fault(f"still live: {self.live}")
        todo = [trio.lowlevel.current_root_task()]
        while todo:
            task = todo.pop()
            todo.extend(t for nursery in task.child_nurseries for t in nursery.child_tasks)
            if task.name.startswith("root"):
                self.fault(f"a task is left: {task.name}")
        if calls.waiting:
            self.fault(f"calls are left: {calls.waiting}")
        if len(self.registry) or self.registry._keys:
            self.fault(f"keys are left: {list(self.registry)}")
        for path, home in self.homes:
            try:
                self.fault(f"{path} still runs: {home.tree()}")
            except SupervisorDownError:
                continue
        for life, error in self.told:
            told = self.story.judged.get(life)
            if told is None or not any(error is part for part in _all(told.error)):
                self.fault(f"{life}: {type(error).__name__} was lost: {told}")


def _all(error):
    """What is inside the error, and what was raised in place of something else."""
    while error is not None:
        yield from leaves(error)
        error = error.__context__
