"""Who is calling and what they may do: the values that every decision about access is made from.

Pure. ``auth`` finds the principal of a request, ``guards`` decides with it.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from runtime.errors import ZapvisorError


class Role(StrEnum):
    """How far a credential reaches."""

    ADMIN = "admin"  # everything, of all owners
    OWNER = "owner"  # what belongs to one owner
    CONNECTION = "connection"  # one connection of one owner


class Permission(StrEnum):
    """What a credential may do there."""

    READ = "read"  # look
    SEND = "send"  # answer customers: messages, receipts, atendimentos
    MANAGE = "manage"  # pair, change, delete; for admins: control the tree


EVERYTHING = frozenset(Permission)


class Forbidden(ZapvisorError):
    """The credential is good, but not for this (HTTP 403)."""

    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of one request.

    Attributes:
        id: of the credential, for limits and the audit log: ``key:<id>`` or ``user:<sub>``.
        name: for people.
        owner_id: whose data it reaches; None for an admin, who reaches everybody's.
        connection_id: the only connection it reaches; None for all of the owner's.
        rate_per_minute: requests; None is unlimited.
        expires_at: the end of the credential; None: it has none.
        digest: of the API key, which a rotation changes; None for a user.
    """

    id: str
    name: str
    role: Role = Role.ADMIN
    permissions: frozenset[Permission] = EVERYTHING
    owner_id: UUID | None = None
    connection_id: str | None = None
    rate_per_minute: int | None = None
    expires_at: datetime | None = None
    digest: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it reaches everybody's data."""
        return self.role is Role.ADMIN

    def may(self, permission: Permission) -> bool:
        """Whether it has a permission, within its reach."""
        return permission in self.permissions

    def owner(self, requested: UUID | None) -> UUID | None:
        """Whose data to look at; None (only for an admin) means everybody's.

        Raises Forbidden when ``requested`` is somebody else.
        """
        if self.is_admin:
            return requested
        if requested not in (None, self.owner_id):
            raise another_owner()
        return self.owner_id

    def sees(self, owner_id: object, connection_id: object) -> bool:
        """Whether something of this owner and connection may be shown to the caller."""
        if self.is_admin:
            return True
        if owner_id is None or str(owner_id) != str(self.owner_id):
            return False
        return self.connection_id is None or connection_id == self.connection_id

    def sees_row(self, row: dict[str, Any]) -> bool:
        """The same for a row of a table that has ``owner_id`` and ``connection_id``."""
        return self.sees(row.get("owner_id"), row.get("connection_id"))


CALLER: ContextVar[Principal | None] = ContextVar("zapvisor_caller", default=None)
"""The principal of the request that is being handled, for validators of its body."""


def another_owner() -> Forbidden:
    """The refusal of an ``ownerId`` that is not the caller's."""
    return Forbidden("Esta credencial não dá acesso a outro ownerId.", code="forbidden_owner")
