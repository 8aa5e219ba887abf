"""Rows of ``whatsapp_configuracoes`` as values, and which one serves whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from ..storage.rows import Configuracao
from .menu import Option, read_options

DEFAULT_RESPONSE_SECONDS = 300
MAX_RESPONSE_SECONDS = 86_400
DEFAULT_TRIES = 3
MAX_TRIES = 20
MAX_TEXT = 4096
"""Characters of one text; a row edited by hand may hold more, of which the rest is left out."""


@dataclass(frozen=True, slots=True)
class Config:
    """An active robot. A blank text is not said; without options it has no menu to wait for."""

    welcome: str
    menu: str
    goodbye: str
    response_time: timedelta
    max_tries: int
    options: tuple[Option, ...]


def read_config(row: Configuracao) -> Config | None:
    """The configuration in a row, however it was edited; None when it is not active."""
    if not row.active:
        return None
    menu = _text(row.menu)
    return Config(
        welcome=_text(row.welcome),
        menu=menu,
        goodbye=_text(row.goodbye),
        response_time=timedelta(
            seconds=_bounded(row.response_seconds, DEFAULT_RESPONSE_SECONDS, MAX_RESPONSE_SECONDS)
        ),
        max_tries=_bounded(row.tries, DEFAULT_TRIES, MAX_TRIES),
        options=read_options(menu),
    )


class Configs:
    """All configurations. That of the company counts; one without a company is for the rest.

    A row is read when somebody needs it: an owner may have thousands, with menus without end.

    Args:
        rows: of several for the same the last one counts.
    """

    def __init__(self, rows: Iterable[Configuracao] = ()) -> None:
        self._rows = {(row.owner_id, row.company_id): row for row in rows}
        self._read: dict[tuple[str, str | None], Config | None] = {}
        self._owners = frozenset(owner for owner, _ in self._rows)

    def find(self, owner_id: str, company_id: str | None) -> Config | None:
        """The active robot for an owner's company, if any. One switched off for the company is not
        replaced by that of the owner."""
        key = owner_id, company_id
        if key not in self._rows:
            key = owner_id, None
        if key not in self._read:
            row = self._rows.get(key)
            self._read[key] = None if row is None else read_config(row)
        return self._read[key]

    def knows(self, owner_id: str) -> bool:
        """Whether the owner has a robot, active or not."""
        return owner_id in self._owners

    @property
    def any_active(self) -> bool:
        """Whether there is an active robot at all."""
        return any(row.active for row in self._rows.values())


def _text(value: str) -> str:
    return value.strip()[:MAX_TEXT]


def _bounded(value: int | None, default: int, most: int) -> int:
    return default if value is None or value < 1 else min(value, most)
