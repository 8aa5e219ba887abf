"""Webhooks as a receiver sees them: signed, in order per chat, each at least once."""

import hashlib
import hmac
import time
from datetime import UTC, datetime

import trio
from notifier_support import OTHER, OWNER, desk, event, notifying, until

from runtime.events import EventName
from runtime.journal import codec, deliveries, endpoints
from runtime.journal import events as log


async def create(journal, receiver, **more):
    options = {"connection_id": None, "events": (), "description": None, **more}
    return await desk(journal).create(url=receiver.url, **options)


def state_of(hook):
    return (
        hook["deliveries"]["pending"],
        hook["deliveries"]["delivered"],
        hook["deliveries"]["dead"],
    )


async def test_a_delivery_is_the_event_signed(journal, receiver):
    hook = await create(journal, receiver)
    async with notifying(journal):
        await journal.record([event(1)])
        await until(lambda: receiver.requests)
        (logged,) = await journal.events("", limit=10)
        (request,) = receiver.requests
        assert request.target == "/hook?shop=1"
        assert request.event == logged.as_json()
        assert request.headers["host"] == f"receiver.example:{receiver.port}"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["x-zapvisor-event"] == "messageReceived"
        assert request.headers["x-zapvisor-event-id"] == logged.id
        stamp, _, proof = request.headers["x-zapvisor-signature"].partition(",")
        assert abs(int(stamp.removeprefix("t=")) - time.time()) < 60
        expected = hmac.new(
            hook["secret"].encode(),
            stamp.removeprefix("t=").encode() + b"." + request.body,
            hashlib.sha256,
        )
        assert proof == f"v1={expected.hexdigest()}"


async def test_only_what_an_endpoint_wants(journal, receiver):
    await create(journal, receiver, events=(EventName.MESSAGE_RECEIVED,))
    async with notifying(journal):
        await journal.record([event(0, name=EventName.CONNECTED), event(1)])
        await until(lambda: receiver.requests)
    assert receiver.numbers == [1]


async def test_endpoints_of_owners_and_connections_get_theirs_alone(journal, receiver):
    everything = [
        event(0),
        event(1, owner_id=OTHER),
        event(2, connection_id="outra"),
        event(3, connection_id=None, owner_id=None),
    ]
    for owner, connection, expected in (
        (None, None, [0, 1, 2, 3]),
        (OWNER, None, [0, 2]),
        (OWNER, "outra", [2]),
        (OTHER, None, [1]),
    ):
        hook = await create(journal, receiver)
        await journal.transact(
            lambda database, hook=hook, owner=owner, connection=connection: database.execute(
                "UPDATE webhook_endpoint SET owner_id = ?, connection_id = ? WHERE id = ?",
                (owner, connection, hook["id"]),
            )
        )
        async with notifying(journal):
            await journal.record(everything)
            await until(lambda expected=expected: len(receiver.requests) >= len(expected))
        await desk(journal).remove(hook["id"])
        assert sorted(receiver.numbers) == expected
        receiver.requests.clear()


async def test_a_chat_keeps_its_order_through_failures_and_others_go_on(journal, receiver):
    hook = await create(journal, receiver)
    tries: dict[int, int] = {}

    def answer(request):
        tries[request.number] = tries.get(request.number, 0) + 1
        failing = request.number == 0 and tries[0] <= 4
        return 500 if failing else 200

    receiver.answer = answer
    await journal.record(
        [event(0, chat="a"), event(1, chat="a"), event(2, chat="a"), event(3, chat="b")]
    )
    async with notifying(journal):
        await until(lambda: 2 in receiver.numbers)
        await until_state(journal, hook, (0, 4, 0))
    assert [n for n in receiver.numbers if n != 3] == [0, 0, 0, 0, 0, 1, 2]
    assert receiver.numbers.index(3) < receiver.numbers.index(1)


async def until_state(journal, hook, expected):
    with trio.fail_after(60):
        while state_of(await desk(journal).one(hook["id"])) != expected:  # noqa: ASYNC110
            await trio.sleep(0.01)


async def test_one_at_a_time_per_chat_and_a_bound_in_all(journal, receiver):
    hook = await create(journal, receiver)
    receiver.delay = 0.02
    numbers = [(n, f"chat-{n % 12}") for n in range(60)]
    events = [event(n, chat=chat) for n, chat in numbers]
    for one in events:
        one.data["chat"] = one.chat
    await journal.record(events)
    most = 0
    async with notifying(journal):
        while state_of(await desk(journal).one(hook["id"])) != (0, 60, 0):
            most = max(most, sum(receiver.at_once.values()))
            await trio.sleep(0.001)
    assert set(receiver.most_at_once.values()) == {1}
    assert 1 < most <= 8
    for chat in {chat for _, chat in numbers}:
        mine = [n for n in receiver.numbers if f"chat-{n % 12}" == chat]
        assert mine == sorted(mine)


async def test_nothing_is_lost_when_the_notifier_dies(journal, receiver):
    hook = await create(journal, receiver)
    receiver.delay = 0.05
    await journal.record([event(n, chat=str(n)) for n in range(20)])
    async with notifying(journal):
        await until(lambda: receiver.requests)
    receiver.delay = 0.0
    async with notifying(journal):
        await until_state(journal, hook, (0, 20, 0))
    assert set(receiver.numbers) == set(range(20))


