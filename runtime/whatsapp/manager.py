"""The connections as the API sees them: create, list, restart, log out, delete.

The registry in the journal says which connections there are; the dynamic supervisor runs one actor
for each; ``LiveBook`` says how each is doing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import trio

from supervisors import ChildContext, ChildSpec, DynamicSupervisor, Restart, SupervisionError

from ..errors import Conflict, JournalUnavailable, NotFound
from ..identity import check_connection_id
from ..journal import Connection
from ..options import Options
from .connection import BACKOFF, CONFIGURE, LIVENESS, ConnectionActor
from .delivery import Delivery
from .disconnects import LOGGED_OUT, PHONE_CHANGED, QR_EXPIRED
from .intake import Intake
from .link import BridgeLink, LinkLost
from .live import Live, Status
from .phones import review_sharing
from .services import Services

logger = logging.getLogger("zapvisor.connections")

MAX_CONNECTIONS = 200
"""Connections on one node; more belong on another one."""
OBEY_DEADLINE = 5.0
"""Seconds that a change of options waits until it is in force. An actor that does not run, or dies
before it obeys, reads the options when it starts."""
LOGOUT_DEADLINE = 15.0
"""Seconds that a logout may take until it goes on without WhatsApp's confirmation."""

_LOGGED_OUT_REASON = "Desconectada a pedido. Reinicie a conexão para gerar um novo QR code."


