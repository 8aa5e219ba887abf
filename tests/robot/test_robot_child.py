"""The child in virtual time: what it hears it answers once, and nothing keeps it from going on."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
import trio.testing
from robot_support import EPOCH, NUMBER, OWNER, config

from runtime.identity import row_id
from runtime.robot import finishes, robot
from runtime.robot.finishes import FINISHED_AGE
from runtime.robot.robot import (
    BATCH,
    CONFIG_SECONDS,
    CONVERSATION_AGE,
    DEAF_SECONDS,
    MAX_AGE,
    MAX_CHAT,
    OFFLINE_GRACE,
)
from runtime.storage.rows import read_configuracao

WELCOME = ["Olá!", "1 - Vendas\n2 - Suporte"]


async def test_a_new_atendimento_is_welcomed_through_the_outbox(rig, autojump_clock):
    async with rig.running():
        place = rig.place("p1")
        assert await rig.hears(place)
        await trio.sleep(1)
        assert await rig.said() == WELCOME
        assert rig.rung == ["loja"]
        assert await rig.journal.unanswered(limit=9) == []
    welcome, menu = await rig.rows()
    assert welcome["kind"] == "placed"
    assert welcome["atendimento_id"] == place
    assert (welcome["remetente"], welcome["status"]) == ("SISTEMA", "queued")
    assert welcome["dados"] == {"robo": "boas_vindas"}
    assert welcome["timestamp"] < menu["timestamp"]
    key = f"{OWNER}/loja/me/{welcome['whatsapp_id']}"
    assert welcome["id"] == str(row_id(key))


async def test_the_same_step_has_the_same_ids_whenever_it_is_made(rig, autojump_clock):
    async with rig.running():
        await rig.hears(rig.place("p1"))
        await trio.sleep(1)
    first = await rig.journal.outgoing("loja", limit=9)
    # As if the state had been lost, and only the outbox were left.
    rig.robot = rig.new_robot()
    state = (await rig.journal.robot_states(["p1"]))["p1"]
    fresh = {**state.data, "phase": "new"}
    await rig.journal.robot_take(type(state)("p1", fresh, None), answers=None, chat="", now=rig.now)
    async with rig.running():
        await rig.hears("p1", "oi?")
        await trio.sleep(1)
    assert await rig.journal.outgoing("loja", limit=9) == first


async def test_it_goes_on_where_it_was(rig, autojump_clock):
    async with rig.running():
        await rig.hears(rig.place("p1"))
        await trio.sleep(1)
    await rig.hears("p1", "2")  # heard, and then it is not there to answer
    rig.robot = rig.new_robot()
    async with rig.running():
        await trio.sleep(1)
        assert (await rig.said())[2:] == [
            "Você escolheu: Suporte. Um atendente vai continuar a conversa, aguarde um momento."
        ]
    assert (await rig.rows())[-1]["tag"] == "Suporte"


async def test_without_supabase_it_waits_and_beats(rig, autojump_clock):
    async with rig.running():
        rig.tables.down = True
        await rig.hears(rig.place("p1"))
        await trio.sleep(1)
        asked = len(rig.tables.asked)
        await trio.sleep(1000)
        assert await rig.said() == []
        assert len(rig.tables.asked) - asked <= 1, "others find out when it is back"
        rig.tables.down = False
        await trio.sleep(1)
        assert await rig.said() == []  # after 1000 s nobody expects an answer any more
        assert await rig.hears("p1", "oi?")  # and it has not gone deaf meanwhile
        await trio.sleep(1)
        assert await rig.said() == WELCOME
    assert rig.context.longest_silence < 60


async def test_what_waited_too_long_with_us_is_not_answered(rig, autojump_clock):
    async with rig.running():
        rig.tables.down = True
        await rig.hears(rig.place("p1"))
        await trio.sleep(MAX_AGE.total_seconds() + 10)
        rig.tables.down = False
        await trio.sleep(5)
        assert await rig.said() == []
        assert await rig.journal.unanswered(limit=9) == []
        await rig.hears("p1", "oi?")
        await trio.sleep(1)
        assert await rig.said() == WELCOME


@pytest.mark.parametrize(
    ("offline", "seconds", "answered"),
    [(True, 10, True), (True, 61, False), (False, 61, True), (True, -3600, True)],
)
async def test_what_waited_too_long_at_whatsapp_is_not_answered(
    rig, autojump_clock, offline, seconds, answered
):
    assert timedelta(seconds=60) == OFFLINE_GRACE
    async with rig.running():
        written = (rig.now - timedelta(seconds=seconds)).isoformat()
        place = rig.place("p1", data_inicio=written)
        await rig.hears(place, offline=offline, timestamp=written)
        await trio.sleep(1)
        assert await rig.said() == (WELCOME if answered else [])


async def test_before_it_knows_the_configurations_it_forgets_nothing(rig, autojump_clock):
    rig.tables.down = True
    async with rig.running():
        assert await rig.hears(rig.place("p1"))
        await trio.sleep(30)
        rig.tables.down = False
        await trio.sleep(5)
        assert await rig.said() == WELCOME


async def test_a_change_in_supabase_takes_effect_by_itself(rig, autojump_clock):
    rig.tables.configs = []
    async with rig.running():
        assert not await rig.hears(rig.place("p1"))
        rig.tables.configs = [config(mensagem_boas_vindas="Novo")]
        await trio.sleep(CONFIG_SECONDS + 1)
        assert await rig.hears(rig.place("p2"))
        await trio.sleep(1)
        assert (await rig.said())[0] == "Novo"
        rig.tables.configs = [config(ativo=False)]
        await trio.sleep(CONFIG_SECONDS + 1)
        assert not await rig.hears(rig.place("p3"))
        # Attendants are heard on, for the day it is switched on again.
        assert await rig.hears("p2", remetente="ATENDENTE")
        rig.tables.configs = [config()]
        await trio.sleep(CONFIG_SECONDS + 1)
        await rig.hears("p2", "1")
        await trio.sleep(1)
        assert len(await rig.said()) == 2


async def test_a_change_over_the_api_takes_effect_at_once(rig, autojump_clock):
    rig.tables.configs = []
    async with rig.running():
        rig.tables.configs = [config()]
        await rig.robot.read_configs()
        assert await rig.hears(rig.place("p1"))


async def test_a_reading_that_began_earlier_does_not_undo_a_later_one(rig, autojump_clock):
    answers = [(2.0, [config(ativo=False)]), (1.0, [config()])]

    async def slow():
        seconds, rows = answers.pop(0)
        await trio.sleep(seconds)
        return [read_configuracao(row) for row in rows]

    rig.tables.all = slow
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.robot.read_configs)
        await trio.testing.wait_all_tasks_blocked()
        await rig.robot.read_configs()
    assert await rig.hears(rig.place("p1"))


async def test_configurations_that_cannot_be_read_again_still_count(rig, autojump_clock):
    async with rig.running():
        rig.tables.down = True
        await trio.sleep(CONFIG_SECONDS + 1)
        assert await rig.hears(rig.place("p1"))


async def test_the_time_without_an_answer(rig, autojump_clock):
    async with rig.running():
        await rig.hears(rig.place("p1"))
        await trio.sleep(299)
        assert len(await rig.said()) == 2
        await trio.sleep(2)
        assert len(await rig.said()) == 3
        assert "encaminhar" in (await rig.said())[2]
        await trio.sleep(301)
        assert "continua na fila" in (await rig.said())[3]
        await trio.sleep(3000)
        assert len(await rig.said()) == 4


async def test_whoever_was_attended_meanwhile_is_not_reminded(rig, autojump_clock):
    async with rig.running():
        await rig.hears(rig.place("p1"))
        await trio.sleep(200)
        rig.places["p1"]["status"] = "EM_ATENDIMENTO"
        await trio.sleep(2000)
        assert len(await rig.said()) == 2
        assert await rig.journal.robot_due(EPOCH + timedelta(days=1), limit=9) == ([], None)


async def test_an_atendimento_that_is_gone_is_forgotten(rig, autojump_clock):
    async with rig.running():
        await rig.hears(rig.place("p1"))
        await trio.sleep(1)
        await rig.hears("p1", "1")
        del rig.places["p1"]
        await trio.sleep(1)
        assert await rig.journal.unanswered(limit=9) == []
        await trio.sleep(400)
        assert await rig.journal.robot_due(EPOCH + timedelta(days=1), limit=9) == ([], None)
        assert len(await rig.said()) == 2


async def test_an_attendant_in_the_same_moment_wins(rig, autojump_clock):
    place = rig.place("p1")
    await rig.hears(place)
    await rig.hears(place, "Oi, sou a Joana", remetente="ATENDENTE")
    async with rig.running():
        await trio.sleep(1)
        assert await rig.said() == []


# --- goodbye


async def test_goodbye_once(rig, autojump_clock):
    async with rig.running():
        await rig.hears(rig.place("p1"))
        await trio.sleep(1)
        rig.finish("p1")
        await trio.sleep(6)
        assert (await rig.said())[2:] == ["Até logo!"]
        rig.places["p1"]["updated_at"] = rig.now.isoformat()  # a note, afterwards
        await trio.sleep(100)
        rig.places["p1"].update(status="EM_ATENDIMENTO", updated_at=rig.now.isoformat())
        rig.finish("p1")
        await trio.sleep(100)
    rig.robot = rig.new_robot()
    async with rig.running():
        await trio.sleep(100)
    assert (await rig.said())[2:] == ["Até logo!"]


async def test_goodbye_to_whom_it_never_spoke(rig, autojump_clock):
    async with rig.running():
        rig.place("p1", status="EM_ATENDIMENTO")
        rig.finish("p1")
        rig.robot.nudge()
        await trio.sleep(0.2)
        assert await rig.said() == ["Até logo!"]


@pytest.mark.parametrize(
    "changes",
    [
        {"connection_id": None},
        {"connection_id": "outra"},
        {"numero_cliente": "123-456@g.us"},
        {"owner_id": "22222222-2222-4222-8222-222222222222"},
        {"ultima_mensagem": (EPOCH - CONVERSATION_AGE).isoformat()},
        {"data_fim": (EPOCH - FINISHED_AGE).isoformat()},
    ],
)
async def test_no_goodbye(rig, autojump_clock, changes):
    async with rig.running():
        rig.place("p1")
        rig.finish("p1", **changes)
        await trio.sleep(20)
        assert await rig.said() == []


async def test_many_that_end_in_one_moment_and_one_that_shows_late(rig, autojump_clock):
    async with rig.running():
        moment = rig.now
        for number in range(BATCH * 2 + 7):
            rig.place(f"{number:04}", numero_cliente=f"5511{number:09}")
            rig.finish(f"{number:04}", updated_at=moment.isoformat())
        await trio.sleep(6)
        assert len(await rig.said()) == BATCH * 2 + 7
        # A transaction that began before them and was committed after.
        rig.place("late", numero_cliente="5511900000000")
        rig.finish("late", updated_at=(moment - timedelta(seconds=20)).isoformat())
        await trio.sleep(6)
        assert len(await rig.said()) == BATCH * 2 + 8
        await trio.sleep(200)
        asked = len(rig.tables.asked)
        await trio.sleep(50)
        assert len(rig.tables.asked) - asked < 25  # old ones are not read again and again
    assert rig.context.longest_silence < 60


async def test_more_that_end_in_one_moment_than_one_round_reads(rig, autojump_clock, monkeypatch):
    monkeypatch.setattr(finishes, "MAX_PAGES", 2)
    async with rig.running():
        moment = rig.now.isoformat()
        for number in range(BATCH * 5):
            rig.place(f"{number:04}", numero_cliente=f"5511{number:09}")
            rig.finish(f"{number:04}", updated_at=moment)
        await trio.sleep(60)
        assert len(await rig.said()) == BATCH * 5


# --- what must not break it


async def test_a_bug_with_one_message_silences_that_chat_alone(
    rig, autojump_clock, monkeypatch, caplog
):
    original = robot.decide

    def fragile(state, happening, *args, **more):
        if getattr(happening, "text", "") == "boom":
            raise RuntimeError("bug")
        return original(state, happening, *args, **more)

    monkeypatch.setattr(robot, "decide", fragile)
    async with rig.running():
        await rig.hears(rig.place("p1"), "boom")
        await rig.hears(rig.place("p2", numero_cliente="5511900000000"))
        await trio.sleep(1)
        assert await rig.said() == WELCOME
        await rig.hears("p1", "oi")
        await trio.sleep(1)
        assert len(await rig.said()) == 2
    assert "robot failed" in caplog.text


async def test_without_its_connection_it_says_nothing(rig, autojump_clock):
    async with rig.running():
        await rig.journal.forget("loja")
        await rig.hears(rig.place("p1"))
        await trio.sleep(1)
        assert await rig.journal.unanswered(limit=9) == []
        assert rig.rung == []


async def test_it_does_not_talk_to_itself(rig, autojump_clock):
    await rig.journal.update_connection("loja", phone_number=NUMBER)
    async with rig.running():
        await rig.hears(rig.place("p1"))
        await trio.sleep(1)
        assert await rig.said() == []


async def test_a_number_that_cannot_be_written_to_is_left_alone(rig, autojump_clock):
    async with rig.running():
        await rig.hears(rig.place("p1", numero_cliente="x"), numero_cliente="desconhecido")
        await trio.sleep(1)
        assert await rig.said() == []
        assert await rig.journal.unanswered(limit=9) == []


async def test_one_chat_gets_only_so_much(rig, autojump_clock):
    async with rig.running():
        for number in range(MAX_CHAT):
            await rig.hears(rig.place(f"p{number}"))
            await trio.sleep(1)
        assert len(await rig.said()) == MAX_CHAT - 1  # two each time
        await trio.sleep(700)
        await rig.hears(rig.place("later"))
        await trio.sleep(1)
        assert (await rig.said())[-2:] == WELCOME


# --- what it hears of


@pytest.mark.parametrize(
    "changes",
    [
        {"remetente": "SISTEMA"},
        {"kind": "placed"},
        {"kind": "status"},
        {"numero_cliente": "123-456@g.us"},
        {"numero_cliente": "999@newsletter"},
        {"lida": True},
        {"owner_id": "22222222-2222-4222-8222-222222222222"},
    ],
)
async def test_what_is_none_of_its_business(rig, autojump_clock, changes):
    async with rig.running():
        assert not await rig.hears(rig.place("p1"), **changes)
        assert not await rig.hears(None)


async def test_a_customer_known_by_lid_alone(rig, autojump_clock):
    async with rig.running():
        assert await rig.hears(
            rig.place("p1", numero_cliente="77777@lid"), numero_cliente="77777@lid"
        )
        await trio.sleep(1)
        [command, _] = await rig.journal.outgoing("loja", limit=9)
        assert command.to_jid == "77777@lid"


async def test_nothing_piles_up_for_a_robot_that_does_not_run(rig, autojump_clock):
    assert await rig.hears(rig.place("p1"))
    await trio.sleep(DEAF_SECONDS + 1)
    assert not await rig.hears("p1", "alô?")
