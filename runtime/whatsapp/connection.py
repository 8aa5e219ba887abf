"""The actor of one WhatsApp number: keeps it connected, brings its messages in, takes ours out.

Three tasks share one link to the bridge:

- *steer* (here) opens the socket, follows its state and decides what to do when it closes;
- *intake* moves events from the bridge into the journal, and only then acknowledges them;
- *delivery* hands queued commands to the bridge.

A lost connection is expected and handled here. A bug, or the bridge going away, ends the actor;
its supervisor starts the next incarnation, and the bridge replays what was not acknowledged.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import trio

from supervisors import Backoff, ChildContext, Delays, Park

from ..events import EventName
from ..journal import Connection
from ..logs import correlated
from ..options import Options
from ..stopping import Waits, waits_of
from . import frames
from .delivery import Delivery
from .disconnects import QUIET, DisconnectPolicy, GiveUp
from .intake import Intake
from .link import BridgeLink, LinkLost, RequestFailed
from .live import Status
from .phones import another_phone, review_sharing
from .services import Services
from .ways import Trouble

logger = logging.getLogger("zapvisor.connection")

BACKOFF = Backoff(first=1.0, cap=60.0, reset_after=300.0)
SLOW_PACE = 60.0
"""Least seconds before a connection is taken back from another session."""
PROBE_INTERVAL = 45.0
"""Seconds without a change after which an open connection is asked for a sign of life."""
CONFIGURE = "configure"
"""What an actor is called with when the options of its connection have changed."""
LIVENESS = 180.0
"""Seconds without a beat after which the actor counts as hung."""

_LOST = 408


class ConnectionActor:
    """One incarnation of one connection. Everything durable is in the journal."""

    def __init__(self, ctx: ChildContext, connection: Connection, services: Services) -> None:
        self._ctx = ctx
        self._connection = connection
        self._services = services
        self._live = services.lives[connection.id]
        self._policy = DisconnectPolicy()
        self._following = False

    async def run(self) -> None:
        """Serve the connection until it must be given up; then raise Park with the reason.

        Told to stop, it returns once WhatsApp has acknowledged what was handed to it.
        """
        with correlated(connection=self._connection.id, incarnation=self._ctx.incarnation):
            await self._serve()

    async def _serve(self) -> None:
        connection = self._connection
        if connection.parked_code is not None:
            reason = connection.parked_reason or ""
            self._live.become(_parked_status(connection.parked_code), error=reason)
            raise Park(reason, code=connection.parked_code)
        self._live.become(Status.CONNECTING)
        async with self._services.bridge.link(connection.id) as link:
            welcome = await link.hello(self._ctx.incarnation)
            self._live.paired = welcome.registered
            self._ctx.ready()
            intake = Intake(connection, link, self._services)
            delivery = Delivery(connection, link, self._services)
            verdict: GiveUp | None = None
            async with waits_of(self._ctx) as waits:
                with self._live.linked(link):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(intake.run)
                        nursery.start_soon(_deliver, delivery, waits, nursery.cancel_scope)
                        nursery.start_soon(self._obey, link, intake, delivery)
                        nursery.start_soon(self._tell_presences, link)
                        verdict = await self._steer(link)
                        nursery.cancel_scope.cancel(reason="the connection is given up")
            if verdict is None:
                return
            await self._give_up(link, verdict)
        raise Park(verdict.reason, code=verdict.code)

    async def _steer(self, link: BridgeLink) -> GiveUp:
        delays = Delays(BACKOFF)
        while True:
            await self._open(link)
            self._following = True
            closed, open_for = await self._follow(link)
            self._following = False
            if isinstance(closed, GiveUp):
                return closed
            if open_for >= BACKOFF.reset_after:
                delays.reset()
            code = closed.code if closed.code is not None else _LOST
            self._live.disconnects += 1
            self._services.lives.disconnects[code] += 1
            decision = self._policy.decide(code, cause=closed.cause, now=trio.current_time())
            logger.info(
                "closed", extra={"code": code, "cause": closed.cause, "reason": closed.reason}
            )
            if isinstance(decision, GiveUp):
                return decision
            if decision.pace == "now":
                # So soon after a pairing: it has credentials, though it never was connected.
                self._live.paired = True
                await self._report(Status.CONNECTING)
                continue
            await self._report(Status.DISCONNECTED, decision.trouble)
            delay = delays.next()
            with self._ctx.idle():
                await trio.sleep(max(delay, SLOW_PACE) if decision.pace == "slow" else delay)
            await self._report(Status.CONNECTING)

    async def _open(self, link: BridgeLink) -> None:
        await link.send("open", options=await self._bridge_options())

    async def _bridge_options(self) -> dict[str, Any]:
        """Without an address for its proxy the bridge opens nothing, and says so."""
        options = Options.of(self._connection)
        return options.bridge(await self._services.proxies.addresses(options))

    async def _obey(self, link: BridgeLink, intake: Intake, delivery: Delivery) -> None:
        """Answer ``CONFIGURE``: apply the options of the moment to what runs.

        Only another proxy takes another socket.
        """
        async for call in self._ctx.mailbox:
            changed = await self._services.journal.connection(self._connection.id)
            if changed is not None:
                before, after = Options.of(self._connection), Options.of(changed)
                self._connection = intake.connection = delivery.connection = changed
                await link.send("configure", options=await self._bridge_options())
                with suppress(RequestFailed):
                    # An answer says that the frame before was read, too.
                    await link.request("sent", messageId="0")
                if after.proxy != before.proxy and self._following:
                    await self._open(link)
            call.reply()

    async def _tell_presences(self, link: BridgeLink) -> None:
        async for presence in link.presences:
            self._publish(
                EventName.PRESENCE,
                {
                    "from": presence.phone or presence.jid,
                    "participant": presence.participant,
                    "state": presence.state,
                    "lastSeen": presence.lastSeen,
                },
            )

    async def _follow(self, link: BridgeLink) -> tuple[frames.State | GiveUp, float]:
        """Follow one socket to its close, or until it must not be followed any longer; also returns
        for how many seconds it was open."""
        opened_at: float | None = None
        while True:
            self._ctx.beat()
            state: frames.State | None = None
            with trio.move_on_after(PROBE_INTERVAL):
                state = await self._next_state(link)
            if state is None:
                if opened_at is None or await self._alive(link):
                    continue
                state = _silent(self._ctx.incarnation)
            match state.state:
                case "qr":
                    await self._show_qr(state)
                case "open":
                    opened_at = trio.current_time()
                    self._policy.connected()
                    if (verdict := await self._opened(state)) is not None:
                        return verdict, 0.0
                case "closed":
                    now = trio.current_time()
                    return state, now - opened_at if opened_at is not None else 0.0

    async def _next_state(self, link: BridgeLink) -> frames.State:
        try:
            return await link.states.receive()
        except trio.EndOfChannel:
            raise LinkLost("the link ended") from None

    async def _alive(self, link: BridgeLink) -> bool:
        """Whether WhatsApp still answers: an open socket alone proves nothing."""
        try:
            answer = await link.request("probe")
        except RequestFailed as failure:
            logger.warning("no sign of life", extra={"code": failure.code})
            return False
        self._live.probe_seconds = float(answer["rttMs"]) / 1000
        return True

    async def _show_qr(self, state: frames.State) -> None:
        expires_at = None
        if state.expiresAt is not None:
            expires_at = datetime.fromtimestamp(state.expiresAt / 1000, UTC)
        self._live.show_qr(state.qr, expires_at)
        await self._services.sessions.record(self._connection, self._live)
        self._publish(
            EventName.QR_CODE,
            {"qrCode": state.qr, "expiresAt": _iso(self._live.qr_expires_at)},
        )

    async def _opened(self, state: frames.State) -> GiveUp | None:
        if state.me is not None:
            if (verdict := another_phone(self._connection, state.me.phone)) is not None:
                return verdict
            self._connection = await self._services.journal.update_connection(
                self._connection.id,
                phone_number=state.me.phone,
                whatsapp_id=state.me.id,
                push_name=state.me.name,
            )
        self._live.sockets += 1
        await self._report(Status.CONNECTED)
        await review_sharing(self._services, self._connection.phone_number)
        self._live.outbox.ring()
        return None

    async def _give_up(self, link: BridgeLink, verdict: GiveUp) -> None:
        """Remember the verdict first: a crash from here on starts a parked connection."""
        was_connected = self._live.status is Status.CONNECTED
        self._live.become(_parked_status(verdict.code), error=verdict.reason)
        self._connection = await self._services.journal.update_connection(
            self._connection.id, parked_code=verdict.code, parked_reason=verdict.reason
        )
        if verdict.archive:
            await link.request("logout", reason=verdict.code)
        await self._services.sessions.record(self._connection, self._live)
        await review_sharing(self._services, self._connection.phone_number)
        if was_connected:
            self._publish(EventName.DISCONNECTED, {"code": verdict.code, "reason": verdict.reason})
        self._publish(EventName.CONNECTION_FAILED, {"code": verdict.code, "reason": verdict.reason})

    async def _report(self, status: Status, trouble: Trouble | None = None) -> None:
        """Enter a status: in memory at once, in the tables through the journal, as an event."""
        changed = self._live.become(status, trouble=trouble)
        await self._services.sessions.record(self._connection, self._live)
        if changed and status is Status.CONNECTED:
            self._publish(EventName.CONNECTED, {"phoneNumber": self._connection.phone_number})
        elif changed and trouble is not None:
            self._publish(EventName.DISCONNECTED, {"code": trouble.code, "reason": trouble.reason})

    def _publish(self, name: EventName, data: dict[str, object]) -> None:
        self._services.events.publish(
            name, data, connection_id=self._connection.id, owner_id=self._connection.owner_id
        )


async def _deliver(delivery: Delivery, waits: Waits, serving: trio.CancelScope) -> None:
    """What is in hand when the stop begins are the messages without an acknowledgement; it comes in
    by the other tasks, so they end last."""
    await delivery.run(waits)
    serving.cancel(reason="told to stop, and nothing is in hand")


def _silent(generation: int) -> frames.State:
    return frames.State(
        v=1,
        type="state",
        generation=generation,
        state="closed",
        code=_LOST,
        cause="silent",
        reason="no answer to a probe",
    )


def _parked_status(code: str) -> Status:
    return Status.DISCONNECTED if code in QUIET else Status.ERROR


def _iso(when: datetime | None) -> str | None:
    return when.isoformat() if when is not None else None
