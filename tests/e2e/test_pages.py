"""Pages of messages by keyset: every row once, in order, however equal the timestamps are."""

from __future__ import annotations

import uuid

import pytest

API = "/api/whatsapp-integration"


@pytest.fixture
def conversation(shared_product):
    """Forty rows at three moments, some without ``ordem`` as earlier back ends wrote them."""
    owner, atendimento = shared_product.owner(), uuid.uuid4()
    shared_product.query(
        "insert into whatsapp_atendimentos (id, owner_id, numero_cliente) values (%s, %s, 'x')"
        " returning id",
        atendimento,
        owner,
    )
    shared_product.query(
        "insert into whatsapp_mensagens"
        " (owner_id, atendimento_id, conteudo, remetente, timestamp, ordem)"
        " select %s, %s, n::text, 'CLIENTE', '2026-01-01'::timestamptz"
        " + (n %% 3) * interval '1 microsecond', case when n %% 2 = 0 then n / 6 end"
        " from generate_series(1, 40) n returning id",
        owner,
        atendimento,
    )
    return owner, atendimento


@pytest.mark.parametrize("size", [1, 7, 40, 50])
def test_every_row_comes_once_and_in_order(shared_product, conversation, size):
    owner, atendimento = conversation
    url = f"{API}/messages/{atendimento}"
    whole = [row["id"] for row in shared_product.data("GET", url, params={"limit": 100})]
    assert len(whole) == 40
    seen, after = [], {}
    while page := shared_product.data("GET", url, params={"limit": size, **after}):
        seen += [row["id"] for row in page]
        after = {"after": seen[-1], "ownerId": str(owner)}
    assert seen == whole


def test_a_row_of_another_conversation_is_no_place_to_go_on_from(shared_product, conversation):
    _, atendimento = conversation
    response = shared_product.call(
        "GET", f"{API}/messages/{atendimento}", params={"after": str(uuid.uuid4())}
    )
    assert (response.status_code, response.json()["code"]) == (404, "message_not_found")
