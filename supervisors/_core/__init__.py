"""The decision core: plain synchronous code, no trio, no clock and no randomness of its own.

Everything that decides (who starts, stops, restarts, parks, when, and when to give up) is here and
is a function of state, event, ``now`` and ``rng``. The trio shell only carries the decisions out.
"""
