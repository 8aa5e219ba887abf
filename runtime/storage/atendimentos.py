"""Rows of ``whatsapp_atendimentos``: lists, and what attendants change.

The rows belong to the ingest function, which opens them; here they are assigned, moved on and
annotated. docs/messages.md tells the rules.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ..errors import Conflict, Invalid, NotFound
from ..phones import read_phone, spellings
from .client import Supabase
from .rows import Atendimento, Place, identifier, moment_text, read_atendimento

MAX_LIST = 200
"""Rows of one page."""

TRANSITIONS: Mapping[str, frozenset[str]] = {
    "AGUARDANDO": frozenset({"EM_ATENDIMENTO", "FINALIZADO", "CANCELADO"}),
    "EM_ATENDIMENTO": frozenset({"FINALIZADO", "CANCELADO"}),
    "FINALIZADO": frozenset(),
    "CANCELADO": frozenset(),
}
"""Which status may follow which: only ever forward."""
CLOSED = frozenset({"FINALIZADO", "CANCELADO"})

_TABLE = "whatsapp_atendimentos"
_FOREIGN_KEY = "23503"
_IDS_PER_QUERY = 100
_RACES = 3
_READ = (
    "id, owner_id, company_id, connection_id, numero_cliente, status, data_inicio, data_fim, "
    "ultima_mensagem, updated_at"
)
"""What the robot needs."""


@dataclass(frozen=True, slots=True)
class AtendimentoFilter:
    """What to list; None and empty mean all.

    Attributes:
        numero: of the customer, in any spelling, or its JID.
        search: part of the name (accents and case do not matter) or of the number.
        since, until: bounds of ``data_inicio``, the first included, the second not.
        cursor: where the page before ended.
    """

    owner_id: UUID | None = None
    company_id: UUID | None = None
    status: Sequence[str] = ()
    connection_id: str | None = None
    atendente_id: UUID | None = None
    numero: str | None = None
    tag: str | None = None
    search: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class FinishedPage:
    """Rows that can be read; ``end`` is behind those that cannot, too; None: there are none."""

    rows: list[Atendimento]
    end: Place | None
    is_last: bool


class Atendimentos:
    """The table, for one project. Raises StorageUnavailable, Invalid, NotFound and Conflict."""

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def page(self, wanted: AtendimentoFilter) -> tuple[list[dict[str, Any]], str | None]:
        """Rows with the newest message first, and the cursor of the next page, if there is one."""
        query = self._supabase.table(_TABLE).select("*")
        for column, value in (
            ("owner_id", wanted.owner_id),
            ("company_id", wanted.company_id),
            ("connection_id", wanted.connection_id),
            ("atendente_id", wanted.atendente_id),
        ):
            if value is not None:
                query = query.eq(column, str(value))
        if wanted.status:
            query = query.in_("status", list(wanted.status))
        if wanted.numero:
            query = query.in_("numero_cliente", await self._numbers(wanted))
        if wanted.tag:
            query = query.filter("tags", "cs", json.dumps([wanted.tag]))
        if wanted.since is not None:
            query = query.gte("data_inicio", wanted.since.isoformat())
        if wanted.until is not None:
            query = query.lt("data_inicio", wanted.until.isoformat())
        if wanted.search and wanted.search.strip():
            query = query.or_(search_condition(wanted.search))
        if wanted.cursor:
            moment, row_id = read_cursor(wanted.cursor)
            # The first condition is implied by the second, and is what the index can use.
            query = query.lte("ultima_mensagem", moment).or_(
                f'ultima_mensagem.lt."{moment}",and(ultima_mensagem.eq."{moment}",id.lt.{row_id})'
            )
        limit = min(wanted.limit, MAX_LIST)
        query = query.order("ultima_mensagem", desc=True).order("id", desc=True).limit(limit + 1)
        rows = await self._supabase.fetch(query)
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], write_cursor(rows[limit - 1])

    async def _numbers(self, wanted: AtendimentoFilter) -> list[str]:
        """The spellings of the one whom ``numero`` means: who is in the tables, before others; the
        digits as they stand, before what else they may mean.
        """
        text = wanted.numero or ""
        if "@" in text:
            return [text.strip().lower()]
        phone = read_phone(text)
        names = phone.names
        if phone.stored is not None and (len(names) > 1 or not phone.readings):
            asked = {spelling for name in names for spelling in spellings(name)}
            known = await self.known_numbers(
                None if wanted.owner_id is None else str(wanted.owner_id),
                wanted.connection_id,
                asked,
            )
            names = [name for name in names if known & set(spellings(name))] or names
        return [spelling for name in names[:1] for spelling in spellings(name)]

    async def known_numbers(
        self, owner_id: str | None, connection_id: str | None, numbers: Collection[str]
    ) -> set[str]:
        """Those of ``numbers`` that are the ``numero_cliente`` of an atendimento."""
        found = set()
        for number in numbers:
            query = self._supabase.table(_TABLE).select("id").eq("numero_cliente", number)
            for column, value in (("owner_id", owner_id), ("connection_id", connection_id)):
                if value is not None:
                    query = query.eq(column, value)
            if await self._supabase.fetch(query.limit(1)):
                found.add(number)
        return found

    async def one(self, atendimento_id: UUID, owner_id: UUID | None = None) -> dict[str, Any]:
        """One row. NotFound when there is none, or when it is not this owner's."""
        query = self._supabase.table(_TABLE).select("*").eq("id", str(atendimento_id))
        if owner_id is not None:
            query = query.eq("owner_id", str(owner_id))
        rows = await self._supabase.fetch(query)
        if not rows:
            raise NotFound("Atendimento não encontrado.", code="atendimento_not_found")
        return rows[0]

    async def change(
        self, atendimento_id: UUID, changes: Mapping[str, Any], owner_id: UUID | None = None
    ) -> dict[str, Any]:
        """Change columns, all or none, and return the row.

        Args:
            changes: any of atendente_id, status, prioridade, tags, observacoes, nome_cliente.

        The status moves as in ``TRANSITIONS``, else Conflict (``illegal_transition``); the one it
        has already is no change. ``data_fim`` is the database's time of the closing. Raises
        NotFound, and Invalid (``unknown_atendente``).
        """
        status = changes.get("status")
        others = {name: value for name, value in changes.items() if name != "status"}
        for _ in range(_RACES):
            if status is not None:
                closing = {"data_fim": "now"} if status in CLOSED else {}
                before = [name for name, after in TRANSITIONS.items() if status in after]
                moved = {**others, "status": status, **closing}
                row = await self._update(atendimento_id, owner_id, moved, before)
                if row is not None:
                    return row
            elif others:
                row = await self._update(atendimento_id, owner_id, others, None)
                if row is not None:
                    return row
            # Nothing was there to change: the row says why.
            row = await self.one(atendimento_id, owner_id)
            if status in (None, row["status"]):
                if not others:
                    return row
                status = None
            elif status not in TRANSITIONS.get(row["status"], frozenset()):
                raise _illegal(row["status"], str(status))
        raise Conflict(
            "O atendimento foi alterado por outra pessoa ao mesmo tempo; tente de novo.",
            code="concurrent_change",
        )

    async def _update(
        self,
        atendimento_id: UUID,
        owner_id: UUID | None,
        values: Mapping[str, Any],
        before: Sequence[str] | None,
    ) -> dict[str, Any] | None:
        """The changed row; None when there is none, or none with a status of ``before``."""
        query = self._supabase.table(_TABLE).update(dict(values)).eq("id", str(atendimento_id))
        if owner_id is not None:
            query = query.eq("owner_id", str(owner_id))
        if before is not None:
            query = query.in_("status", list(before))
        try:
            rows = await self._supabase.fetch(query)
        except Invalid as refusal:
            if refusal.details["code"] == _FOREIGN_KEY:
                raise Invalid(
                    "O atendenteId não é de um atendente deste projeto.",
                    code="unknown_atendente",
                    details=refusal.details,
                ) from refusal
            raise
        return rows[0] if rows else None

    # --- for the robot

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Atendimento]:
        """The rows of these ids that exist and are of a person on a connection."""
        found: dict[str, Atendimento] = {}
        for start in range(0, len(ids), _IDS_PER_QUERY):
            part = list(ids[start : start + _IDS_PER_QUERY])
            rows = await self._supabase.fetch(self._persons().in_("id", part))
            found.update({row.id: row for row in self._read(rows)})
        return found

    async def finished(
        self, after: Place, limit: int, *, of: str | None = None, but: Collection[str] = ()
    ) -> FinishedPage:
        """FINALIZADO rows of persons in the order (``updated_at``, ``id``), behind ``after``.

        Args:
            of: of this owner; None: of all.
            but: owners whose rows are left out.

        None of a time that is still to come: who writes a row chooses its ``updated_at``.
        """
        moment, identifier = after
        query = (
            self._persons()
            .eq("status", "FINALIZADO")
            .gte("updated_at", moment)
            .lte("updated_at", "now")  # by the clock that wrote it
            .or_(f'updated_at.gt."{moment}",and(updated_at.eq."{moment}",id.gt.{identifier})')
        )
        if of is not None:
            query = query.eq("owner_id", of)
        if but:
            query = query.not_.in_("owner_id", sorted(but))
        rows = await self._supabase.fetch(query.order("updated_at").order("id").limit(limit))
        return FinishedPage(self._read(rows), _end(rows), is_last=len(rows) < limit)

    def _persons(self) -> Any:
        """Rows that may be a person's on a connection: what is not, is not even sent to us."""
        query = self._supabase.table(_TABLE).select(_READ)
        query = query.filter("connection_id", "match", "^[A-Za-z0-9_-]{1,64}$")
        return query.filter("numero_cliente", "match", "^[0-9]{5,20}(@lid)?$")

    def _read(self, rows: Sequence[Mapping[str, Any]]) -> list[Atendimento]:
        return self._supabase.skips.read(_TABLE, read_atendimento, rows)


