"""Events of the bridge, made into entries of the journal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from unicodedata import category

from ..identity import message_key, row_id
from ..journal import Connection, NewEntry
from ..media.incoming import incoming_media, media_columns
from ..phones import person
from .changes import Change, aim, known_author, read_change
from .chats import STATUS, Chat, read_chat
from .content import Content, read_content
from .kinds import vote_cast

MAX_READ = 100
"""Messages of one reading; with each of them those before it are read, too."""
NO_PICTURE = ""
"""In place of a picture's URL: there is none any more."""


class Ignored(StrEnum):
    """Why a message is deliberately not for the tables; each is counted."""

    STATUS = "status"
    NEWSLETTER = "newsletter"
    GROUP = "group"
    OWN_LIST = "own_list"
    HOUSEKEEPING = "housekeeping"
    FOREIGN_CHANGE = "foreign_change"


_STUBS = {
    "ciphertext": Content(
        "SISTEMA",
        "Mensagem ainda não disponível. O conteúdo aparece aqui assim que o WhatsApp o entregar.",
        dados={"stub": "ciphertext"},
    ),
    "view_once": Content(
        "SISTEMA",
        "Mensagem de visualização única: só pode ser aberta no celular.",
        dados={"stub": "view_once", "visualizacao_unica": True},
    ),
}
"""What stands in for a message until its content comes."""


def message_entry(connection: Connection, data: Mapping[str, Any]) -> NewEntry | Ignored:
    """The row that this message becomes, or what it changes in another one; or why it is neither.

    Not for the tables are status updates and newsletters, WhatsApp's own housekeeping, what the
    account itself writes to a broadcast list, and groups unless the connection's options say so.
    What a customer writes through a list of theirs is a message of that customer. Raises KeyError,
    TypeError or ValueError when the event is not what the protocol says.
    """
    chat = read_chat(data)
    if (reason := _ignored(connection, chat, data["key"]["remoteJid"])) is not None:
        return reason
    message = data["message"]
    if message is None:
        return _stub_entry(connection, chat, data) or Ignored.HOUSEKEEPING
    change = read_change(message, own=chat.own)
    if change is not None:
        return _change_entry(connection, known_author(chat, data), data, change)
    content = read_content(message)
    if content is None:
        return Ignored.HOUSEKEEPING
    if (vote := data.get("vote")) is not None:
        content = _voted(connection, chat, content, vote["options"])
    return _entry(connection, chat, data, content)


def _ignored(connection: Connection, chat: Chat, jid: str) -> Ignored | None:
    if jid == STATUS:
        return Ignored.STATUS
    if jid.endswith("@newsletter"):
        return Ignored.NEWSLETTER
    if jid.endswith("@broadcast") and chat.through is None:
        return Ignored.OWN_LIST
    if chat.group and not connection.options.get("storeGroups"):
        return Ignored.GROUP
    return None


def _voted(connection: Connection, chat: Chat, content: Content, options: Sequence[str]) -> Content:
    """A vote in a poll of ours, with what it chose."""
    facts = (content.dados or {}).get("voto_em_enquete")
    if facts is None:  # something else stands before it
        return content
    poll = str(row_id(chat.key_of(connection, {"fromMe": True, "id": facts["enquete"]})))
    read = {"voto_em_enquete": {**facts, "id": poll, "opcoes": list(options)}}
    return replace(content, conteudo=vote_cast(options), dados={**(content.dados or {}), **read})


def call_entry(connection: Connection, data: Mapping[str, Any]) -> NewEntry | None:
    """The row that a call becomes when it begins; None for what follows of it."""
    if data["status"] != "offer" or data["from"].endswith("@g.us"):
        return None
    kind = "vídeo" if data.get("isVideo") else "voz"
    rejected = bool(connection.options.get("rejectCalls"))
    text = f"Chamada de {kind} recebida" + (" e recusada automaticamente." if rejected else ".")
    identity = message_key(
        connection.owner_id,
        connection.id,
        chat=data["from"],
        sender=data["from"],
        message_id=f"call-{data['id']}",
    )
    chat = read_chat(
        {
            "key": {"remoteJid": data["from"], "fromMe": False, "id": data["id"]},
            "phone": data.get("phone"),
        }
    )
    content = Content(
        "SISTEMA",
        text,
        dados={
            "chamada": {"id": data["id"], "video": bool(data.get("isVideo")), "recusada": rejected}
        },
    )
    payload = _payload(connection, chat, data, content, identity) | {"remetente": "SISTEMA"}
    return NewEntry(
        kind="message",
        key=identity,
        payload=payload,
        order_key=_order_key(connection, chat),
        event_data=None,
        raw=dict(data),
    )


def contact_entry(
    connection: Connection, number: str, *, name: str | None, picture: str | None
) -> NewEntry:
    """The name or picture (its URL, or `NO_PICTURE`) of a customer or a group, for their open
    atendimento; None leaves what is there."""
    return NewEntry(
        kind="contact",
        key=None,
        payload={
            "kind": "contact",
            "owner_id": connection.owner_id,
            "connection_id": connection.id,
            "numero_cliente": number,
            "nome_cliente": name,
            "foto_url": picture,
        },
    )


def read_entries(connection: Connection, data: Mapping[str, Any]) -> list[NewEntry]:
    """The account's owner has read messages of a chat on the phone: so they are read."""
    chat = read_chat({**data, "key": {"remoteJid": data["chat"], "fromMe": False}})
    return [
        NewEntry(
            kind="read",
            key=None,
            payload={
                "kind": "read",
                "owner_id": connection.owner_id,
                "id": str(row_id(chat.key(connection, message_id))),
            },
        )
        for message_id in data["ids"][:MAX_READ]
    ]


