"""The one table of who may call what: every route, what it needs, and a request to A's things.

``reach`` says how others are kept from what belongs to owner A (connection ``loja-a``):

- ``all``: the call is about the whole product, hence for admins only
- ``connection``: it names a connection; who does not see that one gets 404
- ``row``: the runtime is asked for a row of the caller's owner, and finds no other
- ``list``: it answers with what the caller sees
- ``create``: it makes something, for the caller's owner
- ``open``: it tells nothing of anybody
- ``stream``: it answers as long as the caller listens, with what the caller sees; here only who
  is refused is tried
"""

from dataclasses import dataclass, field
from typing import Any

OWNER_A = "aaaaaaaa-0000-4000-8000-00000000000a"
OWNER_B = "bbbbbbbb-0000-4000-8000-00000000000b"
ROW = "cccccccc-0000-4000-8000-00000000000c"
A, B = "loja-a", "loja-b"

BOOT = "/api/whatsapp-bootstrap"
APP = "/api/whatsapp-integration"
ADMIN, OWNERS, ANYBODY = "admin", "admin owner", "admin owner connection"


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    permission: str
    roles: str
    reach: str
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The path filled in with A's ids."""
        of_connection = f"{APP}/connections/"
        identifier = A if self.path.startswith(of_connection) else ROW
        filled = (
            self.path.replace("{id}", identifier).replace("{seq}", "7").replace("{delivery}", "7")
        )
        for name in ("{atendimentoId}", "{messageId}"):
            filled = filled.replace(name, ROW)
        return filled

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


ROBOT = {
    "nome": "Robô",
    "mensagemBoasVindas": "Olá",
    "mensagemMenu": "1 - Vendas",
    "mensagemDespedida": "Até logo",
}

