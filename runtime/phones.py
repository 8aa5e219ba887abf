"""Phone numbers as people, phones and our own tables write them.

A number is one person everywhere: what the product stores (E.164 digits without the plus sign, as
WhatsApp writes them) means the same person wherever it is given back. Without a plus sign, digits
may be a Brazilian number *or* one of another country; then there are two readings, and whoever
knows the people decides (``contacts.service``). Pure.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers

from .errors import Invalid

HOME = "BR"
"""Whose national spellings are read."""
_HOME_CODE = phonenumbers.country_code_for_region(HOME)
SHORTEST, LONGEST = 7, 15
"""Digits of a number with its country code (ITU-T E.164, and the shortest that are assigned)."""
_PREFIXES = 6
"""Further digits, of trunk and carrier."""

_MARKS = re.compile(r"[0-9+().\s/-]*")
_CARRIER = re.compile(r"(?<![0-9])0[\s(.-]*xx[\s).-]*", re.IGNORECASE)
"""``(0xx11)``: "0, then the digits of a carrier", as Brazilians print it."""
_HOME_PLAIN = re.compile(r"\(\s*\d\d\s*\)[\s.-]*(?:9[\s.-]*)?\d{4}[\s.-]*\d{4}")
"""An area code in parentheses, and what follows grouped as only Brazilians do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One person whom a number may mean.

    Attributes:
        number: E.164 digits without the plus sign.
        country: as in ISO 3166, None where it is not known.
    """

    number: str
    country: str | None


@dataclass(frozen=True, slots=True)
class Phone:
    """A number as somebody wrote it.

    Attributes:
        stored: the digits as they stand, where they may be a number as our tables have it; None
            where the spelling says which country it is of.
        readings: whom it may mean: one person, two where nothing tells which country it is of, or
            nobody whom a numbering plan knows (who may still be known by ``stored``).
    """

    stored: str | None
    readings: tuple[Reading, ...]

    @property
    def names(self) -> list[str]:
        """The numbers that it may be: as our tables have it, before what else it may mean."""
        stored = [] if self.stored is None else [self.stored]
        return list(dict.fromkeys([*stored, *(one.number for one in self.readings)]))

    def only(self) -> str:
        """The number of the only reading. Raises Invalid: invalid_phone, ambiguous_number."""
        if not self.readings:
            raise Invalid("O número de telefone não existe.", code="invalid_phone")
        if len(self.readings) > 1:
            spelled = [
                {"number": f"+{one.number}", "country": one.country} for one in self.readings
            ]
            choices = " ou ".join(f"+{one.number} ({one.country})" for one in self.readings)
            raise Invalid(
                f"O número pode ser de dois países: {choices}. Envie-o com + e o código do país.",
                code="ambiguous_number",
                details={"readings": spelled},
            )
        return self.readings[0].number


def read_phone(text: str) -> Phone:
    """Raises Invalid (``invalid_phone``) for what is no number."""
    plain = _plain(text)
    digits = re.sub(r"\D", "", plain)
    if not SHORTEST <= len(digits) <= LONGEST + _PREFIXES:
        raise Invalid("O número de telefone não existe.", code="invalid_phone")
    if plain.startswith("+"):
        return Phone(None, _possible(_international(digits)))
    if digits.startswith("00"):
        return Phone(None, _possible(_international(digits.removeprefix("00"))))
    home = _national(digits)
    if digits.startswith("0") or _HOME_PLAIN.fullmatch(plain):
        return Phone(None, _possible(home))
    if home is not None and home.reading.number not in (digits, f"{_HOME_CODE}{digits}"):
        home = None  # 90 before a number is a collect call, and a country
    # Without a word of its country it is foreign only if it is assigned there.
    abroad = _international(digits)
    if abroad is not None and not (abroad.is_valid or abroad.reading.country == HOME):
        abroad = None
    return Phone(digits, _plausible(abroad, home))


def phone_digits(text: str) -> str:
    """The digits of the one person whom ``text`` means, where nobody can say who is known.

    Raises Invalid: ``invalid_phone``, ``ambiguous_number``.
    """
    return read_phone(text).only()


# --- the spellings of one person

_SPELLINGS = (
    # Brazilian mobile numbers got a ninth digit; WhatsApp knows many without it.
    (re.compile(r"(55\d\d)9([6-9]\d{7})"), re.compile(r"(55\d\d)([6-9]\d{7})"), "9"),
    # Mexican mobile numbers lost the 1 behind the country code; WhatsApp kept it.
    (re.compile(r"(52)1([2-9]\d{9})"), re.compile(r"(52)([2-9]\d{9})"), "1"),
    # Argentine mobile numbers have a 9 there, which is not dialled within the country.
    (re.compile(r"(54)9([1-3]\d{9})"), re.compile(r"(54)([1-3]\d{9})"), "9"),
)


def spellings(number: str) -> list[str]:
    """The digits as given, then the other spelling of the same subscriber, if there is one.

    ``zapvisor.spellings`` in the database says the same.
    """
    for long, short, inserted in _SPELLINGS:
        if match := long.fullmatch(number):
            return [number, match[1] + match[2]]
        if match := short.fullmatch(number):
            return [number, match[1] + inserted + match[2]]
    return [number]


def person(number: str) -> str:
    """One name for all the spellings of a number: the longest."""
    return max(spellings(number), key=len)


# ---


def _plain(text: str) -> str:
    """Without what only formats: direction marks, typographic spaces and hyphens, ``0xx``."""
    seen = "".join(
        _plain_character(character)
        for character in unicodedata.normalize("NFKC", text)
        if unicodedata.category(character) != "Cf"
    )
    seen = _CARRIER.sub("0", seen).strip().removeprefix("tel:")
    if not _MARKS.fullmatch(seen):
        raise Invalid("O número de telefone tem caracteres inválidos.", code="invalid_phone")
    first = seen.lstrip("( ")
    if "+" in first[1:]:
        raise Invalid("O número de telefone tem caracteres inválidos.", code="invalid_phone")
    return first if first.startswith("+") else seen


def _plain_character(character: str) -> str:
    if unicodedata.category(character) == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    return " " if character.isspace() else character


_OF_PEOPLE = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A reading, and how good it is: no plan has it, a plan has room for it, it is assigned."""

    reading: Reading
    is_possible: bool
    is_valid: bool


