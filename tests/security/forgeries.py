"""Rows that a signed-in user may try to write: pointing at somebody else, or of no sane shape.

Each is a whole row of the attacker's own (``owner_id`` is always the attacker), changed in one way.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .scene import Scene


@dataclass(frozen=True)
class Forgery:
    """One row, and what is wrong with it."""

    name: str
    table: str
    row: dict[str, Any]
    changed: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.table}: {self.name}"


MOMENTS = {
    "at infinity": "infinity",
    "at minus infinity": "-infinity",
    "in the year 294276": "294276-12-31T23:59:59Z",
    "before Christ": "0044-03-15 00:00:00+00 BC",
    "in a hundred years": "2126-01-01T00:00:00Z",
}

SHAPES: dict[str, Any] = {
    "a list": [],
    "a list of lists": [[[]]],
    "a text": "dados",
    "a number": 5,
    "false": False,
    "JSON's null": {"participante": None, "reacoes": None, "midia": None},
    "all members are numbers": dict.fromkeys(
        ("participante", "reacoes", "edicoes", "apagada", "midia", "enquete", "contatos"), 7
    ),
    "all members are texts": dict.fromkeys(
        ("participante", "reacoes", "edicoes", "apagada", "midia", "enquete", "resposta"), "x"
    ),
    "all members are lists": {
        name: [1]
        for name in (
            "participante",
            "reacoes",
            "edicoes",
            "apagada",
            "midia",
            "chamada",
            "resposta",
        )
    },
    "a participant that is a number": {"participante": {"numero": 5}},
    "a participant that is an object": {"participante": {"numero": {"a": "b"}}},
    "a participant at another server": {"participante": {"numero": "1@evil.example"}},
    "a participant with a line break": {"participante": {"numero": "5511\n987654321"}},
    "media that is pending": {"midia": {"estado": "pending"}},
    "media with everything odd": {"midia": {"estado": 1, "codigo": [], "motivo": {}}},
    "reactions of odd shapes": {"reacoes": {"eu": "x", "": [], "5511": {"emoji": 7}}},
    "edits of odd shapes": {"edicoes": [1, "x", {"antes": []}]},
    "deep nesting": {"a": [[[[[[[[[[{"b": [[[[[[[[[["x"]]]]]]]]]]}]]]]]]]]]]},
}

NUMBERS = {
    "without a number": "",
    "a status": "status@broadcast",
    "a list": "12345678@broadcast",
    "a newsletter": "120363000000000000@newsletter",
    "another server": "5511987654321@evil.example",
    "a line break": "5511987654321\n@s.whatsapp.net",
    "a path": "../../../etc/passwd",
    "letters": "não é um número",
    "a device": "5511987654321:99@s.whatsapp.net",
    "very long": "9" * 5000,
    "a condition": '5511987654321"),or(owner_id.not.is.null',
}

WHATSAPP_IDS = {
    "an empty id": "",
    "an id with a line break": "3EB0\n0000",
    "a very long id": "A" * 5000,
    "an id with a quote": '3EB0","fromMe":true',
}


def message(scene: Scene) -> dict[str, Any]:
    """An honest message of the attacker's own."""
    return {
        "id": str(uuid.uuid4()),
        "owner_id": str(scene.attacker.owner),
        "atendimento_id": scene.attackers_message["atendimento_id"],
        "connection_id": scene.attacker.name,
        "conteudo": "linha do intruso",
        "tipo": "TEXTO",
        "remetente": "CLIENTE",
        "timestamp": datetime.now(UTC).isoformat(),
        "lida": False,
        "whatsapp_id": f"3EB0{uuid.uuid4().hex[:16].upper()}",
        "dados": None,
    }


def atendimento(scene: Scene) -> dict[str, Any]:
    """An honest atendimento of the attacker's own."""
    now = datetime.now(UTC).isoformat()
    return {
        "id": str(uuid.uuid4()),
        "owner_id": str(scene.attacker.owner),
        "connection_id": scene.attacker.name,
        "numero_cliente": scene.attackers_customer,
        "nome_cliente": "linha do intruso",
        "status": "EM_ATENDIMENTO",
        "data_inicio": now,
        "ultima_mensagem": now,
        "tags": [],
    }


def session(scene: Scene) -> dict[str, Any]:
    """A session row of the attacker's own, of no connection that exists."""
    return {
        "id": str(uuid.uuid4()),
        "owner_id": str(scene.attacker.owner),
        "session_name": "linha do intruso",
        "status": "connected",
        "connection_id": f"nenhuma-{uuid.uuid4().hex[:8]}",
    }


def robot(scene: Scene) -> dict[str, Any]:
    """A robot of the attacker's own."""
    return {
        "id": str(uuid.uuid4()),
        "owner_id": str(scene.attacker.owner),
        "company_id": str(uuid.uuid4()),
        "nome": "linha do intruso",
        "mensagem_boas_vindas": "oi",
        "mensagem_menu": "1 - Vendas",
        "mensagem_despedida": "tchau",
        "ativo": True,
    }


