"""When something happened, by WhatsApp's clock, as far as that can be believed. Pure."""

from __future__ import annotations

FIRST_MOMENT = 1_230_768_000
"""2009 begins, and there is no WhatsApp yet."""
_AHEAD = 2 * 86_400
"""Seconds that our clock may be behind WhatsApp's: a day, with a wrong date set by hand."""


def plausible(seconds: object, arrived: float) -> int:
    """WhatsApp's time in seconds since the epoch; the time of arrival in place of what cannot be.

    What has no time (0), one of another unit (milliseconds) or one that is still to come would
    stand before or after everything else in its conversation for ever.
    """
    try:
        at = int(seconds) if isinstance(seconds, int | float | str) else 0
    except (ValueError, OverflowError):  # NaN and infinity among them
        at = 0
    return at if FIRST_MOMENT <= at <= arrived + _AHEAD else int(arrived)
