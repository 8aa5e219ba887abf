"""A receiver of webhooks on a real socket, and the notifier over a real journal."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress

import h11
import trio

from runtime.events import Event, EventName
from runtime.journal import Journal
from runtime.notifier import Notifier, Sender, Webhooks
from runtime.outgoing_http import GuardedNetwork
from tests.child_context import Context

OWNER = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


async def until(condition, seconds: float = 20.0) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is no event of ours
            await trio.sleep(0.005)


def event(number: int, *, chat: str | None = "5511", name=EventName.MESSAGE_RECEIVED, **more):
    owner = {"connection_id": "loja", "owner_id": OWNER, **more}
    return Event(name, {"n": number, "content": "olá"}, chat=chat, **owner)


class Request:
    def __init__(self, target: str, headers: dict[str, str], body: bytes) -> None:
        self.target, self.headers, self.body = target, headers, body
        self.event = json.loads(body)
        self.number = self.event["data"].get("n")


class Receiver:
    """Answers with ``answer(request)``: a status, or a status and headers; None hangs up."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], object] = lambda _request: 204
        self.delay = 0.0
        self.gate = trio.Event()  # answers wait for it
        self.gate.set()
        self.at_once: dict[str, int] = {}
        self.most_at_once: dict[str, int] = {}
        self.url = ""

    @property
    def numbers(self) -> list[int]:
        return [request.number for request in self.requests]

    async def serve(self, task_status=trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        self.url = f"http://receiver.example:{port}/hook?shop=1"
        self.port = port
        async with trio.open_nursery() as nursery:
            task_status.started()
            await trio.serve_listeners(self._connection, listeners, handler_nursery=nursery)

    async def _connection(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, h11.RemoteProtocolError):
            while await self._exchange(stream, h11.Connection(h11.SERVER)):
                pass
        await stream.aclose()

    async def _exchange(self, stream, machine) -> bool:
        head, body = None, b""
        while True:
            what = machine.next_event()
            if what is h11.NEED_DATA:
                data = await stream.receive_some()
                machine.receive_data(data)
                if not data and head is None:
                    return False
            elif isinstance(what, h11.Request):
                head = what
            elif isinstance(what, h11.Data):
                body += what.data
            elif isinstance(what, h11.EndOfMessage):
                break
            else:
                return False
        headers = {name.decode().lower(): value.decode() for name, value in head.headers}
        request = Request(head.target.decode(), headers, body)
        chat = request.event["data"].get("chat", "")
        self.at_once[chat] = self.at_once.get(chat, 0) + 1
        self.most_at_once[chat] = max(self.most_at_once.get(chat, 0), self.at_once[chat])
        self.requests.append(request)
        await trio.sleep(self.delay)
        await self.gate.wait()
        self.at_once[chat] -= 1
        answer = self.answer(request)
        if answer is None:
            return False
        status, more = answer if isinstance(answer, tuple) else (answer, {})
        response = h11.Response(
            status_code=status, headers=[("Content-Length", "0"), *more.items()]
        )
        await stream.send_all(machine.send(response) + machine.send(h11.EndOfMessage()))
        return True


async def to_loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def network(resolver=to_loopback, allows=lambda _address: True) -> GuardedNetwork:
    return GuardedNetwork(resolver=resolver, allows=allows)


def desk(
    journal: Journal, owner_id=None, net: GuardedNetwork | None = None, nudge=lambda: None
) -> Webhooks:
    return Webhooks(journal, owner_id, sender=lambda: Sender(net or network()), nudge=nudge)


@asynccontextmanager
async def notifying(journal: Journal, net: GuardedNetwork | None = None):
    notifier, context = Notifier(journal, Sender(net or network())), Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notifier.run, context)
        with trio.fail_after(60):
            await context.is_ready.wait()
        yield notifier
        nursery.cancel_scope.cancel()
