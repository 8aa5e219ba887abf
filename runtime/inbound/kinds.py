"""Kinds of messages without a column of their own: a readable text, and the facts for ``dados``.

Each reader takes the body of one kind of ``WebMessageInfo.message`` and gives ``(tipo, conteudo,
dados)``. The table of kinds is in docs/messages.md. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Body = Mapping[str, Any]
Reading = tuple[str, str, dict[str, Any]]

MAX_CARDS = 50
"""Cards of one message whose facts are kept."""
MAX_OPTIONS = 50


def _location(body: Body) -> Reading:
    latitude, longitude = body.get("degreesLatitude"), body.get("degreesLongitude")
    name, address = body.get("name"), body.get("address")
    text = " - ".join(part for part in (name, address) if part)
    place = f"https://maps.google.com/?q={latitude},{longitude}"
    facts = {"latitude": latitude, "longitude": longitude, "nome": name, "endereco": address}
    return "TEXTO", f"📍 {text}\n{place}" if text else f"📍 {place}", {"localizacao": facts}


def _live_location(body: Body) -> Reading:
    tipo, text, facts = _location(body)
    facts["localizacao"]["ao_vivo"] = True
    caption = body.get("caption")
    return tipo, f"{text}\n{caption}" if caption else text, facts


_TELEPHONE = re.compile(r"^(?:item\d+\.)?TEL[^:]*:(.+)$", re.IGNORECASE | re.MULTILINE)
_WAID = re.compile(r"waid=(\d{5,20})", re.IGNORECASE)


def _card(body: Body) -> dict[str, Any]:
    vcard = str(body.get("vcard") or "")
    phones = [match.strip() for match in _TELEPHONE.findall(vcard)]
    return {
        "nome": body.get("displayName") or "",
        "telefones": phones,
        "whatsapp": _WAID.findall(vcard),
        "vcard": vcard,
    }


def _contacts(cards: list[dict[str, Any]]) -> Reading:
    lines = [
        f"👤 {card['nome']}" + (f": {', '.join(card['telefones'])}" if card["telefones"] else "")
        for card in cards
    ]
    return "TEXTO", "\n".join(lines), {"contatos": cards}


def _contact(body: Body) -> Reading:
    return _contacts([_card(body)])


def _contact_list(body: Body) -> Reading:
    return _contacts([_card(card) for card in (body.get("contacts") or [])[:MAX_CARDS]])


def _poll(body: Body) -> Reading:
    options = [
        str(one.get("optionName") or "") for one in (body.get("options") or [])[:MAX_OPTIONS]
    ]
    question = str(body.get("name") or "")
    text = "\n".join([f"📊 {question}", *(f"• {option}" for option in options)])
    facts = {
        "pergunta": question,
        "opcoes": options,
        "escolhas": int(body.get("selectableOptionsCount") or 0),
    }
    return "TEXTO", text, {"enquete": facts}


def _poll_vote(body: Body) -> Reading:
    poll = (body.get("pollCreationMessageKey") or {}).get("id")
    return "SISTEMA", "Votou em uma enquete.", {"voto_em_enquete": {"enquete": poll}}


def vote_cast(options: Sequence[str]) -> str:
    """What a vote says, where it can be read; without options it was taken back."""
    return f"Votou: {', '.join(options)}" if options else "Retirou o voto da enquete."


def _choice(text_at: str, id_at: str) -> Callable[[Body], Reading]:
    """An answer to buttons or a list: what the customer chose is what they said."""

    def read(body: Body) -> Reading:
        chosen = _at(body, text_at) or _at(body, id_at) or ""
        return "TEXTO", str(chosen), {"escolha": {"id": _at(body, id_at)}}

    return read


def _at(body: Body, path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _invite(body: Body) -> Reading:
    name = body.get("groupName") or ""
    facts = {"grupo": body.get("groupJid"), "nome": name, "codigo": body.get("inviteCode")}
    return "TEXTO", f"Convite para o grupo {name}", {"convite": facts}


def _product(body: Body) -> Reading:
    product = body.get("product") or {}
    title, text = product.get("title") or "", body.get("body") or ""
    facts = {"id": product.get("productId"), "titulo": title, "url": product.get("url")}
    return "TEXTO", "\n".join(part for part in (f"🛍️ {title}", text) if part), {"produto": facts}


def _order(body: Body) -> Reading:
    facts = {"id": body.get("orderId"), "itens": body.get("itemCount"), "token": body.get("token")}
    text = body.get("message") or ""
    return "TEXTO", f"🛒 Pedido pelo catálogo\n{text}".strip(), {"pedido": facts}


def _event(body: Body) -> Reading:
    name, description = body.get("name") or "", body.get("description") or ""
    cancelled = bool(body.get("isCanceled"))
    facts = {"nome": name, "inicio": body.get("startTime"), "cancelado": cancelled}
    text = "\n".join(part for part in (f"📅 {name}", description) if part)
    return "TEXTO", text, {"convite_evento": facts}


def _business(*paths: str) -> Callable[[Body], Reading]:
    """A text with buttons, a list or a form under it, as companies send them: the text."""

    def read(body: Body) -> Reading:
        parts = [str(part) for path in paths if (part := _at(body, path))]
        return "TEXTO", "\n".join(parts), {"interativa": True}

    return read


KINDS: dict[str, Callable[[Body], Reading]] = {
    "locationMessage": _location,
    "liveLocationMessage": _live_location,
    "contactMessage": _contact,
    "contactsArrayMessage": _contact_list,
    "pollCreationMessage": _poll,
    "pollCreationMessageV2": _poll,
    "pollCreationMessageV3": _poll,
    "pollCreationMessageV5": _poll,
    "pollUpdateMessage": _poll_vote,
    "buttonsResponseMessage": _choice("selectedDisplayText", "selectedButtonId"),
    "listResponseMessage": _choice("title", "singleSelectReply.selectedRowId"),
    "templateButtonReplyMessage": _choice("selectedDisplayText", "selectedId"),
    "interactiveResponseMessage": _choice("body.text", "nativeFlowResponseMessage.name"),
    "buttonsMessage": _business("text", "contentText", "footerText"),
    "listMessage": _business("title", "description", "footerText"),
    "templateMessage": _business(
        "hydratedTemplate.hydratedTitleText",
        "hydratedTemplate.hydratedContentText",
        "hydratedTemplate.hydratedFooterText",
    ),
    "interactiveMessage": _business("header.title", "body.text", "footer.text"),
    "eventMessage": _event,
    "groupInviteMessage": _invite,
    "productMessage": _product,
    "orderMessage": _order,
}


def context_facts(kind: str, body: Any) -> dict[str, Any]:
    """What stands beside any content: the quoted message, mentions, a link's preview, its origin.

    ``resposta.mensagem_id`` is WhatsApp's id; the caller adds the row's.
    """
    if not isinstance(body, Mapping):
        return {}
    facts: dict[str, Any] = {}
    context = body.get("contextInfo")
    if isinstance(context, Mapping):
        if context.get("stanzaId"):
            facts["resposta"] = {
                "mensagem_id": context["stanzaId"],
                "de": context.get("participant"),
            }
        if mentioned := context.get("mentionedJid"):
            facts["mencoes"] = list(mentioned)[:MAX_CARDS]
        if context.get("isForwarded"):
            facts["encaminhada"] = True
        advertisement = context.get("externalAdReply")
        if isinstance(advertisement, Mapping):
            facts["anuncio"] = {
                "titulo": advertisement.get("title"),
                "texto": advertisement.get("body"),
                "url": advertisement.get("sourceUrl"),
                "id": advertisement.get("sourceId"),
            }
    if kind == "extendedTextMessage" and body.get("matchedText"):
        facts["link"] = {
            "url": body["matchedText"],
            "titulo": body.get("title"),
            "descricao": body.get("description"),
        }
    if body.get("viewOnce"):
        facts["visualizacao_unica"] = True
    return facts
