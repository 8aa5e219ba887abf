"""The probe in virtual time."""

from __future__ import annotations

from itertools import pairwise

import httpx
import pytest
import trio
from storage_support import refusal

from runtime.events import EventName
from runtime.storage.client import REQUIRED_SCHEMA_VERSION


@pytest.fixture
def offline(rig):
    return lambda: [event.data for event in rig.published(EventName.SUPABASE_OFFLINE)]


async def test_it_is_unhealthy_until_the_first_good_answer_and_then_silent(
    rig, autojump_clock, offline
):
    assert not rig.probe.healthy
    async with rig.running():
        await rig.until(lambda: rig.probe.healthy)
        await trio.sleep(60)
        assert rig.probe.schema_version == REQUIRED_SCHEMA_VERSION
        assert rig.probe.problem is None
        assert 11 <= rig.supabase.checks <= 13
    assert rig.events == []


async def test_an_outage_is_announced_once_and_so_is_its_end(rig, autojump_clock, offline):
    async with rig.running():
        await rig.until(lambda: rig.probe.healthy)
        rig.supabase.version = httpx.ConnectError("refused")
        await trio.sleep(600)
        assert not rig.probe.healthy
        checks = rig.supabase.checks
        await trio.sleep(600)
        assert rig.supabase.checks - checks <= 600, "the delays must grow"
        assert rig.probe.problem.code == "network"
        rig.supabase.version = REQUIRED_SCHEMA_VERSION
        await rig.until(lambda: rig.probe.healthy, 20)
        assert rig.probe.problem is None
    assert [event["code"] for event in offline()] == ["network"]
    (online,) = rig.published(EventName.SUPABASE_ONLINE)
    assert online.data["offlineSeconds"] >= 0


async def test_one_lost_answer_is_no_outage(rig, autojump_clock, offline):
    async with rig.running():
        await rig.until(lambda: rig.probe.healthy)
        rig.supabase.version = httpx.ReadTimeout("lost")
        rig.probe.nudge()
        checks = rig.supabase.checks
        await rig.until(lambda: rig.supabase.checks == checks + 1)
        await trio.sleep(0.5)
        rig.supabase.version = REQUIRED_SCHEMA_VERSION
        await trio.sleep(60)
        assert rig.probe.healthy
    assert offline() == []


async def test_a_hanging_answer_is_given_up(rig, autojump_clock, offline):
    async def hang():
        await trio.sleep_forever()

    async with rig.running():
        await rig.until(lambda: rig.probe.healthy)
        rig.supabase.schema_version = hang
        await rig.until(lambda: not rig.probe.healthy, 60)
        assert rig.probe.problem.code == "timeout"


@pytest.mark.parametrize("answer", [0, refusal(404, "PGRST202"), refusal(404, "42883")])
async def test_a_project_without_our_functions_says_what_to_run(
    rig, autojump_clock, offline, answer
):
    rig.supabase.version = answer
    async with rig.running():
        await rig.until(lambda: rig.probe.problem is not None)
        assert not rig.probe.healthy
        assert rig.probe.problem.code == "migration_required"
        assert "zapvisor migrate" in rig.probe.problem.reason
        rig.supabase.version = REQUIRED_SCHEMA_VERSION
        await rig.until(lambda: rig.probe.healthy)


async def test_verification_needs_a_check_that_began_afterwards(rig, autojump_clock):
    async with rig.running():
        await rig.until(lambda: rig.probe.healthy)
        before = trio.current_time()
        await rig.probe.wait_verified(lambda: None)
        assert trio.current_time() - before < 1  # asked for, not waited for
        rig.supabase.version = 0
        beats: list[float] = []
        rig.probe.nudge()
        await rig.until(lambda: not rig.probe.healthy)
        async with trio.open_nursery() as nursery:
            verified = trio.Event()

            async def wait() -> None:
                await rig.probe.wait_verified(lambda: beats.append(trio.current_time()))
                verified.set()

            nursery.start_soon(wait)
            await trio.sleep(60)
            assert not verified.is_set()
            assert max(late - early for early, late in pairwise(beats)) <= 5
            rig.supabase.version = REQUIRED_SCHEMA_VERSION
            with trio.fail_after(20):
                await verified.wait()
