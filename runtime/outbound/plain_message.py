"""Messages of ours other than files: their command and the entry of their row. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .. import limits
from ..errors import Invalid
from ..identity import new_message_id
from ..journal import Connection, NewCommand, NewEntry
from .beside import Quoted, beside
from .outbox import compose


@dataclass(frozen=True, slots=True)
class Location:
    """Degrees; the name and address are optional."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A contact to be shared; ``phones`` as a client spells them, digits in `compose_plain`."""

    name: str
    phones: Sequence[str]


@dataclass(frozen=True, slots=True)
class Poll:
    """A question; ``selectable`` answers may be chosen, 0 means any number."""

    name: str
    options: Sequence[str]
    selectable: int = 1


@dataclass(frozen=True, slots=True)
class Link:
    """What a text shows of an address in it; nobody visits it."""

    url: str
    title: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A message as a client asks for it; exactly one of the contents, ``text`` by default.

    ``link`` goes with a text alone.
    """

    to: str
    text: str = ""
    location: Location | None = None
    contacts: Sequence[Card] | None = None
    poll: Poll | None = None
    link: Link | None = None
    mentions: Sequence[str] = ()
    quoted_id: str | None = None
    idempotency_key: str | None = None


def compose_plain(
    connection: Connection,
    request: PlainRequest,
    *,
    asked: str,
    address: str,
    quoted: Quoted | None,
    now: datetime,
) -> tuple[NewCommand, NewEntry]:
    """The command and the entry.

    Args:
        request: its contacts and mentions are digits and JIDs already.
        asked: the JID that the client's ``to`` means.
        address: the JID under which WhatsApp knows it.

    Raises Invalid for a content that makes no sense.
    """
    text, content, facts = _content(request)
    parts, more = beside(quoted, request.mentions)
    content, facts = content | parts, facts | more
    command, entry = compose(
        connection,
        to=address,
        text=text,
        message_id=new_message_id(),
        idempotency_key=request.idempotency_key,
        now=now,
        facts={"dados": facts} if facts else None,
    )
    whole = [asked, _content(request)[1], list(request.mentions), request.quoted_id]
    return replace(command, content=content, request_hash=_hash(whole)), entry


def _content(request: PlainRequest) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The row's text, the content of the frame, and the facts for ``dados``."""
    if request.location is not None:
        return _location(request.location)
    if request.contacts is not None:
        return _cards(request.contacts)
    if request.poll is not None:
        return _poll(request.poll)
    if request.link is not None:
        return _linked(request.text, request.link)
    return request.text, {"text": request.text}, {}


def _linked(text: str, link: Link) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if link.url not in text:
        raise Invalid("A url de linkPreview não está no texto.", code="invalid_link_preview")
    shown = {"url": link.url, "title": link.title, "description": link.description}
    facts = {"url": link.url, "titulo": link.title, "descricao": link.description}
    return text, {"text": text, "link": shown}, {"link": facts}


def _location(place: Location) -> tuple[str, dict[str, Any], dict[str, Any]]:
    text = " - ".join(part for part in (place.name, place.address) if part)
    link = f"https://maps.google.com/?q={place.latitude},{place.longitude}"
    content = {
        "latitude": place.latitude,
        "longitude": place.longitude,
        "name": place.name,
        "address": place.address,
    }
    facts = {
        "latitude": place.latitude,
        "longitude": place.longitude,
        "nome": place.name,
        "endereco": place.address,
    }
    shown = f"📍 {text}\n{link}" if text else f"📍 {link}"
    return shown, {"location": content}, {"localizacao": facts}


def _cards(cards: Sequence[Card]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if not 1 <= len(cards) <= limits.CONTACTS:
        raise Invalid(
            f"Informe de 1 a {limits.CONTACTS} contatos.", code="invalid_contacts", details=None
        )
    contents, facts = [], []
    for card in cards:
        phones = list(card.phones)
        vcard = _vcard(card.name, phones)
        contents.append({"name": card.name, "vcard": vcard})
        facts.append(
            {
                "nome": card.name,
                "telefones": [f"+{phone}" for phone in phones],
                "whatsapp": phones,
                "vcard": vcard,
            }
        )
    text = "\n".join(f"👤 {one['nome']}: {', '.join(one['telefones'])}" for one in facts)
    return text, {"contacts": contents}, {"contatos": facts}


def _vcard(name: str, phones: Sequence[str]) -> str:
    escaped = name.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    escaped = " ".join(escaped.split())
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"FN:{escaped}", f"N:;{escaped};;;"]
    lines += [f"TEL;type=CELL;waid={phone}:+{phone}" for phone in phones]
    return "\n".join([*lines, "END:VCARD"])


def _poll(poll: Poll) -> tuple[str, dict[str, Any], dict[str, Any]]:
    options = list(poll.options)
    if not 2 <= len(options) <= limits.POLL_OPTIONS or len(set(options)) != len(options):
        raise Invalid("Uma enquete tem de 2 a 12 opções diferentes.", code="invalid_poll")
    if not 0 <= poll.selectable <= len(options):
        raise Invalid("Há mais escolhas do que opções.", code="invalid_poll")
    text = "\n".join([f"📊 {poll.name}", *(f"• {option}" for option in options)])
    content = {"name": poll.name, "options": options, "selectable": poll.selectable}
    facts = {"pergunta": poll.name, "opcoes": options, "escolhas": poll.selectable}
    return text, {"poll": content}, {"enquete": facts}


def _hash(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def change_content(operation: str, key: Mapping[str, Any], value: str | None) -> dict[str, Any]:
    """The content of a frame that reacts to, edits or deletes another message."""
    match operation:
        case "reacao":
            return {"reaction": {"key": dict(key), "text": value or ""}}
        case "edicao":
            return {"edit": {"key": dict(key), "text": value}}
        case _:
            return {"delete": {"key": dict(key)}}
