"""The decisions: a story at a time, and what holds in every story."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.robot import texts
from runtime.robot.config import Config, read_config
from runtime.robot.decide import (
    BURST,
    LATE,
    MAX_REPEATS,
    Attendant,
    Customer,
    Decision,
    Due,
    Finished,
    Phase,
    State,
    decide,
    from_data,
    to_data,
)
from runtime.storage.rows import read_configuracao

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
OPENING = Customer("oi", "TEXTO", opened=True)


def config(**changes) -> Config:
    row = {
        "id": str(UUID(int=1)),
        "owner_id": str(UUID(int=2)),
        "mensagem_boas_vindas": "Olá! Bem-vindo à nossa loja.",
        "mensagem_menu": "Escolha:\n1 - Vendas\n2 - Suporte",
        "mensagem_despedida": "Até logo!",
        "tempo_resposta": 300,
        "max_tentativas": 3,
        **changes,
    }
    found = read_config(read_configuracao(row))
    assert found is not None
    return found


class Story:
    """One atendimento: happenings, and what came of them."""

    def __init__(self, settings: Config | None = None) -> None:
        self.config: Config | None = config() if settings is None else settings
        self.state: State | None = None
        self.now = NOON
        self.status = "AGUARDANDO"
        self.allowance = 100

    def goes(self, happening, *, after: float = 10.0) -> list[str]:
        """The steps taken."""
        self.now += timedelta(seconds=after)
        self.decision: Decision = decide(
            self.state,
            happening,
            self.config,
            status=self.status,
            now=self.now,
            allowance=self.allowance,
        )
        self.state = self.decision.state
        return [message.step for message in self.decision.messages]

    def says(self, text: str, *, after: float = 10.0, **more) -> list[str]:
        return self.goes(Customer(text, "TEXTO", **more), after=after)

    @property
    def phase(self) -> Phase | None:
        return None if self.state is None else self.state.phase


def test_welcome_menu_choice_reminder_goodbye():
    story = Story()
    assert story.goes(OPENING) == ["boas_vindas", "menu"]
    assert story.says("2") == ["opcao"]
    (chosen,) = story.decision.messages
    assert (chosen.tag, "Suporte" in chosen.text) == ("Suporte", True)
    assert story.says("minha impressora quebrou") == []
    assert story.state.due is not None
    assert story.goes(Due(), after=300) == ["lembrete"]
    assert story.state.due is None
    assert story.says("alô?") == []
    assert story.goes(Finished(lately=True)) == ["despedida"]
    assert story.goes(Finished(lately=True)) == []
    assert story.says("1") == []


def test_wrong_answers_lead_to_an_attendant():
    story = Story()
    story.goes(OPENING)
    assert story.says("banana") == ["invalida-1"]
    assert story.decision.messages[0].text.endswith("2 - Suporte")
    assert story.goes(Customer("", "AUDIO")) == ["invalida-2"]
    assert story.says("uva") == ["encaminhamento"]
    assert story.phase is Phase.WAITING
    assert story.says("1") == []


def test_no_answer_to_the_menu_leads_to_an_attendant_too():
    story = Story()
    story.goes(OPENING)
    assert story.goes(Due(), after=299) == []
    assert story.goes(Due(), after=1) == ["encaminhamento"]
    assert story.goes(Due(), after=300) == ["lembrete"]
    assert story.goes(Due(), after=300) == []


def test_what_comes_in_one_breath_with_the_opening_is_no_wrong_answer():
    story = Story()
    story.goes(OPENING)
    assert story.says("tudo bem?", after=1) == []
    assert story.state.tries == 0
    assert story.says("1", after=0.5) == ["opcao"]
    other = Story()
    other.goes(OPENING)
    assert other.says("quanto custa?", after=BURST.total_seconds()) == ["invalida-1"]


@pytest.mark.parametrize("place", ["menu", "waiting", "new"])
def test_an_attendant_stops_it(place):
    story = Story()
    story.goes(Customer("oi", "TEXTO", opened=True, old=place == "new"))
    if place == "waiting":
        story.says("1")
    assert story.goes(Attendant()) == []
    assert (story.phase, story.state.due) == (Phase.ATTENDED, None)
    assert story.says("1") == story.goes(Due(), after=9999) == []
    assert story.goes(Finished(lately=True)) == ["despedida"]


def test_an_attendant_who_was_quicker_than_the_welcome():
    story = Story()
    assert story.goes(Attendant()) == []
    assert story.goes(OPENING) == []


def test_whoever_is_attended_is_left_alone():
    story = Story()
    story.goes(OPENING)
    story.status = "EM_ATENDIMENTO"
    assert story.says("1") == []
    assert story.phase is Phase.ATTENDED
    story.status = "AGUARDANDO"
    assert story.says("1") == []


def test_old_messages_are_not_answered_but_the_next_one_is():
    story = Story()
    assert story.says("ontem", opened=True, old=True) == []
    assert story.phase is Phase.NEW
    assert story.says("ontem também", old=True) == []
    assert story.says("hoje") == ["boas_vindas", "menu"]
    assert story.says("2", old=True) == []


def test_what_began_before_the_robot_is_left_alone():
    story = Story()
    assert story.says("oi") == []
    assert story.state is None
    story.config = None
    assert story.goes(OPENING) == []
    assert story.state is None


def test_switched_off_and_on_again():
    story = Story()
    story.goes(OPENING)
    active, story.config = story.config, None
    assert story.says("1") == story.goes(Due(), after=9999) == []
    assert story.state.due is None
    story.config = active
    assert story.says("1") == ["opcao"]


@pytest.mark.parametrize("status", ["FINALIZADO", "CANCELADO"])
def test_a_closed_one_gets_no_answer(status):
    story = Story()
    story.status = status
    assert story.goes(OPENING) == []


def test_late_reminders_are_not_said():
    story = Story()
    story.goes(OPENING)
    late = 300 + LATE.total_seconds() + 1
    assert story.goes(Due(), after=late) == []
    assert story.phase is Phase.WAITING
    assert story.goes(Due(), after=late) == []
    assert story.state.due is None


def test_blank_texts_are_not_said():
    silent = Story(config(mensagem_boas_vindas="", mensagem_despedida=" "))
    assert silent.goes(OPENING) == ["menu"]
    assert silent.goes(Finished(lately=True)) == []
    menuless = Story(config(mensagem_menu="Já falamos com você."))
    assert menuless.goes(OPENING) == ["boas_vindas", "menu"]
    assert menuless.phase is Phase.WAITING
    assert menuless.says("1") == []
    assert menuless.goes(Due(), after=300) == ["lembrete"]
    mute = Story(config(mensagem_boas_vindas="", mensagem_menu="", mensagem_despedida=""))
    assert mute.goes(OPENING) == []


def test_a_menu_that_lost_its_options_hands_over():
    story = Story()
    story.goes(OPENING)
    story.config = config(mensagem_menu="")
    assert story.says("1") == ["encaminhamento"]


def test_finished_long_ago_gets_no_goodbye():
    story = Story()
    story.goes(OPENING)
    assert story.goes(Finished(lately=False)) == []
    assert story.phase is Phase.ENDED


def test_the_same_text_again_and_again_is_a_machine():
    story = Story(config(max_tentativas=20))
    story.goes(OPENING)
    steps = [story.says("Estou dirigindo, respondo depois.") for _ in range(MAX_REPEATS)]
    assert [bool(step) for step in steps] == [True] * (MAX_REPEATS - 1) + [False]
    assert story.phase is Phase.SILENT
    assert story.says("1") == story.goes(Due(), after=9999) == []
    assert story.goes(Finished(lately=True)) == []


@pytest.mark.parametrize(
    "text",
    [
        f"{texts.INVALID}\n\n1 - A",
        texts.CHOSEN.format(label="Pães"),
        texts.HANDOVER,
        texts.REMINDER.upper(),
        "*Olá!* Bem-vindo à nossa loja.",
        "Escolha:\n1 - Vendas\n2 - Suporte",
    ],
)
def test_who_speaks_like_us_is_a_robot(text):
    story = Story()
    assert story.says(text, opened=True) == []
    assert story.phase is Phase.SILENT


def test_two_robots_with_the_same_texts_and_two_with_others():
    for other_texts in (
        {},
        {"mensagem_boas_vindas": "Padaria, bom dia.", "mensagem_menu": "1: Pão"},
    ):
        pair = [Story(config(max_tentativas=20)), Story(config(max_tentativas=20, **other_texts))]
        post, spoken = [(0, "oi")], 0
        opened = [True, True]
        while post:
            to, text = post.pop(0)
            story, other = pair[to], 1 - to
            story.allowance = 15 - spoken
            for _ in story.says(text, opened=opened[to], after=60):
                spoken += 1
            opened[to] = False
            post += [(other, message.text) for message in story.decision.messages]
        assert spoken <= 8, other_texts


def test_no_more_than_the_chat_may_get():
    story = Story()
    story.allowance = 1
    assert story.goes(OPENING) == []
    assert story.phase is Phase.SILENT
    ended = Story()
    ended.goes(OPENING)
    ended.allowance = 0
    assert ended.goes(Finished(lately=True)) == []
    assert ended.phase is Phase.ENDED


# --- what holds in every story

WORDS = st.sampled_from(["1", "2", "oi", "banana", "vendas", texts.HANDOVER, ""])
HAPPENINGS = st.one_of(
    st.builds(
        Customer,
        WORDS,
        st.sampled_from(["TEXTO", "AUDIO", "SISTEMA"]),
        opened=st.booleans(),
        old=st.booleans(),
    ),
    st.just(Attendant()),
    st.just(Due()),
    st.builds(Finished, lately=st.booleans()),
)
SCENES = st.lists(
    st.tuples(
        HAPPENINGS,
        st.sampled_from([0.0, 1.0, 10.0, 300.0, 5000.0]),
        st.sampled_from(["AGUARDANDO"] * 3 + ["EM_ATENDIMENTO", "FINALIZADO", "CANCELADO"]),
        st.booleans(),
        st.integers(0, 5),
    ),
    max_size=40,
)


@settings(max_examples=400)
@given(SCENES, st.integers(1, 20))
def test_in_every_story(scenes, tries):
    story = Story()
    active = config(max_tentativas=tries)
    steps: list[str] = []
    attended = False
    for happening, after, status, on, allowance in scenes:
        story.config = active if on else None
        story.status, story.allowance = status, allowance
        before = story.phase
        taken = story.goes(happening, after=after)
        steps += taken
        state = story.state
        assert len(taken) <= allowance
        assert on or not taken
        assert not (isinstance(happening, Customer) and happening.old and taken)
        assert status == "AGUARDANDO" or isinstance(happening, Finished) or not taken
        assert not attended or set(taken) <= {"despedida"}
        attended = attended or isinstance(happening, Attendant)
        if before in (Phase.ENDED, Phase.SILENT):
            assert taken == []
        if state is not None:
            assert state.due is None or state.phase in (Phase.MENU, Phase.WAITING)
            assert state.due is None or state.due > story.now or not isinstance(happening, Due)
            assert from_data(to_data(state), state.due) == state
    assert len(steps) == len(set(steps)), "no step is taken twice"
    assert len(steps) <= tries + 5
