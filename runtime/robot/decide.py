"""The robot's decisions: state + what happened + configuration + time → state and messages. Pure.

::

    (new atendimento) ─ welcome, menu ─► MENU ── option ────────────────► WAITING ── reminder, once
                                          │  └─ too many wrong answers ──►   │
                                          │  └─ no answer in time ───────►   │
                                          └──────── an attendant writes ─────┴─► ATTENDED
    FINALIZADO: goodbye, ENDED

It only ever goes forward, so every step is taken at most once for an atendimento.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from . import texts
from .config import Config
from .menu import Option, choose
from .texts import fold

BURST = timedelta(seconds=3)
"""People write several messages in a row: what comes so soon after the menu is no wrong answer."""
LATE = timedelta(minutes=5)
"""A reminder or hand-over that is later than this is not said any more."""
MAX_REPEATS = 4
"""The same text so many times in a row is a machine's."""


class Phase(StrEnum):
    """Where the robot is with an atendimento.

    NEW: it began while we were away; the next message is welcomed. SILENT: another robot, or too
    many messages to this chat.
    """

    NEW = "new"
    MENU = "menu"
    WAITING = "waiting"
    ATTENDED = "attended"
    SILENT = "silent"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class State:
    """``tries`` are wrong answers, ``said`` the customer's last one and ``repeats`` how often it
    came in a row; ``due`` is when to look again without being asked."""

    phase: Phase
    tries: int = 0
    welcomed_at: datetime | None = None
    said: str = ""
    repeats: int = 0
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """The customer wrote. ``opened``: with this the atendimento began; ``old``: not lately."""

    text: str
    kind: str
    opened: bool = False
    old: bool = False


@dataclass(frozen=True, slots=True)
class Attendant:
    """An attendant wrote, here or on the phone."""


@dataclass(frozen=True, slots=True)
class Due:
    """The time that the state named has come."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The atendimento became FINALIZADO; ``lately``: and it was a conversation until then."""

    lately: bool


Happening = Customer | Attendant | Due | Finished