TABLE = [
    Route("POST", f"{BOOT}/initialize", "manage", ADMIN, "all"),
    Route("GET", f"{BOOT}/status", "read", ADMIN, "all"),
    Route("GET", f"{BOOT}/stats", "read", ADMIN, "all"),
    Route("POST", f"{BOOT}/test", "manage", ADMIN, "all"),
    Route("POST", f"{BOOT}/test-connection", "manage", ADMIN, "all", {"ownerId": OWNER_A}),
    Route("POST", f"{BOOT}/restart", "manage", ADMIN, "all"),
    Route("POST", f"{BOOT}/shutdown", "manage", ADMIN, "all"),
    Route("GET", f"{BOOT}/tree", "read", ADMIN, "all"),
    Route("POST", f"{BOOT}/tree/unpark", "manage", ADMIN, "all", {"path": "zapvisor/core"}),
    Route("GET", f"{BOOT}/keys", "read", ADMIN, "all"),
    Route("POST", f"{BOOT}/keys", "manage", ADMIN, "all", {"name": "x", "role": "admin"}),
    Route("POST", f"{BOOT}/keys/{{id}}/rotate", "manage", ADMIN, "all"),
    Route("DELETE", f"{BOOT}/keys/{{id}}", "manage", ADMIN, "all"),
    Route(
        "POST",
        f"{APP}/connections",
        "manage",
        OWNERS,
        "create",
        {"connectionId": "nova", "name": "Nova"},
    ),
    Route("GET", f"{APP}/connections", "read", ANYBODY, "list"),
    Route("GET", f"{APP}/connections/{{id}}", "read", ANYBODY, "connection"),
    Route("DELETE", f"{APP}/connections/{{id}}", "manage", ANYBODY, "connection"),
    Route("GET", f"{APP}/connections/{{id}}/qr", "manage", ANYBODY, "connection"),
    Route("POST", f"{APP}/connections/{{id}}/restart", "manage", ANYBODY, "connection"),
    Route("POST", f"{APP}/connections/{{id}}/logout", "manage", ANYBODY, "connection"),
    Route("GET", f"{APP}/connections/{{id}}/archives", "manage", ANYBODY, "connection"),
    Route("POST", f"{APP}/connections/{{id}}/restore", "manage", ANYBODY, "connection"),
    Route(
        "POST",
        f"{APP}/messages/send",
        "send",
        ANYBODY,
        "connection",
        {"connectionId": A, "to": "+5511987654321", "content": "Olá"},
    ),
    Route(
        "POST",
        f"{APP}/messages/send-media",
        "send",
        ANYBODY,
        "connection",
        {"connectionId": A, "to": "+5511987654321", "type": "image"},
    ),
    Route("POST", f"{APP}/messages/{{messageId}}/media/retry", "send", ANYBODY, "row"),
    Route("POST", f"{APP}/messages/{{messageId}}/read", "send", ANYBODY, "row"),
    Route(
        "POST", f"{APP}/messages/{{messageId}}/reaction", "send", ANYBODY, "row", {"emoji": "👍"}
    ),
    Route("PATCH", f"{APP}/messages/{{messageId}}", "send", ANYBODY, "row", {"content": "x"}),
    Route("DELETE", f"{APP}/messages/{{messageId}}", "send", ANYBODY, "row"),
    Route(
        "GET",
        f"{APP}/contacts/check",
        "send",
        ANYBODY,
        "connection",
        query={"connectionId": A, "phones": "+5511987654321"},
    ),
    Route("PATCH", f"{APP}/connections/{{id}}", "manage", ANYBODY, "connection", {"name": "x"}),
    Route(
        "POST",
        f"{APP}/connections/{{id}}/presence",
        "send",
        ANYBODY,
        "connection",
        {"state": "available"},
    ),
    Route(
        "POST",
        f"{APP}/connections/{{id}}/pairing-code",
        "manage",
        ANYBODY,
        "connection",
        {"phone": "+5511987654321"},
    ),
    Route("GET", f"{APP}/media/{{messageId}}", "read", ANYBODY, "row"),
    Route("GET", f"{APP}/messages/{{atendimentoId}}", "read", ANYBODY, "row"),
    Route("GET", f"{APP}/atendimentos", "read", ANYBODY, "row"),
    Route("GET", f"{APP}/atendimentos/active", "read", ANYBODY, "list"),
    Route("GET", f"{APP}/atendimentos/{{id}}", "read", ANYBODY, "row"),
    Route("PATCH", f"{APP}/atendimentos/{{id}}", "send", ANYBODY, "row", {"observacoes": "x"}),
    Route("GET", f"{APP}/events", "read", ANYBODY, "stream"),
    Route("GET", f"{APP}/sessions/active", "read", ANYBODY, "list"),
    Route("POST", f"{APP}/robot", "manage", OWNERS, "create", ROBOT),
    Route("GET", f"{APP}/robot", "read", OWNERS, "row"),
    Route("GET", f"{APP}/robot/{{id}}", "read", OWNERS, "row"),
    Route("PATCH", f"{APP}/robot/{{id}}", "manage", OWNERS, "row", {"nome": "Novo"}),
    Route("DELETE", f"{APP}/robot/{{id}}", "manage", OWNERS, "row"),
    Route("GET", f"{APP}/dead-letters", "read", ADMIN, "all"),
    Route("POST", f"{APP}/dead-letters/archive", "manage", ADMIN, "all"),
    Route("GET", f"{APP}/dead-letters/{{seq}}", "read", ADMIN, "all"),
    Route("POST", f"{APP}/dead-letters/{{seq}}/retry", "manage", ADMIN, "all"),
    Route(
        "POST", f"{APP}/webhooks", "manage", OWNERS, "row", {"url": "https://crm.example/zapvisor"}
    ),
    Route("GET", f"{APP}/webhooks", "read", OWNERS, "row"),
    Route("GET", f"{APP}/webhooks/{{id}}", "read", OWNERS, "row"),
    Route("PATCH", f"{APP}/webhooks/{{id}}", "manage", OWNERS, "row", {"enabled": True}),
    Route("DELETE", f"{APP}/webhooks/{{id}}", "manage", OWNERS, "row"),
    Route("POST", f"{APP}/webhooks/{{id}}/secret", "manage", OWNERS, "row"),
    Route("POST", f"{APP}/webhooks/{{id}}/test", "manage", OWNERS, "row"),
    Route("GET", f"{APP}/webhooks/{{id}}/deliveries", "read", OWNERS, "row"),
    Route("POST", f"{APP}/webhooks/{{id}}/deliveries/redeliver", "manage", OWNERS, "row"),
    Route(
        "POST", f"{APP}/webhooks/{{id}}/deliveries/{{delivery}}/redeliver", "manage", OWNERS, "row"
    ),
    Route("GET", f"{APP}/stats/supabase", "read", ANYBODY, "open"),
    Route("POST", f"{APP}/queue/clear", "manage", ADMIN, "all"),
]
