"""Numbers of people in a text that others read: only their ends are left.

What a number is, is told by its shape: JIDs, E.164, the usual Brazilian spellings, and runs of
digits that are as long as a number and are not plainly something else. Dates, versions, durations,
sizes, ports and identifiers stay. Where a run could be both it is hidden.
"""

from __future__ import annotations

import re

import phonenumbers

_HYPHEN = r"\-\u2010-\u2015\u2212"
_UNSEEN = r"\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_GAP = rf"(?:[^\S\n]|[().{_HYPHEN}{_UNSEEN}])"
_GAPS = rf"{_GAP}{{0,4}}"
_BETWEEN = rf"(?:[.{_HYPHEN}]|[^\S\n]){{1,3}}"
_HEX = "0-9A-Fa-f"
_NUMBER = re.compile(
    rf"""
    (?P<kept>
        (?<![{_HEX}])[{_HEX}]{{8}}(?:-[{_HEX}]{{4}}){{3}}-[{_HEX}]{{12}}(?![{_HEX}])  # a UUID
        | (?<!\d)(?:19|20)\d\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?
          (?:Z|[+-]\d\d:?\d\d)?)?
        | (?<!\w)\d+[ ]?(?:ns|us|µs|ms|s|min|h|bytes|[KMGTkmgt]i?B|B|seconds|rows)(?!\w)
        | (?<![^\W_])(?:size|bytes|port|seq|pid|inode|timestamp|lag|version|rows)
          "?(?:[=:][ ]?|[ ])\d+(?![\d@])
    )
    | (?P<sure>
        (?<!\d)\d{{5,20}}(?:[-.:_]\d{{1,20}}){{0,2}}(?=@[a-z])                        # a JID
        | (?:(?<![\w+])\+|(?<![\w+:.])00{_GAPS})[1-9](?:{_GAPS}\d){{6,14}}(?!\d)      # E.164
        | (?<![\w.:/])(?:55{_GAPS})?\(?(?:0(?:xx|XX|\d\d)?{_GAPS})?                    # Brazil …
          (?: [1-9][1-9]\)?{_GAPS}(?:9[ .]?)?[2-9]\d{{3}}{_BETWEEN}\d{{4}}
            | [1-9][1-9]\)?{_GAP}{{1,3}}9\d{{8}}
            | (?<=\()[1-9][1-9]\){_GAPS}[2-5]\d{{7}}
          )(?![\w]|[-.:]\d)
        | (?<![\w.:/-])9\d{{4}}[{_HYPHEN}]\d{{4}}(?![\w-])              # … without the area
        | (?<![\w.:/-])(?:1{_GAPS})?\(?[2-9]\d\d\)?[-. ]{{1,2}}[2-9]\d\d[-. ]\d{{4}}(?![\w-])
    )
    | (?P<run>(?<![{_HEX}.,])\d{{10,15}}(?![{_HEX}]|[.,]\d))
    """,
    re.VERBOSE,
)
_BRAZILIAN = re.compile(r"[1-9][1-9](?:9\d{8}|[2-5]\d{7})|0[1-9][1-9][2-5]\d{7}")
_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_MOMENT = re.compile(rf"(?:19|20)\d\d{_DAY}\d{{6}}|202\d{_DAY}(?:[01]\d|2[0-3])[0-5]\d")


def mask_phones(text: str) -> str:
    """Leave only the ends of what looks like a phone number or the user part of a JID."""
    return _NUMBER.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    whole = found[0]
    if found["kept"] is not None or (found["run"] is not None and not _is_number(whole)):
        return whole
    digits = "".join(filter(str.isdecimal, whole))
    if len(digits) < 8:
        return f"{digits[:2]}…"
    return f"{'+' if whole[0] == '+' else ''}{digits[: min(4, len(digits) - 6)]}…{digits[-2:]}"


def _is_number(run: str) -> bool:
    """Whether 10 to 15 digits without any sign are rather a number than a moment or a size."""
    if _MOMENT.fullmatch(run):
        return False
    if len(run) < 12:
        return _BRAZILIAN.fullmatch(run) is not None or _is_valid(run)
    # Countries with "1" have numbers of 11 digits, so these count milliseconds or bytes.
    return len(run) > 13 or run[0] not in "01"


def _is_valid(run: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(f"+{run}"))
    except phonenumbers.NumberParseException:
        return False
