"""Rows of the tables, read once into types: what they hold was written by strangers.

Row-level security lets every signed-in user write rows of the four tables, with whatever a column
takes; the runtime reads them back with the service role's key. So every row that is acted upon goes
through here: a column is what it should be, or it is among the row's ``faults``, and who needs it
refuses (`UnreadableRow`) or leaves the row out (`Skips`). Rows that the API only shows stay as they
are.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from ..errors import Invalid, UnreadableRow
from ..identity import check_connection_id
from ..limits import MESSAGE_ID, units

logger = logging.getLogger("zapvisor.storage")

T = TypeVar("T")
Row = Mapping[str, Any]

TABLES = (
    "whatsapp_sessions",
    "whatsapp_atendimentos",
    "whatsapp_mensagens",
    "whatsapp_configuracoes",
)

_PERSON = re.compile(r"[0-9]{5,20}")
_LID = re.compile(r"[0-9]{5,20}@lid")
_GROUP = re.compile(r"[0-9]{5,25}(?:-[0-9]{5,20})?@g\.us")
_MOMENT = re.compile(
    r"-?infinity|"
    r"[0-9]{4,6}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,6})?[+-](?:0[0-9]|1[0-5])(?::[0-5][0-9]){0,2}(?: BC)?"
)
_COMMON = re.compile(r"[0-9]{4}-")
"""The years that Python has, too."""
_SHAPES: Mapping[str, type] = {
    "participante": dict,
    "reacoes": dict,
    "edicoes": list,
    "apagada": dict,
    "midia": dict,
}
"""What these keys of ``dados`` are, where they are anything."""


class Place(NamedTuple):
    """Where a list ordered by a time and ``id`` goes on; ``moment`` as PostgreSQL writes it."""

    moment: str
    id: str


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A row of ``whatsapp_mensagens``, with what its atendimento says.

    Attributes:
        connection_id, whatsapp_id: None in rows that did not go through WhatsApp.
        address: the JID of the chat.
        own: whether the account wrote it.
        participant: the JID of the group's member who did.
        moment: ``timestamp``, as PostgreSQL writes it.
        faults: columns that hold nothing usable. ``atendimento_id`` is one where the atendimento
            is not of the row's owner and connection.
    """

    id: str
    owner_id: str
    connection_id: str | None
    atendimento_id: str
    address: str
    kind: str
    own: bool
    whatsapp_id: str | None
    participant: str | None
    text: str
    file_name: str
    moment: str
    facts: Mapping[str, Any]
    faults: frozenset[str]

    def check(self, *columns: str) -> None:
        """Raises UnreadableRow when one of these is among the faults."""
        found = sorted(self.faults.intersection(columns))
        if found:
            raise unreadable(found)


@dataclass(frozen=True, slots=True)
class FileRow:
    """The media columns of a row of ``whatsapp_mensagens``."""

    owner_id: str
    connection_id: str | None
    has_file: bool
    mimetype: str | None
    file_name: str | None
    size: int | None
    state: str
    code: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Atendimento:
    """A row of ``whatsapp_atendimentos``, as the robot needs it.

    Attributes:
        number: a person's, digits or a LID; None for groups and for what is no number.
        begun, ended, talked, changed: None also for times that are none of ours (``infinity``).
    """

    id: str
    owner_id: str
    company_id: str | None
    connection_id: str | None
    number: str | None
    status: str
    begun: datetime | None
    ended: datetime | None
    talked: datetime | None
    changed: datetime | None


@dataclass(frozen=True, slots=True)
class Configuracao:
    """A row of ``whatsapp_configuracoes``; a text or a figure that is none is "" or None."""

    id: str
    owner_id: str
    company_id: str | None
    active: bool
    welcome: str
    menu: str
    goodbye: str
    response_seconds: int | None
    tries: int | None
    changed: datetime | None


def unreadable(columns: Iterable[str]) -> UnreadableRow:
    """The refusal of a row that cannot be acted upon."""
    return UnreadableRow(
        "A linha tem valores que não podem ser usados e foi deixada como está.",
        details={"columns": sorted(columns)},
    )


# --- rows


def read_message(row: Row) -> MessageRow:
    """A row with its atendimento embedded as ``whatsapp_atendimentos``. Raises UnreadableRow."""
    owner, connection = _known(row, "owner_id"), connection_name(row.get("connection_id"))
    place = row.get("whatsapp_atendimentos")
    place = place if isinstance(place, Mapping) else {}
    address = chat_address(place.get("numero_cliente"))
    facts = read_facts(row.get("dados"))
    participant, is_participant_good = _participant(address, facts or {})
    sender, moment = row.get("remetente"), moment_text(row.get("timestamp"))
    raw_id = row.get("whatsapp_id")
    good = {
        "atendimento_id": identifier(place.get("owner_id")) == owner
        and connection is not None
        and place.get("connection_id") == connection,
        "numero_cliente": address is not None,
        "dados": facts is not None and is_participant_good,
        "remetente": sender in ("CLIENTE", "ATENDENTE", "SISTEMA"),
        "timestamp": moment is not None,
        "whatsapp_id": raw_id is None or whatsapp_id(raw_id) is not None,
    }
    return MessageRow(
        id=_known(row, "id"),
        owner_id=owner,
        connection_id=connection,
        atendimento_id=_known(row, "atendimento_id"),
        address=address or "",
        kind=text(row.get("tipo")),
        own=sender != "CLIENTE",
        whatsapp_id=whatsapp_id(raw_id),
        participant=participant,
        text=text(row.get("conteudo")),
        file_name=text(row.get("midia_nome")),
        moment=moment or "",
        facts=facts or {},
        faults=frozenset(name for name, is_good in good.items() if not is_good),
    )


