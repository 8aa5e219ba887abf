"""Queued commands to the bridge: addresses, ends of lifetimes, read receipts."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import trio

from runtime.events import EventBus
from runtime.journal import CommandState, Connection, Journal, NewCommand, NewEntry
from runtime.outbound.outbox import Outbox
from runtime.stopping import waits_of
from runtime.whatsapp import delivery
from runtime.whatsapp.delivery import Delivery
from runtime.whatsapp.link import RequestFailed
from runtime.whatsapp.live import LiveBook, Status
from tests.child_context import Context

NUMBER, REGISTERED = "5511987654321", "551187654321"
JID = f"{NUMBER}@s.whatsapp.net"
LOJA = Connection("loja", "Loja", "owner", None, datetime(2026, 1, 1, tzinfo=UTC))


class Bridge:
    """Answers requests from a table; notes them."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict]] = []
        self.checked = {"exists": True, "jid": f"{REGISTERED}@s.whatsapp.net", "lid": None}
        self.may_be_sent = False
        self.refuses: str | None = None
        self.on_send = None

    async def request(self, type_, **fields):
        self.requests.append((type_, fields))
        await trio.lowlevel.checkpoint()
        match type_:
            case "send" | "read" if self.refuses is not None:
                raise RequestFailed(self.refuses, "no", retryable=False)
            case "check" if self.checked is None:
                raise RequestFailed("timeout", "no answer", retryable=True)
            case "check":
                return [{"phone": fields["phones"][0], **self.checked}]
            case "sent":
                return {"sent": self.may_be_sent}
            case "send" if self.on_send is not None:
                self.on_send(fields["messageId"])
        return {}

    def sent(self):
        return [fields["messageId"] for fields in self.named("send")]

    def named(self, name):
        return [fields for type_, fields in self.requests if type_ == name]


async def deliver(delivery, ctx):
    async with waits_of(ctx) as waits:
        await delivery.run(waits)


@asynccontextmanager
async def delivering(tmp_path, *commands, connected=True, bridge=None):
    """The journal, the bridge and the events of a running delivery."""
    journal, ctx, bridge = Journal(tmp_path / "journal.sqlite"), Context(), bridge or Bridge()
    events = EventBus()
    lives = LiveBook()
    services = SimpleNamespace(journal=journal, outbox=Outbox(journal, events), lives=lives)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, ctx)
        await ctx.is_ready.wait()
        while journal.state.name != "available":  # noqa: ASYNC110 - it has no event
            await trio.sleep(0.01)
        await journal.register(LOJA)
        for command in commands:
            entry = NewEntry("message", command.message_id, {"kind": "message"})
            await journal.submit(command, entry)
        lives["loja"].status = Status.CONNECTED if connected else Status.DISCONNECTED
        async with events.subscribe() as heard:
            nursery.start_soon(deliver, Delivery(LOJA, bridge, services), ctx)

            async def acknowledge(message_id):
                await journal.mark("loja", message_id, CommandState.SENT, at=datetime.now(UTC))
                lives["loja"].outbox.ring()

            bridge.acknowledge = acknowledge
            bridge.acknowledge_at_once = lambda: setattr(
                bridge, "on_send", lambda message_id: nursery.start_soon(acknowledge, message_id)
            )
            yield SimpleNamespace(journal=journal, bridge=bridge, heard=heard, lives=lives)
        nursery.cancel_scope.cancel()


def command(message_id="m1", *, to=JID, content=None, lifetime=timedelta(hours=1)):
    now = datetime.now(UTC)
    return NewCommand(
        connection_id="loja",
        message_id=message_id,
        row_id=message_id,
        to_jid=to,
        content=content or {"text": "oi"},
        idempotency_key=None,
        request_hash="",
        created_at=now,
        expires_at=now + lifetime,
    )


async def until(check, seconds=10.0):
    with trio.fail_after(seconds):
        while not (found := await check()):  # noqa: ASYNC110 - any condition
            await trio.sleep(0.01)
        return found


def sent(run, *message_ids):
    """Whether just these were handed over, in this order."""

    async def check():
        return run.bridge.sent() == list(message_ids)

    return check


async def ended(run, message_id="m1"):
    async def check():
        found = await run.journal.command(message_id, "loja")
        return found if found.state is not CommandState.QUEUED else None

    return await until(check)


async def told(run, count):
    """The messages that the first events were about."""
    messages = []
    with trio.fail_after(10):
        async for event in run.heard:
            messages.append(event.data["messageId"])
            if len(messages) == count:
                return messages
    raise AssertionError(f"the events ended with {messages}")


async def test_a_number_is_asked_about_once_and_written_to_as_it_is_registered(tmp_path):
    async with delivering(tmp_path, command("m1"), command("m2")) as run:
        await until(sent(run, "m1"))
        await run.bridge.acknowledge("m1")
        await until(sent(run, "m1", "m2"))
    assert [fields["to"] for fields in run.bridge.named("send")] == [
        f"{REGISTERED}@s.whatsapp.net"
    ] * 2
    assert len(run.bridge.named("check")) == 1


