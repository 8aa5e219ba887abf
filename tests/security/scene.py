"""Two tenants on one product: a victim with a conversation, and an attacker who is signed in."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import psycopg
from psycopg.types.json import Jsonb

from tests import hostile
from tests.e2e import talk
from tests.e2e.conftest import fresh_number
from tests.e2e.harness import Product, Shop, Simulator, until

API = "/api/whatsapp-integration"
CONTROL = "/api/whatsapp-bootstrap"
TABLES = (
    "whatsapp_sessions",
    "whatsapp_atendimentos",
    "whatsapp_mensagens",
    "whatsapp_configuracoes",
)
VICTIMS_TEXT = "texto que só a vítima e sua cliente conhecem"
VICTIMS_NAME = "Nome Que Só A Vítima Conhece"
NEEDS_A_PHONE = frozenset({"not_connected", "not_ready"})
"""Codes of a 503 that tell of a connection without a phone, and not of a fault."""


class Scene:
    """The product, the two shops and their customers, and what each has in the tables."""

    def __init__(self, product: Product, simulator: Simulator) -> None:
        self.product, self.simulator = product, simulator
        self.victim = Shop(product, simulator, "vitima", fresh_number()).pair()
        self.attacker = Shop(product, simulator, "intruso", fresh_number()).pair()
        self.victims_customer = self._customer(self.victim, VICTIMS_NAME, VICTIMS_TEXT)
        self.attackers_customer = self._customer(self.attacker, "Cúmplice", "mensagem ao intruso")
        talk.send(self.victim, f"+{self.victims_customer}", content="resposta da vítima")
        self.victims_answer = talk.wait_row(self.victim, conteudo="resposta da vítima")
        self.victims_message = talk.wait_row(self.victim, conteudo=VICTIMS_TEXT)
        self.attackers_message = talk.wait_row(self.attacker, conteudo="mensagem ao intruso")
        until(
            lambda: len(talk.inbox(self.victim, self.victims_customer)) == 1,
            what="the victim's answer is shown",
        )
        until(
            lambda: talk.wait_row(self.victim, conteudo="resposta da vítima")["status"] != "queued",
            what="the victim's answer left",
        )

    def _customer(self, shop: Shop, name: str, text: str) -> str:
        number = fresh_number("55219")
        self.simulator.post("/contacts", number=number, name=name)
        talk.write(shop, number, text)
        talk.wait_row(shop, conteudo=text)
        return number

    # --- credentials

    def key(self, name: str, **scope: Any) -> str:
        """A new API key without a rate."""
        body = {"name": name, "ratePerMinute": None, **scope}
        made: str = self.product.data("POST", f"{CONTROL}/keys", json=body)["key"]
        return made

    # --- what the attacker writes

    def insert(self, table: str, row: dict[str, Any]) -> httpx.Response:
        """As the attacker's browser would: PostgREST, row-level security, triggers."""
        return self._rest("POST", table, json=row)

    def update(self, table: str, row_id: str, values: dict[str, Any]) -> httpx.Response:
        """The same for a row that is there already."""
        return self._rest("PATCH", table, params={"id": f"eq.{row_id}"}, json=values)

    def _rest(self, method: str, table: str, **options: Any) -> httpx.Response:
        stack = self.product.stack
        return httpx.request(
            method,
            f"{stack.url}/rest/v1/{table}",
            headers={
                "apikey": stack.anon_key,
                "Authorization": f"Bearer {stack.user_token(self.attacker.owner)}",
                "Prefer": "return=minimal",
            },
            timeout=20,
            **options,
        )

    def plant(self, table: str, row: dict[str, Any]) -> bool:
        """A row from before anything refused it; False where the table's own checks do."""
        # dados and tags may be any JSON, the other columns are no lists or objects.
        values = {
            name: Jsonb(value) if name in {"dados", "tags"} and value is not None else value
            for name, value in row.items()
        }
        with hostile.past_triggers(self.product.stack.dsn) as database:
            try:
                hostile.insert(database, table, **values)
            except psycopg.Error:
                return False
        return True

    def remove(self, table: str, row_id: str) -> None:
        self.product.query(f"delete from public.{table} where id = %s returning id", row_id)

    # --- what must not change

    def victims_rows(self) -> dict[str, str]:
        """A digest of all that the victim has in each table."""
        digests = {}
        for table in TABLES:
            [(text,)] = self.product.query(
                f"select coalesce(string_agg(t::text, '|' order by t.id), '') from {table} t"
                " where t.owner_id = %s",
                self.victim.owner,
            )
            digests[table] = hashlib.sha256(text.encode()).hexdigest()
        return digests

    def restarts(self) -> dict[str, int]:
        """How often each child of the tree was restarted, by its path."""
        found: dict[str, int] = {}

        def walk(node: dict[str, Any], path: str) -> None:
            here = f"{path}/{node['name']}"
            found[here] = node.get("restarts") or 0
            for child in node.get("children") or ():
                walk(child, here)

        walk(self.product.data("GET", f"{CONTROL}/tree"), "")
        return found

    def restarts_since(self, before: dict[str, int]) -> dict[str, int]:
        """Of the children that were there then: how often each was restarted meanwhile."""
        return {
            path: count - before[path]
            for path, count in self.restarts().items()
            if count != before.get(path, count)
        }