def read_file(row: Row) -> FileRow:
    """The media columns of a row. Raises UnreadableRow."""
    media = (read_facts(row.get("dados")) or {}).get("midia") or {}
    size = whole(row.get("midia_tamanho"))
    state = media.get("estado")
    return FileRow(
        owner_id=_known(row, "owner_id"),
        connection_id=connection_name(row.get("connection_id")),
        has_file=bool(text(row.get("midia_url"))),
        mimetype=text(row.get("midia_tipo")) or None,
        file_name=text(row.get("midia_nome")) or None,
        size=size if size is not None and size >= 0 else None,
        state=state if state in ("pending", "failed") else "available",
        code=text(media.get("codigo")) or None,
        reason=text(media.get("motivo")) or None,
    )


def read_atendimento(row: Row) -> Atendimento:
    """Raises UnreadableRow."""
    return Atendimento(
        id=_known(row, "id"),
        owner_id=_known(row, "owner_id"),
        company_id=identifier(row.get("company_id")),
        connection_id=connection_name(row.get("connection_id")),
        number=person_number(row.get("numero_cliente")),
        status=text(row.get("status")),
        begun=moment(row.get("data_inicio")),
        ended=moment(row.get("data_fim")),
        talked=moment(row.get("ultima_mensagem")),
        changed=moment(row.get("updated_at")),
    )


def read_configuracao(row: Row) -> Configuracao:
    """Raises UnreadableRow."""
    return Configuracao(
        id=_known(row, "id"),
        owner_id=_known(row, "owner_id"),
        company_id=identifier(row.get("company_id")),
        active=row.get("ativo") is not False,
        welcome=text(row.get("mensagem_boas_vindas")),
        menu=text(row.get("mensagem_menu")),
        goodbye=text(row.get("mensagem_despedida")),
        response_seconds=whole(row.get("tempo_resposta")),
        tries=whole(row.get("max_tentativas")),
        changed=moment(row.get("updated_at")),
    )


# --- columns: the value, or None (a text: "") for what is none


def identifier(value: object) -> str | None:
    """A UUID, as PostgreSQL writes it."""
    if not isinstance(value, str):
        return None
    try:
        return str(UUID(value))
    except ValueError:
        return None


def connection_name(value: object) -> str | None:
    """The id of a connection."""
    try:
        return check_connection_id(value) if isinstance(value, str) else None
    except Invalid:
        return None


def text(value: object) -> str:
    """A text; PostgreSQL holds no lone surrogates and no NUL, so any can be sent."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int | None:
    """A whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def whatsapp_id(value: object) -> str | None:
    """The id of a message on WhatsApp: whatever its sender's client made of it."""
    return value if isinstance(value, str) and 0 < units(value) <= MESSAGE_ID else None


def person_number(value: object) -> str | None:
    """A customer's ``numero_cliente``: digits, or a LID."""
    if isinstance(value, str) and (_PERSON.fullmatch(value) or _LID.fullmatch(value)):
        return value
    return None


def chat_address(value: object) -> str | None:
    """The JID of a ``numero_cliente``, which may be a group's."""
    if isinstance(value, str) and _GROUP.fullmatch(value):
        return value
    return _jid(person_number(value))


def moment_text(value: object) -> str | None:
    """A time as PostgreSQL writes it, whatever the year: it takes it back in a condition."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    if _COMMON.match(value) and not value.endswith("BC"):
        try:
            datetime.fromisoformat(value)
        except ValueError:  # the 31st of February
            return None
    return value


def moment(value: object) -> datetime | None:
    """A time that can be reckoned with."""
    try:
        return datetime.fromisoformat(moment_text(value) or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_facts(value: object) -> Mapping[str, Any] | None:
    """``dados``: an object, with those keys as they should be that somebody of ours reads."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return None
    for name, shape in _SHAPES.items():
        if value.get(name) is not None and not isinstance(value[name], shape):
            return None
    return value


def _participant(address: str | None, facts: Mapping[str, Any]) -> tuple[str | None, bool]:
    """The JID of a group's member who wrote, and whether what is said of them can be read."""
    member = (facts.get("participante") or {}).get("numero")
    if member is None or address is None or not _GROUP.fullmatch(address):
        return None, True
    jid = _jid(person_number(member))
    return jid, jid is not None


def _jid(number: str | None) -> str | None:
    return number if number is None or "@" in number else f"{number}@s.whatsapp.net"


def _known(row: Row, column: str) -> str:
    value = identifier(row.get(column))
    if value is None:
        raise unreadable([column])
    return value


# --- lists of work


class Skips:
    """Rows that work left out: counted by table, and each told of once."""

    MOST_TOLD = 1000
    """Rows that are remembered as told of."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(TABLES, 0))
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()

    def read(self, table: str, reader: Callable[[Row], T], rows: Iterable[Row]) -> list[T]:
        """The rows that ``reader`` can read."""
        found = []
        for row in rows:
            try:
                found.append(reader(row))
            except UnreadableRow as error:
                self.note(table, str(row.get("id"))[:64], error)
        return found

    def note(self, table: str, row_id: str, error: UnreadableRow) -> None:
        """A row is left out."""
        if (table, row_id) in self._told:
            return
        self.counts[table] += 1
        self._told[table, row_id] = None
        if len(self._told) > self.MOST_TOLD:
            self._told.popitem(last=False)
        logger.warning(
            "row of %s left out: it cannot be read", table, extra={"row": row_id, **error.details}
        )
