"""A message's way out, second half: queued commands to the bridge, in order.

A command leaves ``queued`` only by WhatsApp's own acknowledgement. Until then it may be handed over
again, always under the same message id, which makes it the same message to whoever receives it; and
the next one of its chat waits, so that no repetition can come behind it.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from functools import partial

import trio

from ..contacts.service import read_checked
from ..failpoints import failpoint
from ..journal import Command, CommandState, Connection, outbox
from ..options import Options
from ..outbound.pacing import Pace
from ..stopping import Waits
from .link import BridgeLink, RequestFailed
from .live import Status
from .services import Services

logger = logging.getLogger("zapvisor.delivery")

MAX_IN_FLIGHT = 32
"""Messages handed to WhatsApp and not yet acknowledged by it."""
ACK_DEADLINE = 30.0
"""Seconds without WhatsApp's acknowledgement after which a message is handed over again."""
PAGE = 64
MAX_PAGES = 16
"""Of the queue, as far as is looked ahead at once past chats that wait for an acknowledgement."""
MAX_ATTEMPTS = 5
"""Failed hand-overs of one message on one open socket before it counts as failed."""
RETRY_DELAY = 2.0
NEXT_DELAY = 0.1
LOOK_SECONDS = 1.0
"""Between two looks at whether the acknowledgement that a stop awaits can still come."""

_SAYS_NOTHING = "not_connected"
"""A refusal that is about the connection, not about the message."""
MAX_ADDRESSES = 20_000
"""Recipients whose address is kept in mind; beyond it begins to forget."""
READ = "read"
"""A command with this content is a read receipt, not a message."""
_EXPIRED = "expired"
_USER = "@s.whatsapp.net"
_MAY_BE_SENT = frozenset({"timeout", "no_reply"})