def _entry(
    connection: Connection, chat: Chat, data: Mapping[str, Any], content: Content
) -> NewEntry:
    key = data["key"]
    identity = chat.key(connection, key["id"])
    row = str(row_id(identity))
    payload = _payload(connection, chat, data, content, identity)
    if content.media is not None:
        columns = media_columns(row, content.media)
        payload |= columns | {"dados": {**(payload["dados"] or {}), **columns["dados"]}}
    return NewEntry(
        kind="message",
        key=identity,
        payload=payload,
        order_key=_order_key(connection, chat),
        event_data=None if data.get("history") else _event_data(chat, data, content.tipo),
        raw=dict(data),
        media=incoming_media(connection, row, key, _moment(data), content.media),
    )


def _stub_entry(connection: Connection, chat: Chat, data: Mapping[str, Any]) -> NewEntry | None:
    """A row that says that something is missing; its content fills it under the same id."""
    content = _STUBS.get(data["stub"])
    if content is None and chat.group and data["stub"]:
        content = Content("SISTEMA", f"[{data['stub']}]", dados={"evento": data["stub"]})
    if content is None:
        return None
    identity = chat.key(connection, data["key"]["id"])
    return NewEntry(
        kind="message",
        key=f"{identity}/stub",
        payload=_payload(connection, chat, data, content, identity),
        order_key=_order_key(connection, chat),
        event_data=None,
        raw=dict(data),
    )


def _change_entry(
    connection: Connection, chat: Chat, data: Mapping[str, Any], change: Change
) -> NewEntry | Ignored:
    target = aim(connection, chat, data, change)
    if target is None:
        return Ignored.FOREIGN_CHANGE
    identity = chat.key(connection, data["key"]["id"])
    content = Content("SISTEMA", change.text, dados={"alvo": change.target["id"]})
    return NewEntry(
        kind="change",
        key=identity,
        payload={
            **_payload(connection, chat, data, content, identity),
            "kind": "change",
            "alvo": target.rows[0],
            "alvos": target.rows,
            "proprias": target.of_author,
            "operacao": change.operation,
            "autor": chat.author,
            "autores": chat.names,
            "admin": target.admin,
            "valor": change.value,
        },
        order_key=_order_key(connection, chat),
        event_data={
            **_event_data(chat, data, change.operation),
            "targetId": target.rows[0],
            "value": change.value,
        },
        raw=dict(data),
    )


def _payload(
    connection: Connection,
    chat: Chat,
    data: Mapping[str, Any],
    content: Content,
    identity: str,
) -> dict[str, Any]:
    name = name_of(data)
    facts = dict(content.dados or {})
    if chat.group and not chat.own:
        facts["participante"] = {"numero": chat.author, "nome": name}
    if chat.through is not None:
        facts["lista_transmissao"] = chat.through
    if isinstance(answered := facts.get("resposta"), Mapping):
        facts["resposta"] = _answered(connection, chat, data, answered)
    if history := bool(data.get("history")):
        facts["historico"] = True
    return {
        "kind": "message",
        "id": str(row_id(identity)),
        "owner_id": connection.owner_id,
        "connection_id": connection.id,
        "company_id": connection.company_id,
        "numero_cliente": chat.number,
        "nome_cliente": None if chat.own or chat.group else name,
        "conteudo": content.conteudo,
        "tipo": content.tipo,
        "remetente": "ATENDENTE" if chat.own else "CLIENTE",
        "timestamp": _moment(data).isoformat(),
        "lida": chat.own or history,
        "whatsapp_id": data["key"]["id"] if "key" in data else data["id"],
        "status": "sent" if chat.own else None,
        "midia_tipo": content.midia_tipo,
        "midia_nome": content.midia_nome,
        "midia_tamanho": content.midia_tamanho,
        "dados": facts or None,
    }


def name_of(data: Mapping[str, Any]) -> str | None:
    """What who wrote is called: as WhatsApp attests it of a company, else as they call themselves.

    A name of dots and blanks says nothing, and takes nobody's place.
    """
    for name in (data.get("verifiedName"), data.get("pushName")):
        if isinstance(name, str) and any(category(one)[0] not in "CPZ" for one in name):
            return name.strip()
    return None


def _answered(
    connection: Connection, chat: Chat, data: Mapping[str, Any], answered: Mapping[str, Any]
) -> dict[str, Any]:
    """The quoted message with the id of its row, as far as its author can be told."""
    author = str(answered.get("de") or "")
    own = chat.own if not author else _is_own(connection, chat, author)
    target = {"fromMe": own, "id": answered["mensagem_id"], "participant": author or None}
    return {**answered, "id": str(row_id(chat.key_of(connection, target)))}


def _is_own(connection: Connection, chat: Chat, jid: str) -> bool:
    """In a chat of two whoever is not the customer is the account itself."""
    user = _user(jid)
    if chat.group:
        return user in (connection.phone_number, _user(connection.whatsapp_id or ""))
    return user not in (_user(chat.number), _user(chat.address))


def _user(jid: str) -> str:
    return jid.partition("@")[0].partition(":")[0]


def _event_data(chat: Chat, data: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        "messageId": data["key"]["id"],
        "from": chat.number,
        "name": name_of(data),
        "type": kind,
        "offline": bool(data.get("offline")),
    }


def _order_key(connection: Connection, chat: Chat) -> str:
    return f"{connection.owner_id}/{connection.id}/{person(chat.number)}"


def _moment(data: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(data["timestamp"]), UTC)