def _international(digits: str) -> _Candidate | None:
    parsed = _parse(f"+{digits}", None)
    return None if parsed is None else _candidate(parsed, digits)


def _national(digits: str) -> _Candidate | None:
    """As dialled in Brazil, with or without trunk prefix, carrier or country code."""
    parsed = _parse(digits, HOME)
    if parsed is None or parsed.country_code != _HOME_CODE:
        return None
    return _candidate(parsed, digits)


def _parse(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _candidate(parsed: phonenumbers.PhoneNumber, typed: str) -> _Candidate:
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)[1:]
    # In the spelling in which it was written: it may be WhatsApp's.
    number = typed if typed in spellings(number) else number
    spelled = [_parse(f"+{one}", None) for one in spellings(number)]
    return _Candidate(
        Reading(number, phonenumbers.region_code_for_number(parsed)),
        any(_has_room(one) for one in spelled if one is not None),
        any(phonenumbers.is_valid_number(one) for one in spelled if one is not None),
    )


def _has_room(parsed: phonenumbers.PhoneNumber) -> bool:
    """As long as numbers of people are: a local number alone is nobody's."""
    return phonenumbers.is_valid_number(parsed) or any(
        phonenumbers.is_possible_number_for_type_with_reason(parsed, kind)
        == phonenumbers.ValidationResult.IS_POSSIBLE
        for kind in _OF_PEOPLE
    )


def _possible(candidate: _Candidate | None) -> tuple[Reading, ...]:
    return (candidate.reading,) if candidate is not None and candidate.is_possible else ()


def _plausible(*candidates: _Candidate | None) -> tuple[Reading, ...]:
    """Those that are assigned; without any, those for which there is room. Each person once."""
    found = [one for one in candidates if one is not None]
    good = [one for one in found if one.is_valid] or [one for one in found if one.is_possible]
    people: dict[str, Reading] = {}
    for one in good:
        people.setdefault(person(one.reading.number), one.reading)
    return tuple(people.values())