class Connections:
    """All connections of this node."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.supervisor = DynamicSupervisor(max_children=MAX_CONNECTIONS, initial=self._remembered)
        self.waiting = False

    async def create(
        self,
        connection_id: str,
        *,
        name: str,
        owner_id: UUID,
        company_id: UUID | None,
        check_owner: Callable[[Connection], Awaitable[None]],
    ) -> Connection:
        """Register a connection and start it. Raises Invalid, or Conflict when it exists."""
        check_connection_id(connection_id)
        journal = self._services.journal
        if await journal.connection(connection_id) is not None:
            raise Conflict("Já existe uma conexão com este connectionId.", code="connection_exists")
        if len(await journal.connections()) >= MAX_CONNECTIONS:
            raise Conflict(
                "Esta instalação já tem o máximo de conexões.", code="too_many_connections"
            )
        connection = Connection(
            id=connection_id,
            name=name,
            owner_id=str(owner_id),
            company_id=str(company_id) if company_id is not None else None,
            created_at=datetime.now(UTC),
        )
        await check_owner(connection)
        await journal.register(connection)
        self._services.lives.forget(connection_id)
        await self._services.sessions.record(connection, self.live(connection_id))
        await self.supervisor.start_child(self._spec(connection_id))
        return connection

    async def all(self) -> list[Connection]:
        """Every registered connection."""
        return await self._services.journal.connections()

    async def get(self, connection_id: str) -> Connection:
        """One registered connection. Raises NotFound."""
        connection = await self._services.journal.connection(connection_id)
        if connection is None:
            raise NotFound("Conexão não encontrada.", code="connection_not_found")
        return connection

    def live(self, connection_id: str) -> Live:
        """How a connection is doing right now."""
        return self._services.lives[connection_id]

    async def change(
        self, connection_id: str, *, name: str | None, options: Mapping[str, Any] | None
    ) -> Connection:
        """Change the name or some options; what runs takes them up at once. Raises Invalid."""
        connection = await self.get(connection_id)
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = name
        if options is not None:
            changes["options"] = Options.of(connection).changed(options).stored()
        connection = await self._services.journal.update_connection(connection_id, **changes)
        await self._services.sessions.record(connection, self.live(connection_id))
        with trio.move_on_after(OBEY_DEADLINE), suppress(SupervisionError):
            await self.supervisor.child(connection_id).call(CONFIGURE)
        return connection

    async def restart(self, connection_id: str) -> None:
        """Start a connection anew; one that is parked gets another chance.

        One that is parked because another phone took its place goes on with that phone.
        """
        connection = await self.get(connection_id)
        await self._stop(connection_id)
        changes: dict[str, Any] = {"parked_code": None, "parked_reason": None}
        if connection.parked_code == PHONE_CHANGED:
            changes["phone_number"] = None
        await self._services.journal.update_connection(connection_id, **changes)
        self.live(connection_id).become(Status.CONNECTING)
        await self.supervisor.start_child(self._spec(connection_id))

    async def logout(self, connection_id: str) -> None:
        """Log out from WhatsApp, put the credentials aside, and wait for a restart."""
        connection = await self.get(connection_id)
        await self._stop(connection_id)
        await self._logout_from_whatsapp(connection)
        connection = await self._services.journal.update_connection(
            connection_id, parked_code=LOGGED_OUT, parked_reason=_LOGGED_OUT_REASON
        )
        live = self.live(connection_id)
        live.become(Status.DISCONNECTED, error=_LOGGED_OUT_REASON)
        await self._services.sessions.record(connection, live)
        await review_sharing(self._services, connection.phone_number)
        await self.supervisor.start_child(self._spec(connection_id))

    async def delete(self, connection_id: str) -> None:
        """Log out and forget a connection; its messages stay."""
        connection = await self.get(connection_id)
        await self._stop(connection_id)
        await self._logout_from_whatsapp(connection)
        live = self.live(connection_id)
        live.become(Status.DISCONNECTED)
        await self._services.sessions.record(connection, live)
        await self._services.journal.forget(connection_id)
        self._services.lives.forget(connection_id)
        await review_sharing(self._services, connection.phone_number)

    async def expire_parked(self) -> None:
        """End the messages that wait too long for a connection that nobody serves."""
        now = datetime.now(UTC)
        for connection in await self.all():
            if connection.parked_code is None or self.live(connection.id).link is not None:
                continue
            waiting = await self._services.journal.outgoing(connection.id, limit=1)
            if not waiting or waiting[0].expires_at > now:
                continue
            try:
                async with self._services.bridge.link(connection.id) as link:
                    await link.hello(0)
                    await Delivery(connection, link, self._services).expire()
            except* LinkLost:
                logger.info("expiry put off", extra={"connection": connection.id})

    async def _remembered(self) -> list[ChildSpec]:
        """None while the journal cannot say: the API must be there to tell why. See `catch_up`."""
        try:
            remembered = await self.all()
        except JournalUnavailable as error:
            logger.warning("connections wait for the journal", extra={"code": error.code})
            self.waiting = True
            return []
        self.waiting = False
        return [self._spec(connection.id) for connection in remembered]

    async def catch_up(self) -> None:
        """Start what could not be started without the journal. Raises JournalUnavailable."""
        if not self.waiting:
            return
        for connection in await self.all():
            with suppress(SupervisionError):  # created and started meanwhile
                await self.supervisor.start_child(self._spec(connection.id))
        self.waiting = False

    def _spec(self, connection_id: str) -> ChildSpec:
        async def run(ctx: ChildContext) -> None:
            connection = await self._services.journal.connection(connection_id)
            if connection is not None:
                await ConnectionActor(ctx, connection, self._services).run()

        return ChildSpec(
            connection_id,
            run,
            restart=Restart.TRANSIENT,
            backoff=BACKOFF,
            liveness=LIVENESS,
        )

    async def _stop(self, connection_id: str) -> None:
        if connection_id in self.supervisor.children():
            await self.supervisor.terminate_child(connection_id)
            await self.supervisor.delete_child(connection_id)

    async def _logout_from_whatsapp(self, connection: Connection) -> None:
        """Tell WhatsApp if it can be reached in time; the credentials are archived anyway.

        What the bridge still holds for us is taken in first, for it is archived with them.
        """
        async with self._services.bridge.link(connection.id) as link:
            welcome = await link.hello(0)
            intake = Intake(connection, link, self._services)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(intake.run)
                with trio.move_on_after(LOGOUT_DEADLINE):
                    if welcome.registered:
                        await link.send("open")
                        await _until_settled(link)
                    await intake.wait_taken(welcome.pendingEvents)
                nursery.cancel_scope.cancel()
            await link.request("logout")


async def _until_settled(link: BridgeLink) -> None:
    async for state in link.states:
        if state.state in ("open", "closed"):
            return


def parked(code: str, reason: str | None) -> Conflict:
    """The refusal to pair a connection that waits for a person, with what the person can do."""
    if code == QR_EXPIRED:
        return Conflict(reason or "", code="qr_expired")
    return Conflict(
        f"A conexão está parada. {reason or ''} Reinicie-a com POST …/restart.".replace("  ", " "),
        code="connection_parked",
        details={"statusCode": code, "statusReason": reason},
    )


def describe(connection: Connection, live: Live) -> dict[str, Any]:
    """A connection as ``GET /connections`` shows it."""
    warnings = live.warnings()
    warned = warnings[0]["message"] if warnings else None
    return {
        "id": connection.id,
        "name": connection.name,
        "isConnected": live.status is Status.CONNECTED,
        "status": live.status.value,
        "phoneNumber": connection.phone_number,
        "lastSeen": live.last_seen.isoformat() if live.last_seen else None,
        "ownerId": connection.owner_id,
        "companyId": connection.company_id,
        "statusCode": connection.parked_code,
        "statusReason": connection.parked_reason or live.last_error or warned,
        "warnings": warnings,
        "since": live.since.isoformat(),
        "options": Options.of(connection).shown(),
    }
