"""``zapvisor demo``: the product on a simulated WhatsApp, with customers who write."""

from __future__ import annotations

import itertools
import logging
import secrets
from typing import NamedTuple
from uuid import UUID

import click
import trio
from pydantic import SecretStr

from runtime.app import Application
from runtime.events import EventName
from runtime.local_stack import LocalStack
from supervisors import Backoff, ChildContext, ChildSpec

from .owner import local_stack
from .prerequisites import load_settings, node_parts
from .serving import serve
from .simulator import Simulator, SimulatorRefused
from .terminal import say

CONNECTION = "demo"
OWNER_EMAIL = "demo@example.com"
SHOP = "5511940000001"
PAIRING_TIMEOUT = 60.0
POLL = 0.25
INBOX_POLL = 1.0
BACKOFF = Backoff(first=1.0, cap=15.0, reset_after=60.0)
INTEGRATION = "/api/whatsapp-integration"


class Customer(NamedTuple):
    """Somebody simulated."""

    name: str
    number: str


CUSTOMERS = (
    Customer("Marina Duarte", "5511955550001"),
    Customer("Rafael Nogueira", "5521955550002"),
    Customer("Dona Cida", "5531955550003"),
)
LINES = (
    "Boa tarde, vocês ainda têm aquele vestido azul?",
    "Oi! Comprei ontem e queria mudar o endereço da entrega.",
    "Vocês fazem entrega em Betim?",
    "Qual o valor do frete para o CEP 01310-100?",
    "O boleto venceu, consigo gerar outro?",
    "Chegou hoje, ficou perfeito! 😍",
    "Tem desconto pagando à vista?",
    "Estou na porta da loja, já abriram?",
    "Pode separar o tamanho M para mim?",
    "Quanto tempo demora a troca?",
    "Perfeito, vou fazer o Pix agora.",
    "Obrigado pela atenção! 👏",
)


def demo(*, every: float) -> None:
    """Blocks until Ctrl-C or SIGTERM; raises Problem for what an operator can mend.

    Args:
        every: seconds between two messages.
    """
    settings = load_settings()
    parts = node_parts(settings)
    directory = settings.data_dir.resolve() / "demo"
    directory.mkdir(parents=True, exist_ok=True)
    key = f"zv_demo_{secrets.token_urlsafe(24)}"
    simulator = Simulator(parts, directory / "simulator.json")
    demo_settings = settings.model_copy(
        update={
            "data_dir": directory,
            "api_key": SecretStr(key),
            # Never somebody's real project, and beside a local stack that may be running.
            "supabase_url": None,
            "local_supabase_port": 0,
        }
    )

    async def main(application: Application, url: str) -> None:
        say(f"the API listens on {url}; Ctrl-C stops everything")
        stack = local_stack(demo_settings, parts)
        shop = Shop(application, stack, simulator, url=url, key=key, every=every)
        await application.root.start_child(simulator.child())
        await application.root.start_child(ChildSpec("customers", shop.run, backoff=BACKOFF))
        await trio.sleep_forever()

    say("starting the product, a Supabase of its own and a simulated WhatsApp: a few seconds")
    with simulator.in_place_of_whatsapp():
        # The log is not what a newcomer came to see; errors are.
        serve(demo_settings, parts, main, logs=directory, console_level=logging.ERROR)


