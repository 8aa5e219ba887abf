"""A stop of the notifier: the POST whose answer is awaited counts, no other is begun."""

from __future__ import annotations

import trio
from notifier_support import desk, event, network, until

from runtime.notifier import Notifier, Sender
from tests.supervised import supervised


def notifying(journal, **rules):
    return supervised("notifier", Notifier(journal, Sender(network())).run, **rules)


async def deliveries(journal, hook):
    return (await desk(journal).one(hook["id"]))["deliveries"]


async def until_delivered(journal, hook, count):
    with trio.fail_after(20):
        while (await deliveries(journal, hook))["delivered"] != count:  # noqa: ASYNC110
            await trio.sleep(0.01)


async def test_an_attempt_in_hand_is_noted_and_not_made_again(journal, receiver):
    hook = await desk(journal).create(
        url=receiver.url, connection_id=None, events=(), description=None
    )
    receiver.gate = trio.Event()
    async with notifying(journal) as notifier:
        await journal.record([event(1)])
        await until(lambda: receiver.requests)
        async with notifier.stopping():
            await journal.record([event(2)])
            await trio.testing.wait_all_tasks_blocked(0.05)
            receiver.gate.set()
        told = await deliveries(journal, hook)
        assert (told["delivered"], told["pending"]) == (1, 1)
        await notifier.start()
        await until_delivered(journal, hook, 2)
    assert receiver.numbers == [1, 2]


async def test_an_answer_that_does_not_come_holds_up_no_stop(journal, receiver):
    hook = await desk(journal).create(
        url=receiver.url, connection_id=None, events=(), description=None
    )
    receiver.gate = trio.Event()
    async with notifying(journal, drain_deadline=0.1) as notifier:
        await journal.record([event(1)])
        await until(lambda: receiver.requests)
        async with notifier.stopping():
            pass
        assert (await deliveries(journal, hook))["pending"] == 1
        receiver.gate.set()
        await notifier.start()
        await until_delivered(journal, hook, 1)
    assert receiver.numbers == [1, 1]
