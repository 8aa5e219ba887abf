"""A message's way out, second half: queued commands to the bridge, in order.

A command leaves ``queued`` only by WhatsApp's own acknowledgement. Until then it may be handed over
again, always under the same message id, which makes it the same message to whoever receives it.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime

import trio

from ..failpoints import failpoint
from ..journal import Command, CommandState, Connection
from .link import BridgeLink, RequestFailed
from .live import Status
from .services import Services

logger = logging.getLogger("zapvisor.delivery")

MAX_IN_FLIGHT = 32
"""Messages handed to WhatsApp and not yet acknowledged by it."""
ACK_DEADLINE = 30.0
"""Seconds without WhatsApp's acknowledgement after which a message is handed over again."""
MAX_ATTEMPTS = 5
"""Failed hand-overs of one message before it counts as failed."""
RETRY_DELAY = 2.0


class Delivery:
    """Hands over the commands of one connection while it is open."""

    def __init__(self, connection: Connection, link: BridgeLink, services: Services) -> None:
        self._connection = connection
        self._link = link
        self._journal = services.journal
        self._outbox = services.outbox
        self._live = services.lives[connection.id]
        self._in_flight: dict[str, float] = {}
        self._attempts: Counter[str] = Counter()
        self._socket = 0

    async def run(self) -> None:
        """Until the link ends."""
        while True:
            again_after = ACK_DEADLINE / 2
            if self._live.status is Status.CONNECTED:
                again_after = await self._flush()
            with trio.move_on_after(again_after):
                await self._live.outbox.wait()

    async def _flush(self) -> float:
        """Hand over what may go now; returns in how many seconds to look again at the latest."""
        if self._socket != self._live.sockets:
            # What the socket before had in flight may be lost with it.
            self._socket = self._live.sockets
            self._in_flight.clear()
        commands = await self._journal.outgoing(self._connection.id, limit=MAX_IN_FLIGHT * 2)
        waiting = {command.message_id for command in commands}
        oldest_allowed = trio.current_time() - ACK_DEADLINE
        self._in_flight = {
            message_id: since
            for message_id, since in self._in_flight.items()
            if message_id in waiting and since > oldest_allowed
        }
        for command in commands:
            if command.message_id in self._in_flight:
                continue
            if len(self._in_flight) >= MAX_IN_FLIGHT:
                break
            if not await self._hand_over(command):
                return RETRY_DELAY
        return ACK_DEADLINE / 2

    async def _hand_over(self, command: Command) -> bool:
        """Whether to go on with the next command."""
        if command.expires_at <= datetime.now(UTC):
            await self._fail(command, "expired")
            return True
        failpoint("send")
        try:
            await self._link.request(
                "send",
                messageId=command.message_id,
                to=command.to_jid,
                content=command.content,
            )
        except RequestFailed as failure:
            logger.warning(
                "send refused", extra={"connection": self._connection.id, "code": failure.code}
            )
            self._attempts[command.message_id] += 1
            if failure.retryable and self._attempts[command.message_id] < MAX_ATTEMPTS:
                return False
            await self._fail(command, failure.code)
            return True
        failpoint("sent")
        self._attempts.pop(command.message_id, None)
        self._in_flight[command.message_id] = trio.current_time()
        self._live.sent += 1
        return True

    async def _fail(self, command: Command, code: str) -> None:
        self._attempts.pop(command.message_id, None)
        self._live.failed += 1
        await self._outbox.advance(
            self._connection,
            command.message_id,
            CommandState.FAILED,
            error=code,
            at=datetime.now(UTC),
        )
