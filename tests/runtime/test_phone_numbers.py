"""A number is one person everywhere: what is stored is taken back, nothing reaches a stranger."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from runtime.errors import Invalid
from runtime.phones import person, phone_digits, read_phone, spellings


def numbers(text: str) -> set[str]:
    return {one.number for one in read_phone(text).readings}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        # As the tables have them.
        ("5511987654321", "5511987654321"),
        ("551187654321", "551187654321"),
        ("5521551234567", "5521551234567"),
        ("5491123456789", "5491123456789"),
        ("5215512345678", "5215512345678"),
        ("525512345678", "525512345678"),
        ("351912345678", "351912345678"),
        ("12025550123", "12025550123"),
        ("905321234567", "905321234567"),
        # As Brazilians write.
        ("(11) 98765-4321", "5511987654321"),
        ("11987654321", "5511987654321"),
        ("011 98765-4321", "5511987654321"),
        ("0xx11 98765-4321", "5511987654321"),
        ("(0XX11) 98765-4321", "5511987654321"),
        ("0 15 11 98765-4321", "5511987654321"),
        ("+55 (0xx11) 98765-4321", "5511987654321"),
        ("11 8765-4321", "551187654321"),
        ("(11) 3333-4444", "551133334444"),
        ("(55) 99123-4567", "5555991234567"),
        ("(51) 98765-4321", "5551987654321"),
        ("051987654321", "5551987654321"),
        # With the country said.
        ("+51 987 654 321", "51987654321"),
        ("(+51) 987654321", "51987654321"),
        ("0051 987 654 321", "51987654321"),
        ("+52 1 55 1234 5678", "5215512345678"),
        ("+54 11 15-2345-6789", "5491123456789"),
        ("+44 (0)7911 123456", "447911123456"),
        # With what only formats.
        ("5511 98765\N{NON-BREAKING HYPHEN}4321", "5511987654321"),
        ("5511 98765\N{EN DASH}4321", "5511987654321"),
        ("11 98765\N{MINUS SIGN}4321", "5511987654321"),
        ("\N{FIRST STRONG ISOLATE}+55 11 98765-4321\N{POP DIRECTIONAL ISOLATE}", "5511987654321"),
        (
            "\N{LEFT-TO-RIGHT EMBEDDING}+55 11 98765-4321\N{POP DIRECTIONAL FORMATTING}",
            "5511987654321",
        ),
        (
            "+55\N{NO-BREAK SPACE}11\N{NARROW NO-BREAK SPACE}98765\N{ZERO WIDTH SPACE}4321",
            "5511987654321",
        ),
        ("\N{FULLWIDTH PLUS SIGN}55 11 98765 4321", "5511987654321"),
    ],
)
def test_who_is_meant(written: str, meant: str) -> None:
    assert phone_digits(written) == meant


@pytest.mark.parametrize(
    ("written", "readings"),
    [
        ("51987654321", [("+51987654321", "PE"), ("+5551987654321", "BR")]),
        ("51 987 654 321", [("+51987654321", "PE"), ("+5551987654321", "BR")]),
        ("51 98765-4321", [("+51987654321", "PE"), ("+5551987654321", "BR")]),
        ("(51) 987 654 321", [("+51987654321", "PE"), ("+5551987654321", "BR")]),
        ("49987654321", [("+49987654321", "DE"), ("+5549987654321", "BR")]),
        ("33612345678", None),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_both(written, readings) -> None:
    if readings is None:  # no such number in Brazil
        assert phone_digits(written) == written
        return
    with pytest.raises(Invalid) as caught:
        phone_digits(written)
    assert caught.value.code == "ambiguous_number"
    told = [(one["number"], one["country"]) for one in caught.value.details["readings"]]
    assert told == readings
    assert all(number in caught.value.message for number, _ in readings)


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "abc",
        "123",
        "+",
        "1" * 40,
        "11\x009876543",
        "11 9876-5432a",
        "55+11987654321",
        "+-",
        "()",
    ],
)
def test_what_is_no_number_is_refused(nonsense: str) -> None:
    with pytest.raises(Invalid) as caught:
        phone_digits(nonsense)
    assert caught.value.code == "invalid_phone"


def test_a_local_number_alone_is_nobodys() -> None:
    for local in ("98765-4321", "3333-4444", "99999999"):
        with pytest.raises(Invalid):
            phone_digits(local)


EXAMPLES = sorted(
    phonenumbers.format_number(example, PhoneNumberFormat.E164)[1:]
    for region in phonenumbers.SUPPORTED_REGIONS
    for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)
    if (example := phonenumbers.example_number_for_type(region, kind)) is not None
)


def test_no_country_is_missing() -> None:
    assert len(EXAMPLES) > 450


@pytest.mark.parametrize("number", EXAMPLES)
def test_what_is_stored_is_taken_back_as_the_same_person(number: str) -> None:
    """Of every country, mobile and fixed: never another person, at worst a question."""
    phone = read_phone(number)
    assert phone.stored == number
    assert person(number) in {person(one.number) for one in phone.readings}
    for spelling in spellings(number):
        assert person(spelling) == person(number)
        assert set(spellings(spelling)) == set(spellings(number))


PARSED = [phonenumbers.parse(f"+{number}") for number in EXAMPLES]
MARKS = ["\u200e", "\u200f", "\u202a", "\u202c", "\u2066", "\u2069", "\ufeff", "\u200b"]
SPACES = ["\u00a0", "\u202f", "\u2009", " "]
HYPHENS = ["\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212", "-"]


@given(st.sampled_from(PARSED), st.data())
def test_with_its_country_a_number_is_that_person_and_nobody_else(parsed, data) -> None:
    number = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)[1:]
    written = data.draw(
        st.sampled_from(
            [
                f"+{number}",
                f"00{number}",
                phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL),
            ]
        )
    )
    written = "".join(
        data.draw(st.sampled_from(SPACES))
        if one == " "
        else data.draw(st.sampled_from(HYPHENS))
        if one == "-"
        else one
        for one in written
    )
    before, after = (data.draw(st.lists(st.sampled_from(MARKS), max_size=3)) for _ in range(2))
    written = "".join([*before, written, *after])
    assert {person(one) for one in numbers(written)} == {person(number)}


@given(st.sampled_from([one for one in PARSED if one.country_code == 55]), st.data())
def test_brazilians_write_their_numbers_as_they_do(parsed, data) -> None:
    number = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)[1:]
    national = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    digits = number[2:]
    written = data.draw(
        st.sampled_from([national, f"0{digits}", f"0xx{digits}", f"(0xx{digits[:2]}) {digits[2:]}"])
    )
    assert numbers(written) == {number}


@given(st.text())
def test_any_text_is_somebody_a_question_or_refused(text: str) -> None:
    try:
        found = read_phone(text).readings
    except Invalid:
        found = ()
    assert len(found) <= 2
    assert all(one.number.isascii() and one.number.isdigit() for one in found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5511987654321", "551187654321"),
        ("5215512345678", "525512345678"),
        ("5491123456789", "541123456789"),
    ],
)
def test_the_spellings_of_one_subscriber(one: str, other: str) -> None:
    assert spellings(one) == [one, other]
    assert spellings(other) == [other, one]
    assert person(one) == person(other) == one


def test_other_numbers_have_one_spelling() -> None:
    for number in ("551133334444", "351912345678", "5511187654321", "12025550123"):
        assert spellings(number) == [number]
