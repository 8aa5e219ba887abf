"""Numbers of people are hidden, in whatever spelling; figures and dates are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.phone_masking import mask_phones

PEOPLE = [
    "5511987654321",
    "551133334444",
    "5511987654321@s.whatsapp.net",
    "5511987654321:12@s.whatsapp.net",
    "123456789012345@lid",
    "120363012345678901@g.us",
    "5511987654321-1612345678@g.us",
    "+5511987654321",
    "+55 11 98765-4321",
    "+55 (11) 98765-4321",
    "+55 (11) 9 8765-4321",
    "+55\u00a011\u00a098765\u20114321",
    "\u202a+55 11 98765\u20134321\u202c",
    "(11) 98765-4321",
    "(11)98765-4321",
    "(11) 987654321",
    "(11) 3333-4444",
    "(11) 33334444",
    "11 98765-4321",
    "11 98765 4321",
    "11 987654321",
    "11987654321",
    "1133334444",
    "011 98765-4321",
    "0xx11 98765-4321",
    "0055 11 98765-4321",
    "00 55 11 98765 4321",
    "5511 98765-4321",
    "55 (11) 98765-4321",
    "55.11.98765.4321",
    "98765-4321",
    "loja-5511987654321",
    "tel:+5511987654321",
    "+1 (415) 555-2671",
    "415-555-2671",
    "14155552671",
    "51987654321",
    "+351 912 345 678",
    "351912345678",
    "5491123456789",
    "5215512345678",
]
FIGURES = [
    "20260301000000_tables",
    "20260302001000_atendimentos.sql",
    "2026-12-01T10:30:00.123456+00:00",
    "2026-12-01 10:30:00",
    "10:00 2026-12-01",
    "01/12/2026 10:30",
    "20261201",
    "202612011030",
    "1764552827",
    "1764552827.123456",
    "1764552827000",
    "1764552827123456",
    "took 12.345678901234 s",
    "10737418240 bytes",
    "size=2147483648",
    "3600000 ms",
    "2.3000.1023223821",
    "[2, 3000, 1023223821]",
    "24.18.0",
    "7.0.0-rc14",
    "127.0.0.1:54321",
    "port 54321 seq 1234567",
    "12345678-1234-4234-8234-123456789012",
    "3EB0123456789ABCDEF012",
    "a1b2c3d4e5f67890123456789012345678901234567890",
    "PGRST301",
    "[2026-12-01T10:30:00Z, 2026-12-02T10:30:00Z]",
]
AROUND = ["{}", "para {}: ok", "phone={} x", '"to": "{}",', "({})", "x\n{}\ny"]


def digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("number", PEOPLE)
def test_a_number_is_hidden(number: str, around: str) -> None:
    masked = mask_phones(around.format(number))
    assert "…" in masked
    assert len(digits(masked)) <= 6


@pytest.mark.parametrize("around", ["{}", "x {} y", "at={};", '"e": "{}"'])
@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_stays(figure: str, around: str) -> None:
    assert mask_phones(around.format(figure)) == around.format(figure)


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.booleans(), st.data())
def test_numbers_of_every_country_are_hidden(
    region: str, mobile: bool, data: st.DataObject
) -> None:
    kind = (
        phonenumbers.PhoneNumberType.MOBILE if mobile else phonenumbers.PhoneNumberType.FIXED_LINE
    )
    number = phonenumbers.example_number_for_type(region, kind)
    if number is None:
        return
    form = data.draw(st.sampled_from(["E164", "INTERNATIONAL", "RFC3966"]))
    text = phonenumbers.format_number(number, getattr(phonenumbers.PhoneNumberFormat, form))
    masked = mask_phones(f"para {text} agora")
    assert digits(text) not in digits(masked)
    assert "…" in masked


@given(st.integers(10, 99), st.integers(0, 10**8 - 1))
def test_every_brazilian_mobile_is_hidden(area: int, rest: int) -> None:
    number = f"55{area}9{rest:08d}"
    for text in (number, f"{number}@s.whatsapp.net", f"+{number}"):
        assert number not in mask_phones(f"x {text} y")


@given(
    st.floats(1577836800, 1999999999),
    st.timedeltas(timedelta(0), timedelta(days=400)),
)
def test_moments_and_durations_stay(seconds: float, duration: timedelta) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    for text in (
        moment.isoformat(),
        moment.isoformat(sep=" ", timespec="seconds"),
        f"{moment:%Y%m%d%H%M%S}_tables",
        f"{moment:%Y-%m-%d}",
        f"{int(moment.timestamp() * 1000)}",
        f"{moment.timestamp():.6f}",
        f"{duration.total_seconds():.3f} s",
        f"{int(duration.total_seconds() * 1000)} ms",
    ):
        assert mask_phones(f"at {text}") == f"at {text}"
