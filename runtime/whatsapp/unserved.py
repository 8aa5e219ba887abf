"""What is asked of the bridge about a connection that no actor serves just then.

What the bridge holds for us is taken into the journal meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import trio

from ..errors import Conflict, NotFound, Unavailable, ZapvisorError
from ..journal import Connection
from ..options import Options
from .bridge import Bridge, BridgeHung
from .frames import Welcome
from .intake import Intake
from .link import BridgeLink, LinkLost, RequestFailed
from .services import Services

LOGOUT_DEADLINE = 15.0
"""Seconds that a logout may take until it goes on without WhatsApp's confirmation."""
EMPTY_DEADLINE = 10.0
"""Seconds that the events of a connection that ends may take into the journal."""
RELEASE_DEADLINE = 5.0
"""Seconds that the bridge may take to close the files of a connection that ended."""
POLL = 0.1


async def log_out(services: Services, connection: Connection, reason: str) -> bool:
    """Tell WhatsApp if it can be reached in time; the credentials are archived anyway.

    Returns whether the journal has everything that the bridge held.
    """
    async with _taking_in(services, connection) as (link, welcome, intake):
        with trio.move_on_after(LOGOUT_DEADLINE):
            if welcome.registered:
                options = Options.of(connection)
                addresses = await services.proxies.addresses(options)
                await link.send("open", options=options.bridge(addresses))
                await _until_settled(link)
            await intake.wait_taken(welcome.pendingEvents)
        await link.request("logout", reason=reason)
        with trio.move_on_after(EMPTY_DEADLINE):
            await _until_empty(services.bridge, connection.id)
            return True
    return False


async def bring_back(services: Services, connection: Connection, archive: str) -> None:
    """Put archived credentials in the place of the present ones."""
    async with _taking_in(services, connection) as (link, _, _):
        await link.request("restore", archive=archive)


async def until_released(bridge: Bridge, connection_id: str) -> None:
    """Wait until the bridge has closed the connection's files, or is not there."""
    with trio.move_on_after(RELEASE_DEADLINE), suppress(LinkLost, BridgeHung):
        while True:
            facts = await bridge.health()
            if not any(one.id == connection_id for one in facts.connections):
                return
            await trio.sleep(POLL)


@asynccontextmanager
async def _taking_in(
    services: Services, connection: Connection
) -> AsyncIterator[tuple[BridgeLink, Welcome, Intake]]:
    async with services.bridge.link(connection.id) as link:
        welcome = await link.hello(0)
        intake = Intake(connection, link, services)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(intake.run)
            yield link, welcome, intake
            nursery.cancel_scope.cancel()


async def _until_settled(link: BridgeLink) -> None:
    async for state in link.states:
        if state.state in ("open", "closed"):
            return


async def _until_empty(bridge: Bridge, connection_id: str) -> None:
    while True:
        facts = await bridge.health()
        if not any(one.id == connection_id and one.pending_events for one in facts.connections):
            return
        await trio.sleep(POLL)


def no_archive() -> NotFound:
    """There is nothing to restore."""
    return NotFound(
        "Não há credenciais arquivadas desta conexão para restaurar.", code="no_archive"
    )


_FAILED_THERE = (LinkLost, BridgeHung, RequestFailed)


@contextmanager
def needing_the_bridge() -> Iterator[None]:
    """What the bridge cannot do becomes what a client is told of it."""
    try:
        yield
    except (*_FAILED_THERE, ExceptionGroup) as error:
        failures = list(_leaves(error))
        if not all(isinstance(one, _FAILED_THERE) for one in failures):
            raise
        raise _refusal(failures) from error


def _refusal(failures: list[Exception]) -> ZapvisorError:
    codes = {one.code for one in failures if isinstance(one, RequestFailed)}
    if "no_archive" in codes:
        return no_archive()
    if "archive_unusable" in codes:
        return Conflict(
            "O arquivo de credenciais não pode ser lido; escolha outro.", code="archive_unusable"
        )
    return Unavailable(
        "A ligação com o WhatsApp está reiniciando.", code="not_ready", retry_after=5.0
    )


def _leaves(error: Exception) -> Iterator[Exception]:
    if not isinstance(error, ExceptionGroup):
        yield error
        return
    for one in error.exceptions:
        yield from _leaves(one)
