"""Reading the numbered options of a menu, and what an answer means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.robot.menu import MAX_OPTIONS, Option, choose, read_options
from runtime.robot.texts import fold

MENU = """Olá! Escolha uma opção:

1 - Vendas
*2.* Suporte técnico
3️⃣ Financeiro
(4) 2ª via de boleto
[5]: Trocas (loja)
0 — Falar com um atendente
"""
OPTIONS = read_options(MENU)


def test_every_spelling_of_an_option():
    assert read_options(MENU) == (
        Option(1, "Vendas"),
        Option(2, "Suporte técnico"),
        Option(3, "Financeiro"),
        Option(4, "2ª via de boleto"),
        Option(5, "Trocas (loja)"),
        Option(0, "Falar com um atendente"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Vendas",
        "24 horas por dia",
        "10:30 às 18:00",
        "8h - 18h",
        "9-18h",
        "100 - Centenas",
        "1 -",
        "1 - ***",
        "- 1 Vendas",
        "Tel. 1 - 2",
    ],
)
def test_other_lines_are_just_text(line):
    assert read_options(line) == ()


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("1.Vendas", Option(1, "Vendas")),
        ("  01) Vendas  ", Option(1, "Vendas")),
        ("10 - Dez", Option(10, "Dez")),
        ("🔟 Dez", Option(10, "Dez")),
        ("1️⃣2️⃣ Doze", Option(12, "Doze")),
        ("_3_ — *Três*", Option(3, "Três")),
        ("1 - 2a opção", Option(1, "2a opção")),
    ],
)
def test_other_spellings(line, option):
    assert read_options(line) == (option,)


def test_of_two_with_one_number_the_first_counts():
    assert read_options("1 - A\n1 - B") == (Option(1, "A"),)


def test_a_menu_has_an_end():
    assert len(read_options("\n".join(f"{n} - x" for n in range(100)))) == MAX_OPTIONS


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("2", 2),
        (" 2. ", 2),
        ("02", 2),
        ("2️⃣", 2),
        ("\uff12", 2),
        ("*2*", 2),
        ("2 👍", 2),
        ("opção 2", 2),
        ("Opcao 2!", 2),
        ("a opção 2", 2),
        ("nº 2", 2),
        ("número 2", 2),
        ("suporte TECNICO", 2),
        ("2 - Suporte técnico", 2),
        ("*2.* Suporte técnico", 2),
        ("0", 0),
        ("2a via de boleto", 4),
        ("trocas (loja)", 5),
    ],
)
def test_answers(answer, number):
    chosen = choose(OPTIONS, answer)
    assert chosen is not None
    assert chosen.number == number


@pytest.mark.parametrize(
    "answer", ["", "   ", "👍", "7", "22", "1 e 2", "suporte", "1,5", "dois", "oi", "٢ ou 1"]
)
def test_answers_that_mean_nothing(answer):
    assert choose(OPTIONS, answer) is None


def test_a_label_that_two_options_have_means_neither():
    options = read_options("1 - Loja\n2 - LOJA")
    assert choose(options, "loja") is None
    assert choose(options, "2") == Option(2, "LOJA")


@given(st.text())
def test_any_text_can_be_read_and_answered(text):
    for option in read_options(text):
        assert 0 <= option.number <= 99
        assert option.label.strip() == option.label != ""
        assert choose((option,), str(option.number)) == option
    choose(OPTIONS, text)
    assert fold(fold(text)) == fold(text)
