"""Rows of ``whatsapp_configuracoes``: the robots."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from ..errors import Conflict, Invalid, NotFound, TooLarge
from .client import Supabase
from .rows import Configuracao, identifier, moment, read_configuracao, text, unreadable

logger = logging.getLogger("zapvisor.storage")

PAGE = 125
"""Robots that are read at once."""
MAX_OF_OWNER = 1000
MAX_CHARACTERS = 16 * 1024 * 1024
"""Robots of one owner, and characters in their texts, of which no more count."""

_TABLE = "whatsapp_configuracoes"
_READ = (
    "id, owner_id, company_id, ativo, mensagem_boas_vindas, mensagem_menu, mensagem_despedida, "
    "tempo_resposta, max_tentativas, updated_at"
)
_TEXTS = ("mensagem_boas_vindas", "mensagem_menu", "mensagem_despedida")
_NEVER = datetime.min.replace(tzinfo=UTC)
_UNIQUE = "23505"
_FOREIGN_KEY = "23503"


class Place(NamedTuple):
    """Where `Configuracoes.all` goes on: behind this robot; ``id`` None: behind its owner."""

    owner: str
    id: str | None


class Configuracoes:
    """The table, for one project. Raises StorageUnavailable, Invalid, NotFound and Conflict."""

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def all(self) -> list[Configuracao]:
        """Every robot that can be read, that which was changed last at the end.

        Of one owner about ``MAX_OF_OWNER``, so that nobody keeps others' from being read.
        """
        rows = await self._pages(_READ, {})
        found = self._supabase.skips.read(_TABLE, read_configuracao, rows)
        return sorted(found, key=lambda one: (one.changed or _NEVER, one.id))

    async def of(
        self, owner_id: UUID | None = None, company_id: UUID | None = None
    ) -> list[dict[str, Any]]:
        """The robots of an owner, of a company, or all, as `all`; oldest first."""
        wanted = {"owner_id": owner_id, "company_id": company_id}
        rows = await self._pages("*", {name: str(one) for name, one in wanted.items() if one})
        return sorted(rows, key=lambda row: (moment(row.get("created_at")) or _NEVER, row["id"]))

    async def _pages(self, columns: str, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        place: Place | None = None
        robots = characters = 0  # of the owner at whom the last page ended
        while page := await self._page(columns, wanted, place):
            rows, is_endless = page
            found += rows
            end = _end(rows)
            if place is None or end.owner != place.owner:
                robots = characters = 0
            theirs = [row for row in rows if row["owner_id"] == end.owner]
            robots += len(theirs)
            characters += sum(len(text(row.get(name))) for row in theirs for name in _TEXTS)
            is_endless = is_endless or robots >= MAX_OF_OWNER or characters >= MAX_CHARACTERS
            place = Place(end.owner, None) if is_endless else end
        return found

    async def _page(
        self, columns: str, wanted: Mapping[str, str], place: Place | None
    ) -> tuple[list[dict[str, Any]], bool] | None:
        """The next robots, if there are any; whether it is one whose texts have no end: is none."""
        limit = PAGE
        while True:
            try:
                rows = await self._supabase.fetch(self._behind(columns, wanted, place, limit))
            except TooLarge:
                if limit == 1:
                    break
                limit //= 5
            else:
                return (rows, False) if rows else None
        rows = await self._supabase.fetch(self._behind("id, owner_id", wanted, place, 1))
        return [{**row, "ativo": False} for row in rows], True

    def _behind(
        self, columns: str, wanted: Mapping[str, str], place: Place | None, limit: int
    ) -> Any:
        query = self._supabase.table(_TABLE).select(columns)
        for column, value in wanted.items():
            query = query.eq(column, value)
        if place is not None:
            # The first condition is implied by the second, and is what an index can use.
            query = query.gte("owner_id", place.owner)
            behind = f"owner_id.gt.{place.owner}"
            if place.id is not None:
                behind += f",and(owner_id.eq.{place.owner},id.gt.{place.id})"
            query = query.or_(behind)
        return query.order("owner_id").order("id").limit(limit)

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


def _end(rows: list[dict[str, Any]]) -> Place:
    """Where the last row is. Raises UnreadableRow."""
    owner, row_id = identifier(rows[-1].get("owner_id")), identifier(rows[-1].get("id"))
    if owner is None or row_id is None:
        raise unreadable(["id", "owner_id"])
    return Place(owner, row_id)


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
