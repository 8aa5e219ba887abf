"""systemd's notification protocol: datagrams to the socket that ``NOTIFY_SOCKET`` names."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Tells the service manager how we are; does nothing when there is none.

    ``watchdog``: seconds within which it wants a ping, None if it does not watch us.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        if address.startswith("@"):  # Linux's abstract namespace
            address = "\0" + address[1:]
        self._address = address
        self.watchdog: float | None = None
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.get("WATCHDOG_USEC", "")
        if address and for_us and microseconds.isdecimal() and int(microseconds) > 0:
            self.watchdog = int(microseconds) / 1e6

    def tell(self, state: str) -> None:
        """Sends one state such as ``READY=1``; never blocks, and a manager that is gone is none."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(state.encode(), self._address)
