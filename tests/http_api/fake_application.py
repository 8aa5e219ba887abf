"""A runtime without WhatsApp, Supabase or disk: the facade's shapes and errors, from memory."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import trio

from runtime.errors import (
    Conflict,
    JournalUnavailable,
    NotFound,
    StorageUnavailable,
    Unsendable,
)
from runtime.event_log import EventLog
from runtime.events import EventBus
from runtime.readings import Reading
from runtime.settings import Settings

OWNER = "7f1d7f0e-6f0e-4c0c-9a53-0c3f6a1b2c3d"
STRANGER = "11111111-2222-4333-8444-555555555555"
ATENDIMENTO = "0d8c3a52-64b7-4b36-9d3d-5a1c9e3b7f10"
ROBOT = "5a6a1c3e-0b1f-4f57-8c55-4a4f6d5d2a11"
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
JWT_SECRET = "the-secret-of-the-tokens-of-these-tests"
QR = "2@" + "Zk9x" * 50 + ",abc=,def=,ghi="
PARKED = "zapvisor/core/journal"
NOT_ON_WHATSAPP = "+5511900000000"

_LETTER = {
    "seq": 7,
    "kind": "message",
    "code": "23503",
    "reason": "no such owner",
    "payload": {"conteudo": "oi"},
    "raw": None,
    "acceptedAt": NOW.isoformat(),
    "diedAt": NOW.isoformat(),
    "attempts": 0,
}


def _node(name, restarts, *children):
    return {
        "name": name,
        "path": name,
        "state": "running",
        "restarts": restarts,
        "children": list(children),
    }


_ROW = {
    "id": ATENDIMENTO,
    "owner_id": OWNER,
    "numero_cliente": "5511987654321",
    "status": "AGUARDANDO",
    **dict.fromkeys(("data_inicio", "ultima_mensagem", "created_at", "updated_at"), NOW),
}


class FakeLog:
    """The journal of an event log; ``append`` makes it grow."""

    def __init__(self):
        self.rows = []
        self.away = False
        self.news = trio.Event()

    def append(self, *events):
        for event in events:
            self.rows.append(replace(event, id=f"{len(self.rows) + 1:032x}"))
        self.news.set()
        self.news = trio.Event()

    async def record(self, events):
        await trio.lowlevel.checkpoint()
        self.append(*events)

    async def events(self, after, *, limit):
        await trio.lowlevel.checkpoint()
        if self.away:
            raise JournalUnavailable("O diário não está disponível.")
        return [row for row in self.rows if row.id > after][:limit]

    async def before_last_events(self, count):
        await trio.lowlevel.checkpoint()
        rows = self.rows[: len(self.rows) - count] if count else self.rows
        return rows[-1].id if rows else ""


class FakeApplication:
    """Set ``failure`` to make the next calls raise it, ``delay`` to make them slow."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.jwt_secret = JWT_SECRET
        self.calls: list[tuple] = []
        self.called = trio.Event()
        self.failure: Exception | None = None
        self.delay = 0.0
        self.alive = True
        self.is_ready = True
        self.send_status = "sent"
        self.book: dict[str, dict] = {}
        self.told: list[Reading] = []
        self.log = FakeLog()
        self.event_log = EventLog(self.log, EventBus(), health=dict)

    async def _called(self, *call) -> None:
        self.calls.append(call)
        self.called.set()
        await trio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure

    async def initialize(self):
        await self._called("initialize")
        return self.status()

    async def restart(self):
        await self._called("restart")

    async def shutdown(self):
        await self._called("shutdown")

    def status(self):
        return {
            "isInitialized": True,
            "supabaseConnected": True,
            "integrationServiceRunning": True,
            "watchdogRunning": True,
            "errors": [],
            "startTime": NOW,
        }

    async def stats(self):
        await self._called("stats")
        return {
            **self.status(),
            "uptime": 5000,
            "timestamp": NOW.isoformat(),
            "memory": {"rss": 1},
            "platform": "linux",
            "queue": {
                "accepted": 11,
                "stored": 5,
                "pending": 3,
                "deadLetters": 1,
                "archived": 2,
                "oldestPendingSeconds": 1.5,
                "drainRate": 10.0,
                "outbox": {},
                "commitMs": {"p50": 0.4, "p99": None},
            },
            "versions": {"zapvisor": "0.1.0"},
            "connections": list(self.book.values()),
            "supabase": {"calls": 4, "p50Ms": 3.0, "p95Ms": 5.0, "p99Ms": None},
            "sendSuccessRate": 0.75,
            "tree": _node("root", 1, _node("a", 2)),
        }

    async def readings(self):
        await self._called("readings")
        return self.told

    def tree(self):
        return _node("zapvisor", 0)

    async def unpark(self, path):
        await self._called("unpark", path)
        if path != PARKED:
            raise NotFound("Não há.", code="child_not_found")

    async def self_test(self):
        await self._called("self_test")
        return {
            "success": True,
            "results": dict.fromkeys(("supabase", "integration", "watchdog", "messageQueue"), True),
            "checks": [
                {"name": "supabase", "ok": True, "durationMs": 3.0, "error": None, "action": None}
            ],
        }

    def live(self):
        return self.alive

    async def ready(self):
        await self._called("ready")
        return self.is_ready, {"journal": "ready"}

    async def create_connection(self, *, connection_id, name, owner_id, company_id, by_admin):
        await self._called("create_connection", connection_id, name, owner_id, company_id)
        if connection_id in self.book:
            raise Conflict("Já existe uma conexão com este id.", code="connection_exists")
        self.book[connection_id] = {
            "id": connection_id,
            "name": name,
            "isConnected": False,
            "status": "connecting",
            "phoneNumber": None,
            "lastSeen": None,
            "ownerId": owner_id,
            "companyId": company_id,
            "qrCode": QR,
        }
        return {"connectionId": connection_id, "name": name, "status": "connecting", "qrCode": QR}

    async def connections(self, *, closely=False):
        await self._called("connections")
        return list(self.book.values())

    async def connection(self, connection_id, *, closely=False):
        await self._called("connection", connection_id)
        if connection_id not in self.book:
            raise NotFound("Não existe conexão com este id.", code="connection_not_found")
        return self.book[connection_id]

    async def delete_connection(self, connection_id):
        await self.connection(connection_id)
        del self.book[connection_id]

    async def qr(self, connection_id):
        one = await self.connection(connection_id)
        return {
            "connectionId": connection_id,
            "qrCode": one["qrCode"],
            "isConnected": one["isConnected"],
            "expiresAt": None if one["qrCode"] is None else NOW.isoformat(),
            "code": one.get("statusCode"),
            "reason": one.get("statusReason"),
        }

    async def restart_connection(self, connection_id):
        await self.connection(connection_id)

    async def logout_connection(self, connection_id):
        await self.connection(connection_id)

    async def archives(self, connection_id):
        await self.connection(connection_id)
        return [self._archive()]

    async def restore_connection(self, connection_id, archive_id):
        await self._called("restore_connection", connection_id, archive_id)
        await self.connection(connection_id)
        return self._archive()

    def _archive(self):
        return {
            "id": "1769860800000",
            "archivedAt": NOW.isoformat(),
            "reason": "logged_out",
            "phoneNumber": "5511987654321",
        }

    async def send_message(self, *, connection_id, to, content, kind="text", idempotency_key=None):
        await self._called("send_message", connection_id, to, content, kind, idempotency_key)
        if to == NOT_ON_WHATSAPP:
            raise Unsendable("Este número não está no WhatsApp.", code="not_on_whatsapp")
        sent = self.send_status == "sent"
        return {
            "messageId": "3EB0AA",
            "id": OWNER,
            "status": self.send_status,
            "sentAt": NOW.isoformat() if sent else None,
        }

    async def send_plain(self, *, connection_id, request):
        await self._called("send_plain", connection_id, request)
        return self._sent()

    async def message(self, message_id, owner_id):
        await self._called("message", message_id, owner_id)
        raise NotFound("Mensagem não encontrada.", code="message_not_found")

    async def change_message(self, row, operation, value):
        await self._called("change_message", row, operation, value)
        return self._sent()

    async def read_message(self, row):
        await self._called("read_message", row)
        return {"messageId": row["id"], "read": 1}

    async def check_contacts(self, connection_id, phones):
        await self._called("check_contacts", connection_id, phones)
        return [
            {"phone": phone, "exists": phone != NOT_ON_WHATSAPP, "number": None, "jid": None}
            for phone in phones
        ]

    async def show_presence(self, connection_id, to, state):
        await self._called("show_presence", connection_id, to, state)

    async def pairing_code(self, connection_id, phone):
        await self._called("pairing_code", connection_id, phone)
        return {"connectionId": connection_id, "pairingCode": "A1B2C3D4"}

    async def change_connection(self, connection_id, *, name, options, by_admin):
        await self._called("change_connection", connection_id, name, options, by_admin)
        return await self.connection(connection_id)

    def _sent(self):
        return {"messageId": "3EB0AA", "id": OWNER, "status": self.send_status, "sentAt": None}

    async def messages(self, atendimento_id: UUID, owner_id, limit, offset, after=None):
        await self._called("messages", atendimento_id, owner_id, limit, offset, after)
        if str(atendimento_id) != ATENDIMENTO or str(owner_id) == STRANGER:
            raise NotFound("Este atendimento não existe.", code="atendimento_not_found")
        return [{"id": OWNER, "conteudo": "Olá", "remetente": "CLIENTE"}]

    async def active_atendimentos(self, owner_id, company_id):
        await self._called("active_atendimentos", owner_id, company_id)
        return [{"id": ATENDIMENTO, "owner_id": str(owner_id), "status": "AGUARDANDO"}]

    async def list_atendimentos(self, wanted):
        await self._called("list_atendimentos", wanted)
        return {"items": [_ROW], "nextCursor": "mais"}

    async def atendimento(self, atendimento_id, owner_id):
        await self._called("atendimento", atendimento_id, owner_id)
        if str(atendimento_id) != ATENDIMENTO or str(owner_id) == STRANGER:
            raise NotFound("Atendimento não encontrado.", code="atendimento_not_found")
        return _ROW

    async def change_atendimento(self, atendimento_id, changes, owner_id):
        row = await self.atendimento(atendimento_id, owner_id)
        self.calls.append(("changes", dict(changes)))
        return {**row, **changes}

    async def robots(self, owner_id, company_id):
        await self._called("robots", owner_id, company_id)
        return [{"id": ROBOT}]

    async def robot_row(self, robot_id, owner_id):
        await self._called("robot_row", robot_id, owner_id)
        if str(robot_id) != ROBOT:
            raise NotFound("Robô não encontrado.", code="robot_not_found")
        return {"id": ROBOT}

    async def create_robot(self, values):
        await self._called("create_robot", dict(values))
        return {"id": ROBOT, **values}

    async def change_robot(self, robot_id, changes, owner_id):
        row = await self.robot_row(robot_id, owner_id)
        self.calls.append(("changes", dict(changes)))
        return {**row, **changes}

    async def delete_robot(self, robot_id, owner_id):
        await self.robot_row(robot_id, owner_id)

    async def active_sessions(self, owner_id):
        await self._called("active_sessions", owner_id)
        return []

    async def supabase_stats(self):
        await self._called("supabase_stats")
        return {"isHealthy": True, "queueStats": {"pending": 3}, "timestamp": NOW.isoformat()}

    async def clear_queue(self):
        await self._called("clear_queue")
        return {"archived": 2}

    async def dead_letters(self, *, limit, after_seq):
        await self._called("dead_letters", limit, after_seq)
        return [_LETTER]

    async def dead_letter(self, seq):
        await self._called("dead_letter", seq)
        if seq != _LETTER["seq"]:
            raise NotFound("Não há.", code="dead_letter_not_found")
        return _LETTER

    async def follow_events(self, wanted, *, after, recent):
        await self._called("follow_events", wanted, after, recent)
        return await self.event_log.follow(wanted, after=after, recent=recent)

    async def retry_dead_letter(self, seq, *, changes):
        await self._called("retry_dead_letter", seq, changes)


def supabase_down() -> StorageUnavailable:
    return StorageUnavailable("O Supabase não responde agora.", retry_after=2.2)