async def test_after_a_day_it_is_a_dead_letter_that_can_be_delivered_again(
    journal, receiver, monkeypatch
):
    monkeypatch.setattr(deliveries, "DELIVERY_LIFETIME", 200_000)
    hook = await create(journal, receiver)
    receiver.answer = lambda request: 503 if request.number == 1 else 200
    await journal.record([event(1), event(2)])
    async with notifying(journal) as notifier:
        await until_state(journal, hook, (0, 1, 1))
        log = await desk(journal).log(hook["id"], state="dead", before=None, limit=10)
        (dead,) = log["items"]
        assert dead["event"]["data"]["n"] == 1
        assert (dead["status"], dead["error"]) == (503, "http_503")
        assert dead["attempts"] > 1
        receiver.answer = lambda _request: 200
        await desk(journal, nudge=notifier.nudge).redeliver(hook["id"], dead["id"])
        await until_state(journal, hook, (0, 2, 0))
    assert receiver.numbers[-1] == 1


async def test_all_dead_letters_of_an_endpoint_at_once(journal, receiver, monkeypatch):
    hook = await create(journal, receiver)
    monkeypatch.setattr(deliveries, "DELIVERY_LIFETIME", 1)
    receiver.answer = lambda _request: 500
    await journal.record([event(n) for n in range(3)])
    async with notifying(journal) as notifier:
        await until_state(journal, hook, (0, 0, 3))
        receiver.answer = lambda _request: 200
        monkeypatch.undo()
        assert await desk(journal, nudge=notifier.nudge).redeliver_dead(hook["id"]) == 3
        await until_state(journal, hook, (0, 3, 0))
    assert receiver.numbers[-3:] == [0, 1, 2]


async def test_who_is_gone_is_not_asked_again(journal, receiver):
    hook = await create(journal, receiver)
    receiver.answer = lambda _request: 410
    await journal.record([event(1), event(2)])
    async with notifying(journal):
        await until_state(journal, hook, (1, 0, 1))
    seen = await desk(journal).one(hook["id"])
    assert (seen["enabled"], seen["disabledCode"]) == (False, "gone")
    assert receiver.numbers == [1]


async def test_an_endpoint_that_fails_for_long_is_given_up_visibly_and_can_be_forgiven(
    journal, receiver, monkeypatch
):
    monkeypatch.setattr(endpoints, "DISABLE_AFTER", 100_000)
    hook = await create(journal, receiver)
    receiver.answer = lambda _request: 500
    await journal.record([event(1)])
    async with notifying(journal):
        with trio.fail_after(60):
            while (seen := await desk(journal).one(hook["id"]))["enabled"]:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert seen["disabledCode"] == "failing"
        assert seen["failingSince"] is not None
        assert seen["lastError"] == "http_500"
        summary = await journal.transact(endpoints.summary)
        assert summary == {"total": 1, "failing": 0, "disabled": 1}
        await journal.record([event(2)])  # not for one that is disabled
        receiver.answer = lambda _request: 200
        forgiven = await desk(journal).change(hook["id"], {"enabled": True})
        assert (forgiven["enabled"], forgiven["failingSince"]) == (True, None)
        await journal.record([event(3)])
        await until_state(journal, hook, (0, 2, 0))
    assert receiver.numbers[-2:] == [1, 3]


async def test_what_waits_for_a_disabled_endpoint_dies_in_the_end(journal, receiver):
    hook = await create(journal, receiver)
    await journal.record([event(1), event(2)])
    await desk(journal).change(hook["id"], {"enabled": False})
    now = codec.micros(datetime.now(UTC))
    for hours, expected in ((23, (2, 0, 0)), (25, (0, 0, 2))):
        later = now + hours * 3600 * 1_000_000
        await journal.transact(
            lambda database, later=later: deliveries.upkeep(database, later, 100)
        )
        assert state_of(await desk(journal).one(hook["id"])) == expected


async def test_too_much_waiting_gives_an_endpoint_up(journal, receiver, monkeypatch):
    monkeypatch.setattr(deliveries, "MAX_BACKLOG", 2)
    hook = await create(journal, receiver)
    await journal.record([event(n) for n in range(3)])
    await journal.prune()
    seen = await desk(journal).one(hook["id"])
    assert (seen["enabled"], seen["disabledCode"]) == (False, "backlog_full")


async def test_events_stay_as_long_as_somebody_has_to_hear_of_them(journal, receiver, monkeypatch):
    monkeypatch.setattr(log, "MAX_EVENTS", 0)
    hook = await create(journal, receiver, events=(EventName.CONNECTED,))
    await journal.record([event(1, name=EventName.CONNECTED), event(2)])
    await journal.prune()
    assert [one.data["n"] for one in await journal.events("", limit=10)] == [1]
    async with notifying(journal):
        await until_state(journal, hook, (0, 1, 0))
    monkeypatch.setattr(deliveries, "DELIVERED_KEPT", -1)
    await journal.prune()
    assert await journal.events("", limit=10) == []
