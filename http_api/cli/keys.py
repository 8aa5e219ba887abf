"""``zapvisor keys``: the API keys, on the file itself; a running zapvisor notices at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import click

from runtime.errors import ZapvisorError
from runtime.identity import check_connection_id

from ..keys import ApiKey, KeyScope, KeyStore
from ..principal import EVERYTHING, Permission, Role
from .prerequisites import load_settings
from .tables import print_json, print_table
from .terminal import Problem, system_error

T = TypeVar("T")


def list_keys(*, as_json: bool) -> None:
    """Print every key, without its secret."""
    store = _run(_load)
    facts = [_facts(store, key) for key in store.all()]
    if as_json:
        print_json(facts)
    elif facts:
        columns = ("id", "name", "role", "permissions", "scope", "expires", "last used")
        print_table(columns, [_row(one) for one in facts])
    else:
        click.echo("no keys")


def create(
    name: str,
    *,
    role: str,
    permissions: Sequence[str],
    owner: UUID | None,
    connection: str | None,
    expires_in_days: float | None,
    rate_per_minute: int | None,
    as_json: bool,
) -> None:
    """Make a key and print its secret, this once."""
    scope = KeyScope(
        name=name,
        role=Role(role),
        permissions=frozenset(map(Permission, permissions)) or EVERYTHING,
        owner_id=owner,
        connection_id=connection,
        expires_at=None
        if expires_in_days is None
        else datetime.now(UTC) + timedelta(days=expires_in_days),
        rate_per_minute=rate_per_minute,
    )

    def work(store: KeyStore) -> tuple[ApiKey, str]:
        if connection is not None:
            check_connection_id(connection)
        return store.create(scope)

    _show(*_change(work), as_json=as_json)


def rotate(key_id: str, *, as_json: bool) -> None:
    """Give a key a new secret and print it, this once."""
    _show(*_change(lambda store: store.rotate(key_id)), as_json=as_json)


def revoke(key_id: str) -> None:
    """End a key."""
    _change(lambda store: store.revoke(key_id))
    click.echo(f"{key_id} is revoked")


def _load() -> KeyStore:
    return KeyStore.load(load_settings())


def _change(work: Callable[[KeyStore], T]) -> T:
    return _run(lambda: work(_load()))


def _run(work: Callable[[], T]) -> T:
    try:
        return work()
    except ZapvisorError as error:
        raise Problem(error.message) from None
    except OSError as error:
        raise Problem(f"cannot use the key file: {system_error(error)}") from None


def _show(key: ApiKey, plaintext: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": key.id, "name": key.name, "key": plaintext})
        return
    click.echo(f"key {key.id} ({key.name}), shown only this once:\n\n    {plaintext}\n")


def _facts(store: KeyStore, key: ApiKey) -> dict[str, Any]:
    used = store.last_used(key)
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role.value,
        "permissions": sorted(key.permissions),
        "ownerId": None if key.owner_id is None else str(key.owner_id),
        "connectionId": key.connection_id,
        "createdAt": key.created_at or None,
        "expiresAt": None if key.expires_at is None else key.expires_at.isoformat(),
        "expired": key.expired(datetime.now(UTC)),
        "lastUsedAt": None if used is None else used.isoformat(timespec="seconds"),
        "ratePerMinute": key.rate_per_minute,
    }


def _row(facts: dict[str, Any]) -> tuple[str, ...]:
    expires = facts["expiresAt"]
    return (
        facts["id"],
        facts["name"],
        facts["role"],
        ",".join(facts["permissions"]),
        facts["connectionId"] or facts["ownerId"] or "everything",
        "expired" if facts["expired"] else (expires or "never")[:10],
        (facts["lastUsedAt"] or "never")[:16],
    )
