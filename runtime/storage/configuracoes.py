"""Rows of ``whatsapp_configuracoes``: the robots."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from ..errors import Conflict, Invalid, NotFound
from .client import MAX_ROWS, Supabase

logger = logging.getLogger("zapvisor.storage")

MAX_PAGES = 5
"""Pages of ``MAX_ROWS`` robots that `all` reads."""

_TABLE = "whatsapp_configuracoes"
_UNIQUE = "23505"
_FOREIGN_KEY = "23503"


class Configuracoes:
    """The table, for one project. Raises StorageUnavailable, Invalid, NotFound and Conflict."""

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def all(self) -> list[dict[str, Any]]:
        """Every robot, that which was changed last at the end."""
        rows: list[dict[str, Any]] = []
        for page in range(MAX_PAGES):
            query = self._supabase.table(_TABLE).select("*").order("updated_at").order("id")
            start = page * MAX_ROWS
            part = await self._supabase.fetch(query.range(start, start + MAX_ROWS - 1))
            rows.extend(part)
            if len(part) < MAX_ROWS:
                return rows
        logger.error("more than %d robots: the rest stays silent", MAX_PAGES * MAX_ROWS)
        return rows

    async def of(
        self, owner_id: UUID | None = None, company_id: UUID | None = None
    ) -> list[dict[str, Any]]:
        """The robots of an owner, of a company, or all; oldest first, at most ``MAX_ROWS``."""
        query = self._supabase.table(_TABLE).select("*")
        if owner_id is not None:
            query = query.eq("owner_id", str(owner_id))
        if company_id is not None:
            query = query.eq("company_id", str(company_id))
        return await self._supabase.fetch(query.order("created_at").order("id").limit(MAX_ROWS))

    async def one(self, robot_id: UUID, owner_id: UUID | None = None) -> dict[str, Any]:
        """One row. NotFound when there is none, or when it is not this owner's."""
        query = self._supabase.table(_TABLE).select("*").eq("id", str(robot_id))
        if owner_id is not None:
            query = query.eq("owner_id", str(owner_id))
        return _found(await self._supabase.fetch(query))

    async def create(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Insert a robot. Conflict (``robot_exists``) when the owner has one for that company."""
        query = self._supabase.table(_TABLE).select("id").eq("owner_id", values["owner_id"])
        company = values.get("company_id")
        query = (
            query.is_("company_id", "null") if company is None else query.eq("company_id", company)
        )
        # Where old rows keep the index from being unique this is all that keeps them from more.
        if await self._supabase.fetch(query.limit(1)):
            raise _exists()
        try:
            rows = await self._supabase.fetch(self._supabase.table(_TABLE).insert(dict(values)))
        except Invalid as refusal:
            raise _explained(refusal) from refusal
        return rows[0]

    async def change(
        self, robot_id: UUID, changes: Mapping[str, Any], owner_id: UUID | None = None
    ) -> dict[str, Any]:
        """Change columns; returns the row. Raises NotFound."""
        if not changes:
            return await self.one(robot_id, owner_id)
        query = self._supabase.table(_TABLE).update(dict(changes)).eq("id", str(robot_id))
        if owner_id is not None:
            query = query.eq("owner_id", str(owner_id))
        return _found(await self._supabase.fetch(query))

    async def delete(self, robot_id: UUID, owner_id: UUID | None = None) -> None:
        """Delete a robot. Raises NotFound."""
        query = self._supabase.table(_TABLE).delete().eq("id", str(robot_id))
        if owner_id is not None:
            query = query.eq("owner_id", str(owner_id))
        _found(await self._supabase.fetch(query))


def _found(rows: list[dict[str, Any]]) -> dict[str, Any]:
    if not rows:
        raise NotFound("Robô não encontrado.", code="robot_not_found")
    return rows[0]


def _exists() -> Conflict:
    return Conflict(
        "Já existe um robô para este dono e esta empresa; altere o que existe.",
        code="robot_exists",
    )


def _explained(refusal: Invalid) -> Conflict | Invalid:
    code = refusal.details["code"]
    if code == _UNIQUE:
        return _exists()
    if code == _FOREIGN_KEY:
        return Invalid(
            "O ownerId ou o companyId não existe neste projeto.",
            code="unknown_owner",
            details=refusal.details,
        )
    return refusal