@dataclass(frozen=True, slots=True)
class Message:
    """Something to say. ``step`` is unique within the atendimento, ``tag`` is put on it."""

    step: str
    text: str
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The state from now on; None: the robot has no part in this atendimento."""

    state: State | None
    messages: tuple[Message, ...] = ()


def decide(
    state: State | None,
    happening: Happening,
    config: Config | None,
    *,
    status: str,
    now: datetime,
    allowance: int,
) -> Decision:
    """What to do.

    Args:
        config: None when no robot is active here.
        status: of the atendimento, as read after the happening.
        allowance: how many messages this chat may still get; with fewer than are needed the robot
            falls silent.
    """
    decision = _decide(state, happening, config, status, now)
    if len(decision.messages) > allowance and decision.state is not None:
        ended = decision.state.phase is Phase.ENDED
        phase = Phase.ENDED if ended else Phase.SILENT
        return Decision(replace(decision.state, phase=phase, due=None))
    return decision


def _decide(
    state: State | None, happening: Happening, config: Config | None, status: str, now: datetime
) -> Decision:
    if state is not None and state.phase is Phase.ENDED:
        return Decision(state)
    match happening:
        case Attendant():
            return Decision(_enter(state, Phase.ATTENDED))
        case Finished():
            return _end(state, happening, config)
    if status == "EM_ATENDIMENTO":
        return Decision(_enter(state, Phase.ATTENDED))
    if status != "AGUARDANDO" or config is None:
        return Decision(state if state is None else replace(state, due=None))
    match happening:
        case Customer():
            return _hear(state, happening, config, now)
        case Due():
            return _remind(state, config, now)


def _enter(state: State | None, phase: Phase) -> State:
    if state is None:
        return State(phase)
    return state if state.phase is Phase.SILENT else replace(state, phase=phase, due=None)


def _hear(state: State | None, said: Customer, config: Config, now: datetime) -> Decision:
    if state is None:
        if not said.opened:
            return Decision(None)
        state = State(Phase.NEW)
    if said.old or said.kind == "SISTEMA" or state.phase not in (Phase.NEW, Phase.MENU):
        return Decision(state)
    if _is_a_robots(said.text, config):
        return Decision(_enter(state, Phase.SILENT))
    if state.phase is Phase.NEW:
        return _welcome(state, config, now)
    return _read_answer(state, said, config, now)


def _welcome(state: State, config: Config, now: datetime) -> Decision:
    said = (Message("boas_vindas", config.welcome), Message("menu", config.menu))
    phase = Phase.MENU if config.options else Phase.WAITING
    welcomed = replace(state, phase=phase, welcomed_at=now, due=now + config.response_time)
    return Decision(welcomed, tuple(message for message in said if message.text))


def _read_answer(state: State, said: Customer, config: Config, now: datetime) -> Decision:
    option = choose(config.options, said.text) if said.kind == "TEXTO" else None
    if option is not None:
        return Decision(_wait(state, config, now), (_chosen(option),))
    if state.welcomed_at is not None and timedelta(0) <= now - state.welcomed_at < BURST:
        return Decision(state)
    text = fold(said.text)[:100]
    repeats = state.repeats + 1 if text and text == state.said else 1
    state = replace(state, tries=state.tries + 1, said=text, repeats=repeats)
    if repeats >= MAX_REPEATS:
        return Decision(_enter(state, Phase.SILENT))
    if state.tries >= config.max_tries or not config.options:
        return Decision(_wait(state, config, now), (_HANDOVER,))
    again = Message(f"invalida-{state.tries}", f"{texts.INVALID}\n\n{config.menu}")
    return Decision(replace(state, due=now + config.response_time), (again,))


def _remind(state: State | None, config: Config, now: datetime) -> Decision:
    if state is None or state.due is None or state.due > now:
        return Decision(state)
    late = now - state.due > LATE
    if state.phase is Phase.MENU:
        return Decision(_wait(state, config, now), () if late else (_HANDOVER,))
    state, waiting = replace(state, due=None), state.phase is Phase.WAITING
    return Decision(state, (_REMINDER,) if waiting and not late else ())


def _end(state: State | None, finished: Finished, config: Config | None) -> Decision:
    silent = state is not None and state.phase is Phase.SILENT
    ended = State(Phase.ENDED) if state is None else replace(state, phase=Phase.ENDED, due=None)
    if config is None or silent or not finished.lately or not config.goodbye:
        return Decision(ended)
    return Decision(ended, (Message("despedida", config.goodbye),))


def _wait(state: State, config: Config, now: datetime) -> State:
    return replace(state, phase=Phase.WAITING, due=now + config.response_time)


def _chosen(option: Option) -> Message:
    return Message("opcao", texts.CHOSEN.format(label=option.label), tag=option.label)


def _is_a_robots(text: str, config: Config) -> bool:
    """Whether this is what we say ourselves, so that somebody like us must have said it."""
    said = fold(text)
    if len(said) < texts.MIN_TELLING:
        return False
    beginnings = (fold(texts.INVALID), fold(texts.CHOSEN.partition("{")[0]))
    own = (config.welcome, config.menu, config.goodbye, texts.HANDOVER, texts.REMINDER)
    return said.startswith(beginnings) or said in map(fold, own)


_HANDOVER = Message("encaminhamento", texts.HANDOVER)
_REMINDER = Message("lembrete", texts.REMINDER)

# --- as the journal keeps it


def to_data(state: State) -> dict[str, Any]:
    """The state as JSON, without ``due``, which the journal keeps itself."""
    data = asdict(state)
    del data["due"]
    data["welcomed_at"] = state.welcomed_at.isoformat() if state.welcomed_at else None
    return data


def from_data(data: dict[str, Any], due: datetime | None) -> State:
    """The reverse of `to_data`."""
    welcomed_at = data["welcomed_at"]
    return State(
        phase=Phase(data["phase"]),
        tries=data["tries"],
        welcomed_at=datetime.fromisoformat(welcomed_at) if welcomed_at else None,
        said=data["said"],
        repeats=data["repeats"],
        due=due,
    )
