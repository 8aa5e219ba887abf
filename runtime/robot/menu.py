"""The numbered options in a menu's text, and which one an answer means. Pure.

An option is a line of ``mensagem_menu`` that begins with a number from 0 to 99 and a separator
(a dash, ``.``, ``)``, ``:`` or ``]``), or with the number as keycap emoji, and goes on with
its label; WhatsApp's ``*bold*`` and the like may be anywhere::

    1 - Vendas
    *2.* Suporte técnico
    3️⃣ Financeiro

All other lines are just text. Of two options with one number the first counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .texts import fold

MAX_OPTIONS = 50

_MARKS = re.compile(r"[*_~`]")
_KEYCAP = re.compile("([0-9])\ufe0f?\u20e3")
_OPTION = re.compile(
    r"\s*(?:(?P<keycaps>(?:[0-9]\u20e3){1,2})\s*[-–—.):\]]{0,2}|(?P<plain>[0-9]{1,2})\s*"  # noqa: RUF001
    # Not "10:30 às 18:00": before a digit the separator needs a space.
    r"[-–—.):\]]{1,2}(?=\s|[^0-9]))\s*(?P<label>.*\S)\s*"  # noqa: RUF001
)
_PREFIX = re.compile(r"(?:(?:a |o )?(?:opcao|numero|num|no|n|item|alternativa) )?0*([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Option:
    """A line of a menu: what to answer, and what it stands for."""

    number: int
    label: str


def read_options(menu: str) -> tuple[Option, ...]:
    """The options of a menu, in its order; at most ``MAX_OPTIONS``."""
    options: dict[int, Option] = {}
    for line in menu.splitlines():
        if len(options) == MAX_OPTIONS:
            break
        option = _read_line(line)
        if option is not None:
            options.setdefault(option.number, option)
    return tuple(options.values())


def choose(options: Sequence[Option], answer: str) -> Option | None:
    """The option that an answer means: its number (``2``, ``opção 2``, ``2️⃣``), its label, or
    its whole line; None when it means none, or could mean several."""
    said = fold(answer)
    match = _PREFIX.fullmatch(said)
    if match is not None:
        return next((one for one in options if one.number == int(match[1])), None)
    meant = [one for one in options if said and said in (fold(one.label), _whole(one))]
    return meant[0] if len(meant) == 1 else None


def _whole(option: Option) -> str:
    return fold(f"{option.number} {option.label}")


def _read_line(line: str) -> Option | None:
    line = _MARKS.sub("", line).strip().removeprefix("(").removeprefix("[")
    plain = _KEYCAP.sub("\\1\u20e3", line).replace("🔟", "1\u20e30\u20e3")
    match = _OPTION.fullmatch(plain)
    if match is None or not fold(match["label"]):
        return None
    digits = (match["keycaps"] or match["plain"]).replace("\u20e3", "")
    return Option(int(digits), match["label"])