class Delivery:
    """Hands over the commands of one connection while it is open."""

    def __init__(self, connection: Connection, link: BridgeLink, services: Services) -> None:
        self.connection = connection
        self._link = link
        self._journal = services.journal
        self._outbox = services.outbox
        self._live = services.lives[connection.id]
        self._in_flight: dict[str, float] = {}
        self._attempts: Counter[str] = Counter()
        self._addresses: dict[str, str] = {}
        self._pace = Pace()
        self._socket = 0

    async def run(self, waits: Waits) -> None:
        """Until told to stop; then nothing is handed over any more, and this returns when WhatsApp
        has acknowledged what was, or cannot.
        """
        while not waits.over:
            again_after = ACK_DEADLINE / 2
            if self._live.status is Status.CONNECTED:
                again_after = await self._flush(waits)
            else:
                await self.expire()
            with waits(again_after):
                await self._live.outbox.wait()
        while self._live.status is Status.CONNECTED and self._socket == self._live.sockets:
            await self._forget_acknowledged()
            if not self._in_flight:
                break
            with trio.move_on_after(LOOK_SECONDS):
                await self._live.outbox.wait()

    async def _flush(self, waits: Waits) -> float:
        """Hand over what may go now; returns in how many seconds to look again at the latest."""
        if self._socket != self._live.sockets:
            # What the socket before had in flight may be lost with it.
            self._socket = self._live.sockets
            self._in_flight.clear()
            self._attempts.clear()
        await self._forget_acknowledged()
        pacing = Options.of(self.connection).pacing
        again_after = ACK_DEADLINE / 2
        for command in await self._next():
            if (pause := self._pace.wait(pacing, trio.current_time())) > 0:
                return min(pause, ACK_DEADLINE / 2)
            if len(self._in_flight) >= MAX_IN_FLIGHT or waits.over:
                break
            if not await self._hand_over(command):
                return RETRY_DELAY
            if command.message_id not in self._in_flight:
                again_after = NEXT_DELAY  # it has ended, the next one of its chat may go
        return again_after

    async def _forget_acknowledged(self) -> None:
        """And those that were not in time: they are to go once more."""
        waiting = await self._journal.transact(
            partial(
                outbox.still_queued,
                connection_id=self.connection.id,
                message_ids=list(self._in_flight),
            )
        )
        oldest_allowed = trio.current_time() - ACK_DEADLINE
        self._in_flight = {
            message_id: since
            for message_id, since in self._in_flight.items()
            if message_id in waiting and since > oldest_allowed
        }

    async def _next(self) -> list[Command]:
        """The oldest of each chat that has nothing in flight, as many as there is room for."""
        found: list[Command] = []
        chats: set[str] = set()
        after = 0
        for _ in range(MAX_PAGES):
            page = await self._journal.outgoing(self.connection.id, limit=PAGE, after_seq=after)
            for command in page:
                chat = self._addresses.get(command.to_jid, command.to_jid)
                if chat not in chats and command.message_id not in self._in_flight:
                    found.append(command)
                chats.add(chat)
            if len(page) < PAGE or len(found) >= MAX_IN_FLIGHT - len(self._in_flight):
                break
            after = page[-1].seq
        return found

    async def _hand_over(self, command: Command) -> bool:
        """Whether to go on with the next command."""
        if command.expires_at <= datetime.now(UTC):
            await self._give_up(command)
            return True
        failpoint("send")
        try:
            address = await self._address(command.to_jid)
            if address is None:
                await self._end(command, CommandState.FAILED, "not_on_whatsapp")
                return True
            if READ in command.content:
                return await self._tell_read(command, address)
            await self._link.request(
                "send",
                messageId=command.message_id,
                to=address,
                content=command.content,
            )
        except RequestFailed as failure:
            logger.warning(
                "send refused",
                extra={
                    "connection": self.connection.id,
                    "message_id": command.message_id,
                    "code": failure.code,
                },
            )
            if failure.code == _SAYS_NOTHING:
                return False
            self._attempts[command.message_id] += 1
            if failure.retryable and self._attempts[command.message_id] < MAX_ATTEMPTS:
                return False
            state = CommandState.UNKNOWN if failure.code in _MAY_BE_SENT else CommandState.FAILED
            word = failure.code if failure.reason is None else str(failure.reason)
            await self._end(command, state, word)
            return True
        failpoint("sent")
        self._pace.went(Options.of(self.connection).pacing, trio.current_time())
        self._attempts.pop(command.message_id, None)
        self._in_flight[command.message_id] = trio.current_time()
        return True

    async def _address(self, jid: str) -> str | None:
        """The JID under which WhatsApp knows the recipient; None when nobody has the number.

        A number is asked about once: one that was queued while WhatsApp was out of reach may be
        registered without its ninth digit, or not at all.
        """
        known = self._addresses.get(jid)
        if known is not None:
            return known
        name = jid.removesuffix(_USER)
        if name == jid:
            return jid
        alias = await self._journal.alias(self.connection.id, name)
        if alias is None or alias.number is None:
            try:
                (answer,) = await self._link.request("check", phones=[name])
            except RequestFailed:
                return jid  # sent as it is; WhatsApp refuses what does not exist
            checked = read_checked(answer)
            await self._journal.remember_checked(self.connection, [checked])
            number = checked.number
        else:
            number = alias.number
        if number is None:
            return None
        if len(self._addresses) >= MAX_ADDRESSES:
            self._addresses.clear()
        self._addresses[jid] = f"{number}{_USER}"
        return self._addresses[jid]

    async def _tell_read(self, command: Command, chat: str) -> bool:
        await self._link.request("read", chat=chat, **command.content[READ])
        # No message: nobody hears of it as of one.
        await self._journal.mark(
            self.connection.id, command.message_id, CommandState.SENT, at=datetime.now(UTC)
        )
        return True

    async def expire(self) -> None:
        """End what nobody may send any more, also while there is no connection."""
        now = datetime.now(UTC)
        for command in await self._journal.outgoing(self.connection.id, limit=PAGE):
            if command.expires_at <= now:
                await self._give_up(command)

    async def _give_up(self, command: Command) -> None:
        """A message whose time is over failed, unless it may have left already."""
        try:
            answer = await self._link.request("sent", messageId=command.message_id)
        except RequestFailed:
            return  # asked again the next time
        state = CommandState.UNKNOWN if answer["sent"] else CommandState.FAILED
        await self._end(command, state, _EXPIRED)

    async def _end(self, command: Command, state: CommandState, code: str) -> None:
        self._attempts.pop(command.message_id, None)
        now = datetime.now(UTC)
        if READ in command.content:
            await self._journal.mark(
                self.connection.id, command.message_id, state, error=code, at=now
            )
            return
        self._live.failed += 1
        self._live.expired += code == _EXPIRED
        logger.warning(
            "not sent",
            extra={
                "connection": self.connection.id,
                "message_id": command.message_id,
                "state": state.value,
                "code": code,
            },
        )
        await self._outbox.advance(self.connection, command.message_id, state, error=code, at=now)
