"""What the API asks about webhooks: who may see which, what is a usable one, how they are shown."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from ..errors import Invalid, NotFound
from ..events import Event, EventName
from ..journal import Delivery, Endpoint, Journal, codec, deliveries, endpoints
from .sender import Sender
from .signature import new_secret

MAX_ENDPOINTS = 100
MAX_OF_OWNER = 20
"""Webhooks that an owner makes; an admin may make more for them."""
"""Of one installation."""
MAX_URL = 2048
MAX_REDELIVERED = 1000
"""Dead letters that one call queues again."""


class Webhooks:
    """The webhooks of one owner, or (``owner_id`` None) those of all.

    Args:
        sender: makes a sender for test deliveries.
        nudge: tells the notifier that there may be something to do.
    """

    def __init__(
        self,
        journal: Journal,
        owner_id: UUID | None,
        *,
        sender: Callable[[], Sender],
        nudge: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._owner = None if owner_id is None else str(owner_id)
        self._sender = sender
        self._nudge = nudge

    async def all(self) -> list[dict[str, Any]]:
        """Oldest first."""
        found = await self._journal.transact(endpoints.endpoints)
        return [await self._describe(one) for one in found if self._sees(one)]

    async def one(self, identifier: str) -> dict[str, Any]:
        """Raises NotFound."""
        return await self._describe(await self._get(identifier))

    async def create(
        self,
        *,
        url: str,
        connection_id: str | None,
        events: Sequence[EventName],
        description: str | None,
    ) -> dict[str, Any]:
        """A new one, with its ``secret``, which is shown here only. Raises Invalid, NotFound."""
        owner = self._owner
        if connection_id is not None:
            connection = await self._journal.connection(connection_id)
            if connection is None or owner not in (None, connection.owner_id):
                raise NotFound("Conexão não encontrada.", code="connection_not_found")
            owner = connection.owner_id
        endpoint = Endpoint(
            id=f"wh_{secrets.token_hex(8)}",
            url=check_url(url),
            owner_id=owner,
            connection_id=connection_id,
            events=tuple(dict.fromkeys(name.value for name in events)),
            description=description,
            secret=new_secret(),
            enabled=True,
            disabled_code=None,
            failing_since=None,
            last_success_at=None,
            last_error=None,
            created_at=datetime.now(UTC),
        )
        most = None if self._owner is None else MAX_OF_OWNER
        await self._journal.transact(
            lambda connection: endpoints.add(connection, endpoint, MAX_ENDPOINTS, most)
        )
        return {**await self._describe(endpoint), "secret": endpoint.secret}

    async def change(self, identifier: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change ``url``, ``events``, ``description``, ``enabled``; enabling forgives failures."""
        await self._get(identifier)
        values = dict(changes)
        if "url" in values:
            values["url"] = check_url(values["url"])
        if "events" in values:
            values["events"] = tuple(dict.fromkeys(name.value for name in values["events"]))
        changed = await self._journal.transact(
            lambda connection: endpoints.change(connection, identifier, values)
        )
        self._nudge()
        return await self._describe(changed)

    async def remove(self, identifier: str) -> None:
        """With everything that waits for it."""
        await self._get(identifier)
        await self._journal.transact(lambda connection: endpoints.remove(connection, identifier))

    async def rotate(self, identifier: str) -> dict[str, Any]:
        """Another ``secret``, in force at once."""
        await self._get(identifier)
        changed = await self._journal.transact(
            lambda connection: endpoints.change(connection, identifier, {"secret": new_secret()})
        )
        return {**await self._describe(changed), "secret": changed.secret}

    async def test(self, identifier: str) -> dict[str, Any]:
        """Deliver a ``healthCheck`` now, once, and say what came of it."""
        endpoint = await self._get(identifier)
        now = datetime.now(UTC)
        event = Event(
            EventName.HEALTH_CHECK,
            {"test": True, "webhookId": endpoint.id},
            endpoint.connection_id,
            endpoint.owner_id,
            id=f"{codec.micros(now) // 1000:012x}{0:020x}",
            timestamp=now,
        )
        async with self._sender() as sender:
            attempt = await sender.send(endpoint, event, None)
        return {
            "delivered": attempt.ok,
            "status": attempt.status,
            "error": attempt.error,
            "durationMs": attempt.duration_ms,
        }

    async def log(
        self, identifier: str, *, state: deliveries.State | None, before: int | None, limit: int
    ) -> dict[str, Any]:
        """Its deliveries, newest first: ``items``, and ``nextCursor`` when there may be more."""
        await self._get(identifier)
        found = await self._journal.transact(
            lambda connection: deliveries.deliveries(
                connection, identifier, state, before or 2**62, limit
            )
        )
        return {
            "items": [_describe_delivery(one) for one in found],
            "nextCursor": str(found[-1].seq) if len(found) == limit else None,
        }

    async def redeliver(self, identifier: str, seq: int) -> None:
        """Queue a finished delivery again. Raises NotFound, Conflict."""
        await self._get(identifier)
        now = codec.micros(datetime.now(UTC))
        await self._journal.transact(
            lambda connection: deliveries.redeliver(connection, identifier, seq, now)
        )
        self._nudge()

    async def redeliver_dead(self, identifier: str) -> int:
        """Queue its dead letters again, the oldest ``MAX_REDELIVERED``; returns how many."""
        await self._get(identifier)
        now = codec.micros(datetime.now(UTC))
        count = await self._journal.transact(
            lambda connection: deliveries.redeliver_dead(
                connection, identifier, MAX_REDELIVERED, now
            )
        )
        self._nudge()
        return count

    async def _get(self, identifier: str) -> Endpoint:
        endpoint = await self._journal.transact(
            lambda connection: endpoints.endpoint(connection, identifier)
        )
        if not self._sees(endpoint):
            raise NotFound("Webhook não encontrado.", code="webhook_not_found")
        return endpoint

    def _sees(self, endpoint: Endpoint) -> bool:
        return self._owner in (None, endpoint.owner_id)

    async def _describe(self, endpoint: Endpoint) -> dict[str, Any]:
        counts = await self._journal.transact(
            lambda connection: deliveries.backlog(connection, endpoint.id)
        )
        return {
            "id": endpoint.id,
            "url": endpoint.url,
            "ownerId": endpoint.owner_id,
            "connectionId": endpoint.connection_id,
            "events": list(endpoint.events),
            "description": endpoint.description,
            "enabled": endpoint.enabled,
            "disabledCode": endpoint.disabled_code,
            "failingSince": _iso(endpoint.failing_since),
            "lastSuccessAt": _iso(endpoint.last_success_at),
            "lastError": endpoint.last_error,
            "createdAt": _iso(endpoint.created_at),
            "deliveries": {state: counts.get(state, 0) for state in deliveries.STATES},
        }


def check_url(url: str) -> str:
    """An http or https URL with a host and without credentials. Raises Invalid.

    Where its name leads to is judged at each connection, not here.
    """
    try:
        parsed = httpx.URL(url)
        usable = (
            len(url) <= MAX_URL
            and parsed.scheme in ("http", "https")
            and parsed.host != ""
            and not parsed.userinfo
        )
    except (httpx.InvalidURL, ValueError, TypeError):
        usable = False
    if not usable:
        raise Invalid(
            "A url deve ser um endereço http ou https, sem usuário e senha.",
            code="invalid_webhook_url",
        )
    return url


def _describe_delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.seq,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "error": delivery.error,
        "durationMs": delivery.duration_ms,
        "createdAt": _iso(delivery.created_at),
        "updatedAt": _iso(delivery.updated_at),
        "nextAttemptAt": _iso(delivery.due),
        "event": delivery.event.as_json(),
    }


def _iso(when: datetime | None) -> str | None:
    return when.isoformat() if when is not None else None
