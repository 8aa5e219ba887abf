"""Rows of every shape: read into what can be used, refused, or left out; never an exception."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import UnreadableRow
from runtime.identity import recipient_jid
from runtime.storage.answers import MAX_DEPTH, read_rows, shallow
from runtime.storage.errors import UnexpectedAnswer
from runtime.storage.rows import (
    Skips,
    chat_address,
    moment,
    moment_text,
    read_atendimento,
    read_configuracao,
    read_file,
    read_message,
    whatsapp_id,
)
from tests import hostile

OWNER, OTHER, ID = (str(UUID(int=number)) for number in (1, 2, 3))

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        (
            *(OWNER, OTHER, "loja", "CLIENTE", "ATENDENTE", "5511987654321", "infinity"),
            *("2026-01-31T12:00:00+00:00", "10000-01-01T00:00:00+00:00", "1@lid", "12345@g.us"),
        )
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5)
            | st.sampled_from(("participante", "numero", "midia", "estado", "reacoes", "chamada")),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
COLUMNS = (
    *("id", "owner_id", "connection_id", "company_id", "atendimento_id", "numero_cliente"),
    *("status", "remetente", "tipo", "conteudo", "timestamp", "whatsapp_id", "dados", "ativo"),
    *("midia_url", "midia_tipo", "midia_nome", "midia_tamanho", "updated_at", "data_inicio"),
    *("data_fim", "ultima_mensagem", "mensagem_menu", "tempo_resposta", "max_tentativas"),
)
known = st.fixed_dictionaries({"id": st.just(ID), "owner_id": st.just(OWNER)})
rows = st.tuples(
    st.dictionaries(st.sampled_from((*COLUMNS, "whatsapp_atendimentos")), anything),
    known | st.just({}) | known.map(lambda row: {**row, "atendimento_id": ID}),
    st.dictionaries(st.sampled_from(COLUMNS), anything).map(
        lambda place: {"whatsapp_atendimentos": place}
    )
    | st.just({}),
).map(lambda parts: parts[0] | parts[1] | parts[2])


@pytest.mark.parametrize(
    "reader",
    [read_message, read_file, read_atendimento, read_configuracao],
    ids=lambda r: r.__name__,
)
@given(row=rows)
def test_whatever_is_in_a_row_it_is_read_or_refused(reader, row):
    try:
        value = reader(row)
    except UnreadableRow as error:
        refusal = error
    else:
        assert UUID(value.owner_id)
        return
    assert refusal.code == "unreadable_row"
    assert set(refusal.details["columns"]) <= set(COLUMNS)


@given(row=rows)
def test_a_message_that_has_no_faults_can_be_acted_upon(row):
    try:
        found = read_message(row)
        found.check("atendimento_id", "numero_cliente", "whatsapp_id", "timestamp", "dados")
    except UnreadableRow:
        return
    assert recipient_jid(found.address) == found.address
    assert found.connection_id == row["whatsapp_atendimentos"]["connection_id"]
    assert found.participant is None or found.participant.partition("@")[2] in (
        "lid",
        "s.whatsapp.net",
    )
    assert found.whatsapp_id is None or 0 < len(found.whatsapp_id) <= 255


def honest(**changes):
    place = {"owner_id": OWNER, "connection_id": "loja", "numero_cliente": "5511987654321"}
    return {
        "id": ID,
        "owner_id": OWNER,
        "connection_id": "loja",
        "atendimento_id": ID,
        "remetente": "CLIENTE",
        "tipo": "TEXTO",
        "conteudo": "oi",
        "timestamp": "2026-01-31T12:00:00.5+00:00",
        "whatsapp_id": "3EB0AA",
        "dados": None,
        "whatsapp_atendimentos": place,
        **changes,
    }


def place(**changes):
    return {"whatsapp_atendimentos": {**honest()["whatsapp_atendimentos"], **changes}}


def test_an_honest_message():
    row = read_message(honest())
    assert not row.faults
    assert (row.address, row.own, row.participant) == ("5511987654321@s.whatsapp.net", False, None)
    group = place(numero_cliente="120363041234567890@g.us")
    member = {"dados": {"participante": {"numero": "77777@lid", "nome": None}}}
    row = read_message(honest(**group, **member, remetente="SISTEMA"))
    assert (row.participant, row.own, row.faults) == ("77777@lid", True, frozenset())


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        (place(owner_id=OTHER), "atendimento_id"),
        (place(connection_id="outra"), "atendimento_id"),
        (place(connection_id=None), "atendimento_id"),
        ({"connection_id": None}, "atendimento_id"),
        ({"whatsapp_atendimentos": None}, "atendimento_id"),
        ({"remetente": "X"}, "remetente"),
        ({"timestamp": None}, "timestamp"),
        *((place(numero_cliente=number), "numero_cliente") for number in hostile.NUMBERS),
        *(({"whatsapp_id": name}, "whatsapp_id") for name in hostile.WHATSAPP_IDS),
        *(
            ({"dados": facts}, "dados")
            for facts in ([], "x", 5, True, {"participante": 5}, {"reacoes": []}, {"edicoes": {}})
        ),
        (
            {
                **place(numero_cliente="120363041234567890@g.us"),
                "dados": {"participante": {"numero": "x@evil"}},
            },
            "dados",
        ),
    ],
)
def test_what_cannot_be_acted_upon_is_named(changes, column):
    row = read_message(honest(**changes))
    assert column in row.faults
    with pytest.raises(UnreadableRow) as refusal:
        row.check(column)
    assert column in refusal.value.details["columns"]


@pytest.mark.parametrize("column", ["id", "owner_id", "atendimento_id"])
@pytest.mark.parametrize("value", [None, 5, "x", "", [], ID + "\n"])
def test_a_row_without_ids_is_none(column, value):
    with pytest.raises(UnreadableRow):
        read_message(honest(**{column: value}))


@pytest.mark.parametrize("written", ["infinity", "-infinity", "10000-01-01T00:00:00+00:00"])
def test_times_that_are_none_of_ours_go_back_as_they_came(written):
    assert moment_text(written) == written
    assert moment(written) is None
    assert read_message(honest(timestamp=written)).moment == written
    assert read_atendimento({"id": ID, "owner_id": OWNER, "updated_at": written}).changed is None


def test_a_time_of_ours():
    assert moment("2026-01-31T09:00:00-03:00") == datetime(2026, 1, 31, 12, tzinfo=UTC)


@given(st.text(), st.text())
def test_nothing_else_gets_into_a_condition(before, after):
    for value in (before, f"infinity{after}", f"{before}2026-01-31T12:00:00+00:00{after}"):
        written = moment_text(value)
        assert written is None or not set(written) & set("\"'(),;\n")


@given(st.text(max_size=40))
def test_an_address_is_one_that_can_be_sent_to(text):
    address = chat_address(text)
    assert address is None or recipient_jid(address) == address
    name = whatsapp_id(text)
    assert name == (text or None)


def test_work_leaves_out_what_it_cannot_read_and_says_so_once(caplog):
    skips = Skips()
    good, bad = {"id": ID, "owner_id": OWNER}, {"id": OTHER, "owner_id": None}
    for _ in range(3):
        found = skips.read("whatsapp_atendimentos", read_atendimento, [bad, good, bad])
        assert [row.id for row in found] == [ID]
    assert +skips.counts == {"whatsapp_atendimentos": 1}
    assert len(caplog.records) == 1


# --- answers


async def test_an_answer_is_read_whatever_its_json_columns_hold():
    deep = "[" * 5000 + "1" + "]" * 5000
    body = (
        '[{"id": "a", "dados": {"x": ' + deep + ', "y": "] \\" [", "z": 2}},\n'
        ' {"id": "b", "dados": ' + "1" + "0" * 9999 + "},\n"
        ' {"id": "c", "dados": {"n": 5}}]'
    )
    first, second, third = await read_rows(body.encode())
    assert (first["id"], first["dados"]["y"], first["dados"]["z"]) == ("a", '] " [', 2)
    assert (second, third) == ({"id": "b", "dados": None}, {"id": "c", "dados": {"n": 5}})
    assert await read_rows(b"") == []


@pytest.mark.parametrize("body", [b"{}", b"5", b"[1]", b'[{"a": 1}, 2]', b"<html>", b"[", b"\xff"])
async def test_what_is_no_list_of_rows_is_another_server(body):
    with pytest.raises(UnexpectedAnswer):
        await read_rows(body)


@given(anything)
def test_what_is_not_deep_stays_as_it_is(value):
    text = json.dumps(value)
    assert shallow(text) == text


def test_what_is_too_deep_becomes_null():
    text = "[" * MAX_DEPTH + '["x", {"]": 1}], 7' + "]" * MAX_DEPTH
    assert shallow(text) == "[" * MAX_DEPTH + "null, 7" + "]" * MAX_DEPTH
