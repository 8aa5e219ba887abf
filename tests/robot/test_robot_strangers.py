"""Rows that strangers wrote: each costs its owner, and nobody else waits or goes without."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
from robot_support import EPOCH, config

from runtime.journal import Connection
from runtime.robot import finishes
from runtime.robot.finishes import BATCH, FAIR_SHARE, FINISHED_AGE, MAX_PAGES
from tests import hostile

STRANGER = "99999999-9999-4999-8999-999999999999"
WELCOME = ["Olá!", "1 - Vendas\n2 - Suporte"]
ODD = (*(at.replace(" ", "T").replace("+00", "+00:00") for at in hostile.TIMES), "", None, 5)


async def welcomed(rig, place="honest"):
    """Whether a customer who writes now is answered."""
    before = len(await rig.said())
    await rig.hears(rig.place(place))
    await trio.sleep(1)
    return (await rig.said())[before:] == WELCOME


@pytest.mark.parametrize("column", ["updated_at", "data_fim", "ultima_mensagem", "data_inicio"])
async def test_times_that_are_none_of_ours_stop_nobody(rig, autojump_clock, column):
    async with rig.running():
        for number, written in enumerate(ODD):
            place = f"odd{number}"
            rig.place(place, owner_id=STRANGER)
            rig.finish(place, **{column: written})
            rig.place(f"{place}-own")
            rig.finish(f"{place}-own", **{column: written})
        await trio.sleep(20)
        assert await welcomed(rig)
        said = len(await rig.said())
        rig.finish("honest")
        await trio.sleep(10)
        assert (await rig.said())[said:] == ["Até logo!"]


@pytest.mark.parametrize(
    "changes",
    [
        {"owner_id": None},
        {"owner_id": 5},
        {"connection_id": ["loja"]},
        {"numero_cliente": None},
        {"numero_cliente": {"a": 1}},
        {"status": []},
        {"company_id": "x"},
        *({"numero_cliente": number} for number in hostile.NUMBERS),
    ],
    ids=str,
)
async def test_one_bad_row_costs_that_row(rig, autojump_clock, changes):
    async with rig.running():
        bad = rig.place("bad", **changes)
        await rig.hears(bad)  # of another time, when it was good
        await trio.sleep(1)
        rig.place("ended", **changes)
        rig.finish("ended")
        rig.places["ended"].update(changes)
        assert await welcomed(rig)
        await trio.sleep(400)
        assert await rig.journal.robot_due(EPOCH + timedelta(days=1), limit=9) != ([], None)


@pytest.mark.parametrize("written", ["infinity", "10000-01-01", "x", None, 5])
async def test_an_entry_of_no_time_is_not_heard(rig, autojump_clock, written):
    """A dead letter that was corrected may have any; the writer hears for everybody."""
    async with rig.running():
        assert not await rig.hears(rig.place("p1"), timestamp=written)


async def test_a_row_names_no_other_connection(rig, autojump_clock):
    """What was heard through one is not answered by the row of another."""
    await rig.journal.register(Connection("alheia", "Alheia", STRANGER, None, EPOCH))
    async with rig.running():
        await rig.hears(rig.place("p1", connection_id="alheia"))
        rig.place("p2", connection_id="alheia")
        rig.finish("p2")
        await trio.sleep(20)
        assert await rig.said() == []
        assert await rig.journal.outgoing("alheia", limit=9) == []
        assert await rig.journal.unanswered(limit=9) == []


async def test_a_reminder_goes_nowhere_when_the_row_has_changed(rig, autojump_clock):
    async with rig.running():
        await rig.hears(rig.place("p1"))
        await trio.sleep(1)
        rig.places["p1"]["numero_cliente"] = "x@evil"
        await trio.sleep(400)
        assert await rig.said() == WELCOME
        assert await rig.journal.robot_due(EPOCH + timedelta(days=1), limit=9) == ([], None)


async def test_thousands_of_ends_of_one_owner_delay_no_others_goodbye(rig, autojump_clock):
    rig.tables.configs.append(config(owner_id=STRANGER, mensagem_despedida="tchau"))
    async with rig.running():
        begun = rig.now
        for number in range(5000):
            rig.place(f"{number:05}", owner_id=STRANGER, connection_id="alheia")
            rig.finish(f"{number:05}", updated_at=(begun + timedelta(seconds=1)).isoformat())
        rig.place("honest")
        rig.finish("honest", updated_at=(begun + timedelta(seconds=2)).isoformat())
        await trio.sleep(8)
        assert await rig.said() == ["Até logo!"]
        asked = rig.tables.asked.count("finished")
        assert asked <= 3 * MAX_PAGES
        # And theirs are not forgotten.
        await trio.sleep(120)
        states = await rig.journal.robot_states([f"{number:05}" for number in range(5000)])
        assert len(states) == 5000


async def test_many_crowds_at_once(rig, autojump_clock, monkeypatch):
    monkeypatch.setattr(finishes, "MAX_PAGES", 10)
    async with rig.running():
        at = (rig.now + timedelta(seconds=1)).isoformat()
        for owner in range(10):
            name = f"{owner:08}-0000-4000-8000-000000000000"
            for number in range(FAIR_SHARE + BATCH + 1):
                rig.place(f"{owner}-{number:04}", owner_id=name)
                rig.finish(f"{owner}-{number:04}", updated_at=at)
        rig.place("zz-honest")
        rig.finish("zz-honest", updated_at=at)
        await trio.sleep(60)
        assert await rig.said() == ["Até logo!"]


async def test_a_crowd_outlives_a_restart(rig, autojump_clock, monkeypatch):
    monkeypatch.setattr(finishes, "MAX_PAGES", 6)
    rig.tables.configs.append(config(owner_id=STRANGER))
    async with rig.running():
        at = (rig.now + timedelta(seconds=1)).isoformat()
        for number in range(1000):
            rig.place(f"{number:04}", owner_id=STRANGER)
            rig.finish(f"{number:04}", updated_at=at)
        await trio.sleep(6)
    rig.robot = rig.new_robot()
    async with rig.running():
        await trio.sleep(120)
        states = await rig.journal.robot_states([f"{number:04}" for number in range(1000)])
        assert len(states) == 1000


@pytest.mark.parametrize("mark", ["9999-12-31T23:59:59+00:00", "infinity", "x", ""])
async def test_a_mark_that_lies_ahead_is_none(rig, autojump_clock, mark):
    await rig.journal.set_robot_mark("finished", mark)
    async with rig.running():
        rig.place("p1")
        rig.finish("p1")
        await trio.sleep(10)
        assert await rig.said() == ["Até logo!"]


async def test_a_mark_of_a_little_ahead_counts(rig, autojump_clock):
    """The database's clock may be ahead of ours."""
    ahead = rig.now + FINISHED_AGE / 2
    await rig.journal.set_robot_mark("finished", ahead.isoformat())
    async with rig.running():
        await trio.sleep(10)
        assert await rig.journal.robot_mark("finished") == ahead.isoformat()


@pytest.mark.parametrize(
    "changes",
    [
        {"owner_id": None},
        {"id": "x"},
        {"mensagem_boas_vindas": ["x"]},
        {"mensagem_menu": {"a": 1}},
        {"tempo_resposta": "x", "max_tentativas": -(2**63)},
        {"tempo_resposta": True, "ativo": "x"},
        {"updated_at": "infinity", "company_id": []},
        {"mensagem_menu": "1 - x\n" * 100_000},
    ],
    ids=lambda changes: str(changes)[:60],
)
async def test_a_bad_configuration_silences_nobody_else(rig, autojump_clock, changes):
    rig.tables.configs += (
        [config(owner_id=STRANGER, **changes)] * 3
        if "owner_id" not in changes
        else [config(**changes)]
    )
    async with rig.running():
        assert await welcomed(rig)


async def test_a_crowd_of_configurations_silences_nobody(rig, autojump_clock):
    rig.tables.configs = [
        config(owner_id=STRANGER, mensagem_menu="1 - x\n" * 1000) for _ in range(5001)
    ] + rig.tables.configs
    async with rig.running():
        assert await welcomed(rig)
    assert rig.context.longest_silence < 60