def _end(rows: Sequence[Mapping[str, Any]]) -> Place | None:
    """Where the last row that names a place is."""
    for row in reversed(rows):
        moment, name = moment_text(row.get("updated_at")), identifier(row.get("id"))
        if moment is not None and name is not None:
            return Place(moment, name)
    return None


def _illegal(before: str, after: str) -> Conflict:
    allowed = sorted(TRANSITIONS.get(before, frozenset()))
    sentence = (
        f"Um atendimento {before} só pode passar para {' ou '.join(allowed)}, não para {after}."
        if allowed
        else f"Um atendimento {before} está encerrado e não muda mais de status; "
        "a próxima mensagem do cliente abre um novo."
    )
    return Conflict(
        sentence,
        code="illegal_transition",
        details={"from": before, "to": after, "allowed": allowed},
    )


def write_cursor(row: Mapping[str, Any]) -> str:
    """A place in a list, as opaque text; its time as PostgreSQL wrote it, ``infinity`` too."""
    place = json.dumps([row["ultima_mensagem"], row["id"]])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> Place:
    """The reverse of `write_cursor`; Invalid (``invalid_cursor``) for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        written, name = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise _bad_cursor() from error
    moment, row_id = moment_text(written), identifier(name)
    if moment is None or row_id is None:
        raise _bad_cursor()
    return Place(moment, row_id)


def _bad_cursor() -> Invalid:
    return Invalid("O cursor não é válido.", code="invalid_cursor")


def search_condition(text: str) -> str:
    """PostgREST's ``or`` condition for part of a name or of a number."""
    conditions = [f"nome_cliente.imatch.{_quoted(accent_blind(text))}"]
    digits = re.sub(r"\D", "", text)
    if digits and not re.search(r"[^\d\s()+.\-/]", text):
        conditions.append(f'numero_cliente.like."*{digits}*"')
    return ",".join(conditions)


def accent_blind(text: str) -> str:
    """A regular expression of PostgreSQL that finds ``text`` however it is accented."""
    parts = []
    for character in " ".join(unicodedata.normalize("NFC", text).split()):
        base = unicodedata.normalize("NFKD", character)[0].lower()
        if base in _VARIANTS:
            parts.append(f"[{base}{base.upper()}{_VARIANTS[base]}]")
        elif character.isalnum() or not character.isascii():
            parts.append(character)
        elif character == " ":
            parts.append(r"\s+")
        else:
            parts.append(f"\\{character}")
    return "".join(parts)


_VARIANTS = {
    "a": "áàâãäåÁÀÂÃÄÅ",
    "c": "çÇ",
    "e": "éèêëÉÈÊË",
    "i": "íìîïÍÌÎÏ",
    "n": "ñÑ",
    "o": "óòôõöÓÒÔÕÖ",
    "u": "úùûüÚÙÛÜ",
    "y": "ýÿÝŸ",
}


def _quoted(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
