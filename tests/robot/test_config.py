"""Rows of whatsapp_configuracoes, however they were edited."""

from __future__ import annotations

from datetime import timedelta
from uuid import NAMESPACE_OID, uuid4, uuid5

import pytest

from runtime.robot.config import MAX_TEXT, Configs, read_config
from runtime.storage.rows import read_configuracao

NAMES = {name: str(uuid5(NAMESPACE_OID, name)) for name in ("a", "b", "c", "x", "y", "off")}


def row(owner="a", company=None, **changes):
    columns = {
        "id": str(uuid4()),
        "owner_id": NAMES[owner],
        "company_id": NAMES.get(company),
        "mensagem_boas_vindas": " Olá ",
        "mensagem_menu": "1 - A",
        "mensagem_despedida": "Tchau",
        "tempo_resposta": 60,
        "max_tentativas": 2,
        "ativo": True,
        **changes,
    }
    return read_configuracao(columns)


def find(configs, owner, company):
    return configs.find(NAMES[owner], NAMES.get(company))


def test_a_row():
    config = read_config(row())
    assert (config.welcome, config.menu, config.goodbye) == ("Olá", "1 - A", "Tchau")
    assert (config.response_time, config.max_tries) == (timedelta(seconds=60), 2)
    assert [option.number for option in config.options] == [1]


@pytest.mark.parametrize("ativo", [True, None])
def test_active_unless_switched_off(ativo):
    assert read_config(row(ativo=ativo)) is not None
    assert read_config(row(ativo=False)) is None


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, 300), (0, 300), (-5, 300), (1, 1), (10**9, 86_400), ("x", 300)]
)
def test_seconds_that_make_no_sense(value, seconds):
    assert read_config(row(tempo_resposta=value)).response_time == timedelta(seconds=seconds)


@pytest.mark.parametrize(("value", "tries"), [(None, 3), (0, 3), (1, 1), (10**9, 20)])
def test_tries_that_make_no_sense(value, tries):
    assert read_config(row(max_tentativas=value)).max_tries == tries


def test_texts_have_an_end():
    config = read_config(row(mensagem_boas_vindas="x" * 9999, mensagem_menu=None))
    assert (len(config.welcome), config.menu, config.options) == (MAX_TEXT, "", ())


def test_the_companys_own_robot_counts_then_the_owners():
    configs = Configs(
        [
            row("a", mensagem_despedida="dono"),
            row("a", "x", mensagem_despedida="empresa"),
            row("a", "off", ativo=False),
            row("b", "x"),
        ]
    )
    assert find(configs, "a", None).goodbye == "dono"
    assert find(configs, "a", "y").goodbye == "dono"
    assert find(configs, "a", "x").goodbye == "empresa"
    assert find(configs, "a", "off") is None
    assert find(configs, "b", None) is None
    assert find(configs, "c", "x") is None
    assert configs.knows(NAMES["a"])
    assert not configs.knows(NAMES["c"])


def test_of_several_for_the_same_the_last_counts():
    configs = Configs([row(mensagem_despedida="1"), row(mensagem_despedida="2")])
    assert find(configs, "a", None).goodbye == "2"
    assert configs.any_active
    assert not Configs([row(), row(ativo=False)]).any_active
    assert not Configs().any_active
