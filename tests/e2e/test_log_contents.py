"""What is in the logs of a running product, and what is not."""

from __future__ import annotations

import json

import pytest

from tests import log_contents

from .harness import API_KEY, until


def test_a_message_leaves_traces_that_belong_together_but_not_itself(
    shared_product, simulator, open_shop, customer
):
    shop, maria = open_shop(shared_product, "discreta"), customer()
    simulator.post(f"/contacts/{maria}/send", to=shop.number, text="um segredo só nosso")
    shared_product.send("discreta", maria, "ninguém mais precisa saber")
    until(lambda: shop.texts(maria) and shop.texts(maria, "ATENDENTE"), what="both are stored")
    shared_product.data("POST", "/api/whatsapp-integration/connections/discreta/restart")
    shop.wait_connected()

    log = shared_product.directory / "logs" / "combined.log"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    own = [record for record in records if record.get("connection") == "discreta"]

    assert {"attached", "closed"} & {record["event"].rpartition("_")[2] for record in own}
    assert {"time", "level", "logger", "event"} <= own[0].keys()
    shared_product.check_logs()


@pytest.mark.parametrize(
    "line",
    [
        "para 5511912345678: guarde bem",
        f"Authorization: Bearer {API_KEY}",
        "token " + "0f" * 32,
        "apikey eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x",
        "content=a mensagem inteira",
    ],
)
def test_the_check_finds_what_should_not_be_there(tmp_path, line):
    log_contents.use({"number": "5511912345678"})
    log_contents.use({"connectionId": "loja", "content": "a mensagem inteira"})
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "combined.log.1").write_text(f"{line}\n")

    with pytest.raises(AssertionError, match=r"combined\.log\.1 holds"):
        log_contents.check(tmp_path)


def test_what_the_product_says_by_itself_is_not_a_test_s_text(tmp_path):
    log_contents.use({"content": "continua"})
    (tmp_path / "server.log").write_text("Para continuar com ele, chame POST …/restart.\n")

    assert [path.name for path in log_contents.files(tmp_path)] == ["server.log"]
    log_contents.check(tmp_path)


def test_a_number_is_found_although_the_product_shows_it_as_an_example(tmp_path, monkeypatch):
    monkeypatch.setattr(log_contents, "_used", set())
    log_contents.use({"number": "5511987654321"})
    (tmp_path / "server.log").write_text("para 5511987654321\n")

    with pytest.raises(AssertionError, match=r"server\.log holds"):
        log_contents.check(tmp_path)
