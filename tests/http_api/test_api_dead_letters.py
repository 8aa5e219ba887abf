"""Dead letters over HTTP: listed, inspected, corrected and retried."""

import pytest

BASE = "/api/whatsapp-integration/dead-letters"


async def test_they_are_listed_a_page_at_a_time(client, application):
    answer = await client.get(BASE, params={"limit": 10, "afterSeq": 3})
    assert [letter["seq"] for letter in answer.json()["data"]] == [7]
    assert application.calls == [("dead_letters", 10, 3)]


async def test_one_is_shown_whole(client):
    letter = (await client.get(f"{BASE}/7")).json()["data"]
    assert (letter["code"], letter["payload"]) == ("23503", {"conteudo": "oi"})


async def test_an_unknown_one_is_not_found(client):
    answer = await client.get(f"{BASE}/8")
    assert (answer.status_code, answer.json()["code"]) == (404, "dead_letter_not_found")


@pytest.mark.parametrize(
    ("body", "changes"), [(None, {}), ({}, {}), ({"changes": {"tipo": "TEXTO"}}, {"tipo": "TEXTO"})]
)
async def test_a_retry_may_correct_it(client, application, body, changes):
    answer = await client.post(f"{BASE}/7/retry", json=body)
    assert answer.json()["success"] is True
    assert application.calls == [("retry_dead_letter", 7, changes)]


@pytest.mark.parametrize("body", [{"changes": "x"}, {"changes": [1]}, [], "x"])
async def test_a_correction_must_be_an_object(client, application, body):
    answer = await client.post(f"{BASE}/7/retry", json=body)
    assert (answer.status_code, application.calls) == (400, [])


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 201}, {"afterSeq": -1}])
async def test_pages_are_bounded(client, params):
    assert (await client.get(BASE, params=params)).status_code == 400
