"""Rows of ``whatsapp_configuracoes`` as values, and which one serves whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

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


def read_config(row: Mapping[str, Any]) -> Config | None:
    """The configuration in a row, however it was edited; None when it is not active."""
    if row.get("ativo") is False:
        return None
    menu = _text(row.get("mensagem_menu"))
    return Config(
        welcome=_text(row.get("mensagem_boas_vindas")),
        menu=menu,
        goodbye=_text(row.get("mensagem_despedida")),
        response_time=timedelta(
            seconds=_bounded(
                row.get("tempo_resposta"), DEFAULT_RESPONSE_SECONDS, MAX_RESPONSE_SECONDS
            )
        ),
        max_tries=_bounded(row.get("max_tentativas"), DEFAULT_TRIES, MAX_TRIES),
        options=read_options(menu),
    )


class Configs:
    """All configurations. That of the company counts; one without a company is for the rest.

    Args:
        rows: of ``whatsapp_configuracoes``; of several for the same the last one counts.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._configs: dict[tuple[str, str | None], Config | None] = {}
        for row in rows:
            self._configs[row["owner_id"], row.get("company_id")] = read_config(row)
        self._owners = frozenset(owner for owner, _ in self._configs)

    def find(self, owner_id: str, company_id: str | None) -> Config | None:
        """The active robot for an owner's company, if any. One switched off for the company is not
        replaced by that of the owner."""
        if (owner_id, company_id) in self._configs:
            return self._configs[owner_id, company_id]
        return self._configs.get((owner_id, None))

    def knows(self, owner_id: str) -> bool:
        """Whether the owner has a robot, active or not."""
        return owner_id in self._owners

    @property
    def any_active(self) -> bool:
        """Whether there is an active robot at all."""
        return any(config is not None for config in self._configs.values())


def _text(value: object) -> str:
    # PostgreSQL holds no lone surrogates and no NUL, so any text of a row can be sent.
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def _bounded(value: object, default: int, most: int) -> int:
    if not isinstance(value, int) or value < 1:
        return default
    return min(value, most)
