"""Running the product in this process: what ``up`` and ``demo`` have in common."""

from __future__ import annotations

import errno
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from runtime.app import Application
from runtime.errors import ZapvisorError
from runtime.journal import DataDirectoryLock
from runtime.launch import running
from runtime.logs import logging_to
from runtime.node_parts import NodeParts
from runtime.settings import Settings
from supervisors import (
    ChildSpec,
    Escalate,
    EscalationError,
    Park,
    StartFailedError,
    StopError,
    SupervisionError,
)

from ..limits import Limits
from ..server import Server
from .terminal import Problem, say

# Beyond the time that running requests have to finish.
STOP_MARGIN = 5.0

Main = Callable[[Application, str], Awaitable[None]]


def serve(
    settings: Settings,
    parts: NodeParts,
    main: Main,
    *,
    logs: Path,
    console_level: int = logging.INFO,
) -> None:
    """Run the tree until ``main(application, url)`` returns or a signal comes; then stop in order.

    Args:
        main: called once the API listens at ``url``; cancelled when it is time to stop.
        logs: the directory for ``logs/`` and ``server.log``.

    Raises Problem for what an operator can mend.
    """
    _check_address(settings)
    with (
        _expected_failures(logs),
        DataDirectoryLock(settings.data_dir.resolve()),
        logging_to(logs, console_level=console_level),
    ):
        trio.run(_serve, settings, parts, main)


async def _serve(settings: Settings, parts: NodeParts, main: Main) -> None:
    servers: list[Server] = []

    def http(application: Application) -> ChildSpec:
        server = Server(application, settings)
        servers.append(server)
        return ChildSpec(
            "http",
            server.run,
            stop_deadline=Limits().graceful_seconds + STOP_MARGIN,
            classify=_cannot_be_cured,
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop_on_signal, nursery.cancel_scope)
        async with running(settings, parts, http) as application:
            host, port = servers[-1].address
            await main(application, f"http://{host}:{port}")
        nursery.cancel_scope.cancel()


async def _stop_on_signal(scope: trio.CancelScope) -> None:
    """The first signal stops in order; after that the signals have their usual effect again."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(signals)
    say("stopping in order")
    scope.cancel()


def _cannot_be_cured(error: BaseException) -> Escalate | None:
    """An address or a key file that is not usable stays so: no use in starting the API again."""
    if isinstance(error, ZapvisorError):
        return Escalate(error.message, error.code)
    return None


def _check_address(settings: Settings) -> None:
    """Tell of a port in use before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Problem(
                    f"{settings.host}:{settings.port} is in use by another program; "
                    "stop that one, or set PORT"
                ) from None


@contextmanager
def _expected_failures(logs: Path) -> Iterator[None]:
    """Turn what an operator can mend into a Problem; everything else is a defect and stays."""
    try:
        yield
    except (ZapvisorError, SupervisionError, ExceptionGroup) as error:
        for cause in _causes(error):
            if isinstance(cause, (Problem, ZapvisorError)):
                raise Problem(getattr(cause, "message", str(cause))) from None
        for cause in _causes(error):
            if isinstance(cause, Escalate | Park):
                raise Problem(f"{cause.reason} ({cause.code})") from None
        for cause in _causes(error):
            if isinstance(cause, StopError):
                raise Problem(
                    f"a part failed while it was stopped; why is in {logs / 'logs' / 'error.log'}"
                ) from None
            if isinstance(cause, SupervisionError):
                part = cause.path if isinstance(cause, EscalationError | StartFailedError) else ""
                raise Problem(
                    f"{part or 'a part'} gave up; why is in {logs / 'logs' / 'error.log'}"
                ) from None
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what is in it when it is a group, and what caused it, outermost first."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member)
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)
