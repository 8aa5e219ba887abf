"""A robot on a journal without a thread, with Supabase's two tables in memory, in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import trio
import trio.testing

from runtime.errors import StorageUnavailable
from runtime.journal import Connection, NewEntry, Stored
from runtime.robot import Robot
from runtime.storage.atendimentos import FinishedPage
from runtime.storage.rows import Place, Skips, moment, read_atendimento, read_configuracao
from tests.storage.storage_support import Context, InlineJournal

OWNER = "11111111-1111-4111-8111-111111111111"
NUMBER = "5511987654321"
EPOCH = datetime(2026, 1, 31, 12, tzinfo=UTC)


def config(**changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "owner_id": OWNER,
        "company_id": None,
        "mensagem_boas_vindas": "Olá!",
        "mensagem_menu": "1 - Vendas\n2 - Suporte",
        "mensagem_despedida": "Até logo!",
        "tempo_resposta": 300,
        "max_tentativas": 3,
        "ativo": True,
        **changes,
    }


class Tables:
    """``whatsapp_configuracoes`` and ``whatsapp_atendimentos``; ``down`` makes every call fail."""

    def __init__(self) -> None:
        self.configs = [config()]
        self.places: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.skips = Skips()
        self._up = trio.Event()
        self._up.set()

    @property
    def down(self) -> bool:
        return not self._up.is_set()

    @down.setter
    def down(self, down: bool) -> None:
        if down:
            self._up = trio.Event()
        else:
            self._up.set()

    async def back(self, beat: Callable[[], None]) -> None:
        """As `Probe.wait_verified`."""
        while self.down:
            with trio.move_on_after(5):
                await self._up.wait()
            beat()

    async def _answer(self, what: str) -> None:
        self.asked.append(what)
        await trio.sleep(0.01)
        if self.down:
            raise StorageUnavailable("weg")

    async def all(self):
        await self._answer("all")
        return self.skips.read("whatsapp_configuracoes", read_configuracao, self.configs)

    async def by_ids(self, ids):
        await self._answer("by_ids")
        return {row.id: row for row in self._read(ids)}

    async def finished(self, after, limit, *, of=None, but=()):
        await self._answer("finished")
        rows = sorted(
            (at, key)
            for key, row in self.places.items()
            if row["status"] == "FINALIZADO"
            and of in (None, row["owner_id"])
            and row["owner_id"] not in but
            # As the database has it: what is no time of ours is still to come.
            and (at := moment(row["updated_at"])) is not None
            and (at, key) > (moment(after.moment), after.id)
        )[:limit]
        end = Place(rows[-1][0].isoformat(), rows[-1][1]) if rows else None
        return FinishedPage(self._read([key for _, key in rows]), end, len(rows) < limit)

    def _read(self, keys):
        found = [self.places[key] for key in keys if key in self.places]
        return self.skips.read("whatsapp_atendimentos", self._row, found)

    def _row(self, row):
        """As `read_atendimento` has it, under the short name that a test gave it."""
        return replace(read_atendimento({**row, "id": str(UUID(int=0))}), id=row["id"])


class Rig:
    """Everything, and what a test does with it."""

    def __init__(self, path) -> None:
        self.journal = InlineJournal(path)
        self.tables = Tables()
        self.context = Context()
        self.rung: list[str] = []
        self._numbers = itertools.count(1)
        self.robot = self.new_robot()

    def new_robot(self) -> Robot:
        return Robot(
            self.journal,
            self.tables,
            self.tables,
            self.rung.append,
            self.tables.back,
            clock=lambda: self.now,
        )

    @property
    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=trio.current_time() - self._begun)

    _begun = 0.0

    async def open(self) -> None:
        self._begun = trio.current_time()
        await self.journal.register(Connection("loja", "Loja", OWNER, None, EPOCH))

    @asynccontextmanager
    async def running(self):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.robot.run, self.context)
            await trio.sleep(0.5)
            yield
            nursery.cancel_scope.cancel()

    def place(self, name: str, **changes: Any) -> str:
        """An atendimento that begins now."""
        now = self.now.isoformat()
        self.places[name] = {
            "id": name,
            "owner_id": OWNER,
            "company_id": None,
            "connection_id": "loja",
            "numero_cliente": NUMBER,
            "status": "AGUARDANDO",
            "data_inicio": now,
            "data_fim": None,
            "ultima_mensagem": now,
            "updated_at": now,
            **changes,
        }
        return name

    @property
    def places(self) -> dict[str, dict[str, Any]]:
        return self.tables.places

    def finish(self, name: str, **changes: Any) -> None:
        now = self.now.isoformat()
        self.places[name].update(status="FINALIZADO", data_fim=now, updated_at=now)
        self.places[name].update(changes)

    async def hears(self, place: str | None, text: str = "oi", **changes: Any) -> bool:
        """A message that is stored in an atendimento; returns whether the robot heard of it."""
        offline = changes.pop("offline", False)
        number = next(self._numbers)
        payload = {
            "kind": "message",
            "owner_id": OWNER,
            "company_id": None,
            "connection_id": "loja",
            "numero_cliente": NUMBER,
            "conteudo": text,
            "tipo": "TEXTO",
            "remetente": "CLIENTE",
            "lida": False,
            "timestamp": self.now.isoformat(),
            **changes,
        }
        entry = NewEntry("message", f"k{number}", payload, event_data={"offline": offline})
        [accepted] = await self.journal.accept([entry])
        pending = await self.journal.pending(limit=100, max_bytes=10**6)
        [entry] = [one for one in pending if one.seq == accepted.seq]
        entry = replace(entry, accepted_at=self.now)
        outcome = Stored(entry.seq, "inserted", place)
        heard = self.robot.hears(entry, outcome)
        await self.journal.settle([outcome], [heard] if heard is not None else [])
        return heard is not None

    async def said(self) -> list[str]:
        """The texts in the outbox, in order."""
        commands = await self.journal.outgoing("loja", limit=1000)
        return [command.content["text"] for command in commands]

    async def rows(self) -> list[dict[str, Any]]:
        """What is on its way into the tables."""
        return [entry.payload for entry in await self.journal.pending(limit=1000, max_bytes=10**7)]
