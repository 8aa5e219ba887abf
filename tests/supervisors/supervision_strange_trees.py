"""The random trees of the storm of strangers."""

from __future__ import annotations

from functools import partial

import trio
from supervision_misdeeds import OfItsOwn, OnPurposeError

from supervisors import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Escalate,
    Intensity,
    Park,
    Restart,
    Strategy,
    Stuck,
    Supervisor,
)


class Trees:
    """The part of ``supervision_stranger.Stranger`` that makes supervisors and specs."""

    def _spec(self, home, name):
        pick, chance = self.dice.choice, self.dice.random
        restart = pick([Restart.PERMANENT, Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY])
        backoff = pick([None, Backoff(0.2, 2, 2, reset_after=6), Backoff(3, 3, 1)])
        drain = pick([None, None, 0.5, 3])
        return ChildSpec(
            name,
            partial(self._child, home),
            restart=restart,
            backoff=None if restart is Restart.TEMPORARY else backoff,
            counts_intensity=None
            if backoff is None
            else pick([None, True, False])
            if restart is not Restart.TEMPORARY
            else None,
            ready_deadline=pick([None, 1, 4]),
            stop_deadline=pick([None, 1, 6]),
            drain_deadline=drain,
            drain_mailbox=drain is not None and chance() < 0.5,
            stuck=pick(list(Stuck)),
            liveness=pick([None, None, 2]),
            mailbox=pick([0, 1, 3]),
            significant=restart is not Restart.PERMANENT and self._ends(home) and chance() < 0.5,
            classify=pick([None, None, self._classify]),
        )

    @staticmethod
    def _ends(home):
        return home._policy.auto_shutdown is not AutoShutdown.NEVER

    def _classify(self, _error):
        verdict = self.dice.choice([None, None, Park("classified"), Escalate("c"), 7, OfItsOwn()])
        if isinstance(verdict, Escalate) and not self.may_escalate:
            return None
        if isinstance(verdict, OfItsOwn):
            raise verdict
        return verdict

    def _supervisor(self, path, depth):
        pick, chance = self.dice.choice, self.dice.random
        intensity = Intensity(pick([0, 3, 20, 200]), pick([0.5, 5, 20]))
        names = list("abcd"[: pick([0, 1, 2, 3, 4])])
        if path == "root" and chance() < 0.8:  # most stories are to last
            intensity, names = Intensity(500, 5), list("abcd")
        if chance() < 0.3:
            home = DynamicSupervisor(max_children=6, intensity=intensity, initial=lambda: first())
        else:
            auto = pick([*[AutoShutdown.NEVER] * 4, AutoShutdown.ANY_SIGNIFICANT])
            strategy = pick(list(Strategy))
            home = Supervisor([], strategy=strategy, intensity=intensity, auto_shutdown=auto)
        self.homes.append((path, home))
        self.names[id(home)] = [*names, "a", "x", "y"]
        specs = [self._member(home, path, name, depth) for name in names]

        async def first():
            await trio.sleep(pick([0, 0.5]))
            if chance() < 0.05:
                raise OnPurposeError("initial")
            return specs

        if isinstance(home, Supervisor):
            home._children = tuple(specs)  # whose specs know the home
        return home

    def _member(self, home, path, name, depth):
        if depth and self.dice.random() < 0.35:
            return self._nested(path, name, depth)
        return self._spec(home, name)

    def _nested(self, path, name, depth):
        inner = self._supervisor(f"{path}/{name}", depth - 1)
        pick = self.dice.choice
        restart = pick([Restart.PERMANENT, Restart.PERMANENT, Restart.TRANSIENT])

        async def hosts(ctx):
            await trio.sleep(pick([0, 0.3]))
            try:
                await inner(ctx)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(pick([0, 0.3]))
            if self.dice.random() < 0.1:
                raise OnPurposeError("the host itself")

        return ChildSpec(
            name,
            pick([inner, inner, hosts]),
            restart=restart,
            backoff=pick([None, Backoff(0.2, 2)]),
            drain_deadline=pick([None, None, 1]),
        )
