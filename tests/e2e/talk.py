"""What the tests of conversations have in common: rows, simulated customers, calls of the API."""

from __future__ import annotations

from typing import Any

from .harness import Shop, until

API = "/api/whatsapp-integration"


def rows(shop: Shop) -> list[dict[str, Any]]:
    """The messages of a shop with their customer, oldest first."""
    found = shop.product.query(
        "select to_jsonb(m) || jsonb_build_object('numero_cliente', a.numero_cliente)"
        " from whatsapp_mensagens m join whatsapp_atendimentos a on a.id = m.atendimento_id"
        " where m.owner_id = %s order by m.timestamp, m.ordem",
        shop.owner,
    )
    return [row for (row,) in found]


def wait_row(shop: Shop, seconds: float = 20.0, **wanted: Any) -> dict[str, Any]:
    """The first row with these columns."""

    def find() -> dict[str, Any] | None:
        for row in rows(shop):
            if all(row[name] == value for name, value in wanted.items()):
                return row
        return None

    return until(find, seconds=seconds, what=f"a row with {wanted}, not {rows(shop)}")


def write(shop: Shop, contact: str, text: str) -> str:
    """A simulated customer writes to the shop; the WhatsApp id of the message."""
    return shop.simulator.post(f"/contacts/{contact}/send", to=shop.number, text=text)["ids"][0]


def write_message(shop: Shop, contact: str, message: dict[str, Any], to: str | None = None) -> str:
    """The same with any content, as protobuf JSON."""
    sent = shop.simulator.post(f"/contacts/{contact}/send", to=to or shop.number, message=message)
    return sent["ids"][0]


def inbox(shop: Shop, contact: str) -> list[dict[str, Any]]:
    """What a simulated customer was shown."""
    return shop.simulator.get(f"/contacts/{contact}/inbox")


def shown(shop: Shop, contact: str, kind: str, *, whole: bool = False) -> dict[str, Any]:
    """The content of the first message of this kind that a customer was shown; ``whole`` with what
    it is wrapped in."""
    found = until(
        lambda: [one for one in inbox(shop, contact) if one["kind"] == kind],
        what=f"{contact} is shown a {kind}",
    )
    message: dict[str, Any] = found[0]["message"]
    return message if whole else message[kind]


def send(shop: Shop, to: str, **fields: Any) -> dict[str, Any]:
    """``POST /messages/send``."""
    body = {"connectionId": shop.name, "to": to, **fields}
    return shop.product.data("POST", f"{API}/messages/send", json=body)