async def test_a_number_that_nobody_has_fails(tmp_path):
    bridge = Bridge()
    bridge.checked = {"exists": False, "jid": None, "lid": None}
    async with delivering(tmp_path, command(), bridge=bridge) as run:
        found = await ended(run)
    assert (found.state, found.error) == (CommandState.FAILED, "not_on_whatsapp")
    assert bridge.named("send") == []


async def test_without_an_answer_the_number_is_taken_as_it_is(tmp_path):
    bridge = Bridge()
    bridge.checked = None
    async with delivering(tmp_path, command(), bridge=bridge) as run:

        async def sent():
            return run.bridge.named("send")

        [fields] = await until(sent)
    assert fields["to"] == JID


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize(
    ("may_be_sent", "state"), [(False, CommandState.FAILED), (True, CommandState.UNKNOWN)]
)
async def test_what_is_too_old_is_not_sent_any_more(tmp_path, connected, may_be_sent, state):
    bridge = Bridge()
    bridge.may_be_sent = may_be_sent
    old = command(lifetime=timedelta(seconds=-1))
    async with delivering(tmp_path, old, connected=connected, bridge=bridge) as run:
        found = await ended(run)
        totals = run.lives.totals()
    assert (found.state, found.error) == (state, "expired")
    assert (totals["expired"], totals["failed"]) == (1, 1)
    assert bridge.named("send") == []


async def test_a_read_receipt_is_told_and_is_no_message(tmp_path):
    receipt = command(to="1@lid", content={"read": {"ids": ["a", "b"]}})
    late = command("m2", lifetime=timedelta(seconds=-1))
    async with delivering(tmp_path, receipt, late) as run:
        found = await ended(run)
        assert await told(run, 1) == ["m2"]
    assert found.state is CommandState.SENT
    assert run.bridge.named("read") == [{"chat": "1@lid", "ids": ["a", "b"]}]
    assert run.bridge.named("send") == []


@pytest.mark.parametrize("content", [{"text": "oi"}, {"read": {"ids": ["a"]}}])
async def test_what_the_bridge_refuses_fails_and_keeps_nobody_waiting(tmp_path, content):
    bridge = Bridge()
    bridge.refuses = "malformed"
    refused, next_ = command("m1", content=content), command("m2")
    async with delivering(tmp_path, refused, next_, bridge=bridge) as run:
        assert (await ended(run)).error == "malformed"
        assert (await ended(run, "m2")).error == "malformed"
        heard = ["m2"] if "read" in content else ["m1", "m2"]
        assert await told(run, len(heard)) == heard


async def test_the_next_one_of_a_chat_waits_for_the_acknowledgement_other_chats_do_not(tmp_path):
    a, b = "1@lid", "2@lid"
    commands = [command("a1", to=a), command("a2", to=a), command("b1", to=b), command("a3", to=a)]
    async with delivering(tmp_path, *commands) as run:
        await until(sent(run, "a1", "b1"))
        await run.bridge.acknowledge("a1")
        await until(sent(run, "a1", "b1", "a2"))
        await run.bridge.acknowledge("b1")
        await run.bridge.acknowledge("a2")
        await until(sent(run, "a1", "b1", "a2", "a3"))


async def test_one_without_acknowledgement_goes_again_before_what_follows_it(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "ACK_DEADLINE", 0.2)
    commands = [command("a1", to="1@lid"), command("a2", to="1@lid")]
    async with delivering(tmp_path, *commands) as run:
        await until(sent(run, "a1", "a1"))
        await run.bridge.acknowledge("a1")

        async def followed():
            return "a2" in run.bridge.sent()

        await until(followed)
    assert run.bridge.sent()[:2] == ["a1", "a1"]


async def test_a_long_queue_of_one_chat_holds_up_nobody(tmp_path):
    many = [command(f"a{n}", to="1@lid") for n in range(delivery.PAGE * 2)]
    async with delivering(tmp_path, *many, command("b1", to="2@lid")) as run:
        await until(sent(run, "a0", "b1"))
        run.bridge.acknowledge_at_once()
        await run.bridge.acknowledge("a0")

        async def all_of_them():
            return len(run.bridge.sent()) == len(many) + 1

        await until(all_of_them, seconds=60)
    assert run.bridge.sent() == ["a0", "b1", *(f"a{n}" for n in range(1, len(many)))]


async def test_one_that_fails_lets_the_next_of_its_chat_go(tmp_path):
    old = command("a1", to="1@lid", lifetime=timedelta(seconds=-1))
    async with delivering(tmp_path, old, command("a2", to="1@lid")) as run:
        await until(sent(run, "a2"), seconds=5)