def forgeries(scene: Scene) -> Iterator[Forgery]:
    """All of them, made anew with ids of their own."""
    victim, theirs = scene.victim, scene.victims_message["atendimento_id"]
    answer = scene.victims_answer["whatsapp_id"]

    def of(table: str, honest: dict[str, Any], name: str, **changed: Any) -> Forgery:
        return Forgery(name, table, {**honest, **changed}, changed)

    for name, changed in {
        "through the victim's connection": {"connection_id": victim.name},
        "in the victim's conversation": {"atendimento_id": theirs},
        "through and in the victim's": {"connection_id": victim.name, "atendimento_id": theirs},
        "the victim's own answer": {
            "connection_id": victim.name,
            "remetente": "ATENDENTE",
            "whatsapp_id": answer,
        },
        "the victim's own answer in its conversation": {
            "connection_id": victim.name,
            "atendimento_id": theirs,
            "remetente": "ATENDENTE",
            "whatsapp_id": answer,
        },
        "a message that the victim's customer wrote": {
            "connection_id": victim.name,
            "atendimento_id": theirs,
            "whatsapp_id": scene.victims_message["whatsapp_id"],
        },
        "of no connection": {"connection_id": None},
        "of a connection that is not": {"connection_id": "nenhuma"},
        "of a path": {"connection_id": "../../journal"},
        "with an order beyond all": {"ordem": 2**63 - 1},
        "with an order below all": {"ordem": -(2**63)},
        "with a file of the machine": {
            "tipo": "IMAGEM",
            "midia_url": "file:///etc/passwd",
            "midia_tipo": "text/html",
            "midia_nome": "../../x\r\nSet-Cookie: a=b",
            "midia_tamanho": -1,
        },
        "with a status of ours": {"remetente": "ATENDENTE", "status": "queued"},
    }.items():
        yield of("whatsapp_mensagens", message(scene), name, **changed)
    for name, moment in MOMENTS.items():
        yield of("whatsapp_mensagens", message(scene), name, timestamp=moment)
    for name, shape in SHAPES.items():
        yield of("whatsapp_mensagens", message(scene), f"dados: {name}", dados=shape)
        own = message(scene)
        yield of("whatsapp_mensagens", own, f"own, {name}", dados=shape, remetente="ATENDENTE")
    for name, text in WHATSAPP_IDS.items():
        yield of("whatsapp_mensagens", message(scene), name, whatsapp_id=text)

    for name, changed in {
        "the victim's customer on its connection": {
            "connection_id": victim.name,
            "numero_cliente": scene.victims_customer,
        },
        "a stranger on the victim's connection": {
            "connection_id": victim.name,
            "numero_cliente": scene.attackers_customer,
        },
        "of no connection": {"connection_id": None},
        "with tags that are an object": {"tags": {"a": 1}},
        "with tags that are a text": {"tags": "vip"},
        "with tags that are numbers": {"tags": [1, [2], None]},
    }.items():
        yield of("whatsapp_atendimentos", atendimento(scene), name, **changed)
    for name, number in NUMBERS.items():
        row = atendimento(scene)
        yield of("whatsapp_atendimentos", row, f"number: {name}", numero_cliente=number)
    for column in ("ultima_mensagem", "data_inicio", "data_fim", "updated_at", "created_at"):
        for name, moment in MOMENTS.items():
            changed = {column: moment, "status": "FINALIZADO"}
            yield of("whatsapp_atendimentos", atendimento(scene), f"{column} {name}", **changed)

    for name, changed in {
        "the victim's connection": {"connection_id": victim.name},
        "of odd facts": {"whatsapp_info": None, "phone_number": "x" * 500, "status": "error"},
    }.items():
        yield of("whatsapp_sessions", session(scene), name, **changed)
    for column in ("connected_at", "created_at", "updated_at"):
        for name, moment in MOMENTS.items():
            yield of("whatsapp_sessions", session(scene), f"{column} {name}", **{column: moment})

    for name, changed in {
        "with no menu": {"mensagem_menu": ""},
        "with a huge menu": {"mensagem_menu": "\n".join(f"{n} - x" for n in range(5000))},
        "with huge texts": {"mensagem_boas_vindas": "é" * 200_000},
        "with negative numbers": {"tempo_resposta": -1, "max_tentativas": -(2**31)},
        "with huge numbers": {"tempo_resposta": 2**31 - 1, "max_tentativas": 2**31 - 1},
        "without numbers": {"tempo_resposta": None, "max_tentativas": None, "ativo": None},
        "changed at infinity": {"updated_at": "infinity"},
        "changed before Christ": {"updated_at": "0044-03-15 00:00:00+00 BC"},
    }.items():
        yield of("whatsapp_configuracoes", robot(scene), name, **changed)
