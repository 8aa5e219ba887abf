"""The connections as the API sees them: create, list, restart, log out, delete.

The registry in the journal says which connections there are; the dynamic supervisor runs one actor
for each; ``LiveBook`` says how each is doing.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import trio

from supervisors import ChildContext, ChildSpec, DynamicSupervisor, Restart, SupervisionError

from ..errors import Conflict, JournalUnavailable, NotFound, Unavailable
from ..identity import check_connection_id
from ..journal import Connection
from ..options import Options
from ..stopping import IN_HAND_SECONDS
from .connection import BACKOFF, CONFIGURE, LIVENESS, ConnectionActor
from .credential_files import Archive
from .delivery import Delivery
from .disconnects import DELETED, LOGGED_OUT, PHONE_CHANGED, QR_EXPIRED
from .link import LinkLost
from .live import Live, Status
from .phones import review_sharing
from .services import Services
from .unserved import bring_back, log_out, needing_the_bridge, no_archive, until_released

logger = logging.getLogger("zapvisor.connections")

MAX_CONNECTIONS = 200
"""Connections on one node; more belong on another one."""
OBEY_DEADLINE = 5.0
"""Seconds that a change of options waits until it is in force. An actor that does not run, or dies
before it obeys, reads the options when it starts."""
_LOGGED_OUT_REASON = "Desconectada a pedido. Reinicie a conexão para gerar um novo QR code."


class Connections:
    """All connections of this node."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.supervisor = DynamicSupervisor(max_children=MAX_CONNECTIONS, initial=self._remembered)
        self.waiting = False
        self._erasing = trio.Lock()
        self._creating = trio.Lock()
        self._in_hand: set[str] = set()

    async def create(
        self,
        connection_id: str,
        *,
        name: str,
        owner_id: UUID,
        company_id: UUID | None,
        check_owner: Callable[[Connection], Awaitable[None]],
        most: int | None = None,
    ) -> Connection:
        """Register a connection and start it; ``most`` bounds how many the owner may have.

        Raises Invalid, or Conflict when it exists or there are too many.
        """
        check_connection_id(connection_id)
        async with self._creating:  # one at a time, so that they can be counted
            return await self._create(
                connection_id, name, str(owner_id), company_id, check_owner, most
            )

    async def _create(
        self,
        connection_id: str,
        name: str,
        owner_id: str,
        company_id: UUID | None,
        check_owner: Callable[[Connection], Awaitable[None]],
        most: int | None,
    ) -> Connection:
        journal = self._services.journal
        before = await journal.connection(connection_id)
        if before is not None and not (_is_deleted(before) and await self._erase(before)):
            raise Conflict("Já existe uma conexão com este connectionId.", code="connection_exists")
        if len(await journal.connections()) >= MAX_CONNECTIONS:
            raise Conflict(
                "Esta instalação já tem o máximo de conexões.", code="too_many_connections"
            )
        owned = sum(one.owner_id == owner_id for one in await self.all())
        if most is not None and owned >= most:
            raise Conflict(
                f"Este dono já tem {owned} conexões; o máximo é {most}.",
                code="quota_connections",
                details={"max": most},
            )
        connection = Connection(
            id=connection_id,
            name=name,
            owner_id=owner_id,
            company_id=str(company_id) if company_id is not None else None,
            created_at=datetime.now(UTC),
        )
        await check_owner(connection)
        async with self._handled(connection_id):
            await journal.register(connection)
            self._services.lives.forget(connection_id)
            await self._services.sessions.record(connection, self.live(connection_id))
        return connection

    async def all(self) -> list[Connection]:
        """Every registered connection."""
        registered = await self._services.journal.connections()
        return [one for one in registered if not _is_deleted(one)]

    async def get(self, connection_id: str) -> Connection:
        """One registered connection. Raises NotFound."""
        connection = await self._services.journal.connection(connection_id)
        if connection is None or _is_deleted(connection):
            raise NotFound("Conexão não encontrada.", code="connection_not_found")
        return connection

    def live(self, connection_id: str) -> Live:
        """How a connection is doing right now."""
        return self._services.lives[connection_id]

    async def change(
        self,
        connection_id: str,
        *,
        name: str | None,
        options: Mapping[str, Any] | None,
        by_admin: bool,
    ) -> Connection:
        """Change the name or some options; what runs takes them up at once. Raises Invalid."""
        connection = await self.get(connection_id)
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = name
        if options is not None:
            changed = Options.of(connection).changed(options, by_admin=by_admin)
            if "proxy" in options:
                await self._services.proxies.check(changed)
            changes["options"] = changed.stored()
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
        changes: dict[str, Any] = {"parked_code": None, "parked_reason": None}
        if connection.parked_code == PHONE_CHANGED:
            changes["phone_number"] = None
        async with self._handled(connection_id):
            await self._services.journal.update_connection(connection_id, **changes)
            self.live(connection_id).become(Status.CONNECTING)

    async def logout(self, connection_id: str) -> None:
        """Log out from WhatsApp, put the credentials aside, and wait for a restart.

        Raises Unavailable while the bridge is not there.
        """
        connection = await self.get(connection_id)
        async with self._handled(connection_id):
            with needing_the_bridge():
                await log_out(self._services, connection, LOGGED_OUT)
            connection = await self._services.journal.update_connection(
                connection_id, parked_code=LOGGED_OUT, parked_reason=_LOGGED_OUT_REASON
            )
            live = self.live(connection_id)
            live.become(Status.DISCONNECTED, error=_LOGGED_OUT_REASON)
            await self._services.sessions.record(connection, live)
            await review_sharing(self._services, connection.phone_number)

    async def archives(self, connection_id: str) -> list[Archive]:
        """The credentials of a connection that were put aside, the newest first."""
        connection = await self.get(connection_id)
        return await trio.to_thread.run_sync(
            self._services.files.archives, connection.id, connection.created_at
        )

    async def restore(self, connection_id: str, archive_id: str | None) -> Archive:
        """Put archived credentials back in use, the newest by default, and start with them.

        The present ones are archived in their turn. Raises Conflict, NotFound, Unavailable.
        """
        connection = await self.get(connection_id)
        if self.live(connection_id).status is Status.CONNECTED:
            raise Conflict(
                "Esta conexão está conectada; não há o que restaurar.", code="already_connected"
            )
        found = await self.archives(connection_id)
        archive = next((one for one in found if archive_id in (None, one.id)), None)
        if archive is None:
            raise no_archive()
        async with self._handled(connection_id):
            with needing_the_bridge():
                await bring_back(self._services, connection, archive.id)
            await self._services.journal.update_connection(
                connection_id, parked_code=None, parked_reason=None
            )
            self.live(connection_id).become(Status.CONNECTING)
        logger.info("archive restored", extra={"connection": connection_id})
        return archive

    async def delete(self, connection_id: str) -> None:
        """Log out and forget a connection with its credentials; its messages stay.

        From the first step on it does not exist to anybody. What is left to do when the bridge is
        not there, or after a crash, is done by `finish_deletions`.
        """
        await self.get(connection_id)
        with self._handling(connection_id):
            await self._stop(connection_id)
            connection = await self._services.journal.update_connection(
                connection_id, parked_code=DELETED, parked_reason=None
            )
        live = self.live(connection_id)
        live.become(Status.DISCONNECTED)
        await self._services.sessions.record(connection, live)
        await review_sharing(self._services, connection.phone_number)
        await self._erase(connection)

    async def finish_deletions(self) -> None:
        """Go on with what `delete` could not finish."""
        for connection in await self._services.journal.connections():
            if _is_deleted(connection):
                await self._erase(connection)

    async def _erase(self, connection: Connection) -> bool:
        """Drop credentials and registration, once the journal has all that they hold for it."""
        files, journal = self._services.files, self._services.journal
        async with self._erasing:
            if await journal.connection(connection.id) is None:
                return True
            try:
                with needing_the_bridge():
                    emptied = await log_out(self._services, connection, DELETED)
            except Unavailable:
                emptied = not await trio.to_thread.run_sync(files.holds_events, connection.id)
            if not emptied:
                logger.info("deletion put off", extra={"connection": connection.id})
                return False
            await until_released(self._services.bridge, connection.id)
            await trio.to_thread.run_sync(files.delete, connection.id)
            await journal.forget(connection.id)
            self._services.lives.forget(connection.id)
            return True

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
        """Start what ought to run and does not. Raises JournalUnavailable."""
        for connection in await self.all():
            with suppress(SupervisionError):  # not now, or started meanwhile
                if connection.id not in self._in_hand.union(self.supervisor.children()):
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
            drain_deadline=IN_HAND_SECONDS,
        )

    async def _stop(self, connection_id: str) -> None:
        if connection_id in self.supervisor.children():
            await self.supervisor.terminate_child(connection_id)
            await self.supervisor.delete_child(connection_id)

    @asynccontextmanager
    async def _handled(self, connection_id: str) -> AsyncIterator[None]:
        """No actor has the connection while the block runs; however it ends, one has it again.

        If that cannot start now (the bridge is away), `catch_up` starts it.
        """
        with self._handling(connection_id):
            await self._stop(connection_id)
            try:
                yield
            finally:
                with trio.CancelScope(shield=True), suppress(SupervisionError):
                    await self.supervisor.start_child(self._spec(connection_id))

    @contextmanager
    def _handling(self, connection_id: str) -> Iterator[None]:
        self._in_hand.add(connection_id)
        try:
            yield
        finally:
            self._in_hand.discard(connection_id)


def _is_deleted(connection: Connection) -> bool:
    return connection.parked_code == DELETED


def parked(code: str, reason: str | None) -> Conflict:
    """The refusal to pair a connection that waits for a person, with what the person can do."""
    if code == QR_EXPIRED:
        return Conflict(reason or "", code="qr_expired")
    return Conflict(
        f"A conexão está parada. {reason or ''} Reinicie-a com POST …/restart.".replace("  ", " "),
        code="connection_parked",
        details={"statusCode": code, "statusReason": reason},
    )


def describe(connection: Connection, live: Live, *, closely: bool = False) -> dict[str, Any]:
    """A connection as ``GET /connections`` shows it; ``closely``: as the operator may know it."""
    trouble = live.trouble
    reason = trouble.detail if closely and trouble is not None and trouble.detail else None
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
        "statusReason": connection.parked_reason or reason or live.last_error or warned,
        "unavailableCode": trouble.code if trouble is not None else None,
        "warnings": warnings,
        "since": live.since.isoformat(),
        "options": Options.of(connection).shown(),
    }