class Shop:
    """A business with one WhatsApp number and customers who write to it."""

    def __init__(
        self,
        application: Application,
        stack: LocalStack,
        simulator: Simulator,
        *,
        url: str,
        key: str,
        every: float,
    ) -> None:
        self._application = application
        self._stack = stack
        self._simulator = simulator
        self._url = url
        self._key = key
        self._every = every
        self._lines = itertools.cycle(LINES)

    async def run(self, ctx: ChildContext) -> None:
        """Everybody exists, the shop's phone is paired, then customers write without end."""
        await self._ensure("/phones", SHOP, "Loja de demonstração")
        for customer in CUSTOMERS:
            await self._ensure("/contacts", customer.number, customer.name)
        ctx.ready()
        owner = await self._stack.create_owner(OWNER_EMAIL)
        await self._pair(owner)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_of_stored, owner)
            nursery.start_soon(self._tell_of_answers)
            nursery.start_soon(self._write)

    async def _ensure(self, kind: str, number: str, name: str) -> None:
        try:
            await self._simulator.call("POST", kind, number=number, name=name)
        except SimulatorRefused as refusal:
            if refusal.status != 409:
                raise

    async def _pair(self, owner: UUID) -> None:
        """Connected, by scanning QR codes where that is asked for."""
        application = self._application
        known = {connection["id"]: connection for connection in await application.connections()}
        if CONNECTION in known and known[CONNECTION]["statusCode"] is not None:
            # Parked: the simulator has lost its memory of it.
            await application.delete_connection(CONNECTION)
            del known[CONNECTION]
        if CONNECTION not in known:
            await application.create_connection(
                connection_id=CONNECTION,
                name="Demonstração",
                owner_id=owner,
                company_id=None,
                by_admin=True,
            )
        scanned = None
        with trio.fail_after(PAIRING_TIMEOUT):
            while not (now := await application.connection(CONNECTION))["isConnected"]:
                if now["statusCode"] is not None:
                    raise RuntimeError(f"the demo connection is parked: {now['statusReason']}")
                if now["qrCode"] not in (None, scanned):
                    scanned = now["qrCode"]
                    say("a QR code appeared; the simulated phone scans it")
                    await self._simulator.call("POST", f"/phones/{SHOP}/scan", qr=scanned)
                await trio.sleep(POLL)
        say(f"WhatsApp is connected as +{SHOP}")

    async def _write(self) -> None:
        for customer in itertools.cycle(CUSTOMERS):
            text = next(self._lines)
            say(f"{customer.name} writes: {text}")
            await self._simulator.call(
                "POST", f"/contacts/{customer.number}/send", to=SHOP, text=text
            )
            await trio.sleep(self._every)

    async def _tell_of_stored(self, owner: UUID) -> None:
        hinted = False
        async with self._application.events.subscribe() as events:
            async for event in events:
                if event.event is not EventName.MESSAGE_RECEIVED:
                    continue
                say("… stored in whatsapp_mensagens")
                if not hinted:
                    await self._hint(owner)
                    hinted = True

    async def _hint(self, owner: UUID) -> None:
        """The calls to try next, with real ids."""
        atendimento = (await self._application.active_atendimentos(owner, None))[0]
        base = f"{self._url}{INTEGRATION}"
        curl = f"curl -s -H 'X-Api-Key: {self._key}'"
        body = (
            f'{{"connectionId":"{CONNECTION}","to":"{atendimento["numero_cliente"]}",'
            '"content":"Olá! Já vamos te atender."}'
        )
        say("try these in another terminal:")
        click.echo(
            "\n  # the open atendimentos\n"
            f"  {curl} '{base}/atendimentos/active?ownerId={owner}'\n"
            "\n  # the messages of one of them\n"
            f"  {curl} '{base}/messages/{atendimento['id']}?ownerId={owner}'\n"
            "\n  # an answer; it appears here, on the customer's phone\n"
            f"  {curl} -H 'Content-Type: application/json' -d '{body}' '{base}/messages/send'\n"
            f"\n  # or look at it all in a browser: {self._url}/ with the key\n"
            f"  {self._key}\n"
        )

    async def _tell_of_answers(self) -> None:
        """What the customers' phones show."""
        shown: dict[str, int] = {}
        while True:
            for customer in CUSTOMERS:
                messages = await self._simulator.call("GET", f"/contacts/{customer.number}/inbox")
                # What was there before this run is no news.
                for message in messages[shown.get(customer.number, len(messages)) :]:
                    say(f"the phone of {customer.name} shows: {message['text']}")
                shown[customer.number] = len(messages)
            await trio.sleep(INBOX_POLL)
