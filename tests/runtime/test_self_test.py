"""What the self-test says of a part that is broken: what is wrong, and what to do."""

import httpx
import pytest
import trio

from runtime.errors import JournalUnavailable, StorageUnavailable
from runtime.self_test import _check
from runtime.storage import Supabase
from runtime.storage.errors import SupabaseError
from runtime.whatsapp.bridge import BridgeHung
from runtime.whatsapp.link import LinkLost
from supervisors import SupervisorDownError


def failing(error):
    async def run():
        raise error

    return run


async def test_a_part_that_works_has_nothing_to_say():
    async def works():
        pass

    answer = await _check("supabase", works)

    assert (answer["ok"], answer["error"], answer["action"]) == (True, None, None)


@pytest.mark.parametrize(
    ("name", "failure", "error", "action"),
    [
        ("integration", LinkLost("not running"), "não está em execução", "zapvisor tree"),
        ("integration", BridgeHung("silent"), "não responde", "zapvisor tree"),
        ("watchdog", SupervisorDownError("it stops"), "SupervisorDownError", "zapvisor tree"),
        (
            "messageQueue",
            JournalUnavailable(
                "A fila parou.", code="journal_disk_full", details={"reason": "only 3 MiB left"}
            ),
            "A fila parou. (only 3 MiB left)",
            "Libere espaço",
        ),
        (
            "messageQueue",
            JournalUnavailable("Parada.", code="journal_stopped"),
            "Parada.",
            "/initialize",
        ),
        (
            "messageQueue",
            JournalUnavailable("Defeitos.", code="journal_corrupt"),
            "Defeitos.",
            "zapvisor journal verify",
        ),
        ("supabase", StorageUnavailable("Não.", details={"reason": "x"}), "Não. (x)", "status"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
async def test_a_part_that_is_broken(name, failure, error, action):
    answer = await _check(name, failing(failure))

    assert answer["ok"] is False
    assert error in answer["error"]
    assert action in answer["action"]


async def test_a_part_that_does_not_answer(autojump_clock):
    answer = await _check("watchdog", trio.sleep_forever)

    assert answer["error"] == "Sem resposta em 15 s."
    assert "reinicie o processo" in answer["action"]


@pytest.mark.parametrize(
    ("failure", "action"),
    [
        (httpx.ConnectError("refused"), "Confira SUPABASE_URL, o DNS e a rede"),
        (SupabaseError(401, message="Invalid API key"), "Confira SUPABASE_SERVICE_ROLE_KEY"),
        (SupabaseError(404, code="PGRST202"), "Execute `zapvisor migrate`."),
        (SupabaseError(400, code="P0001"), "veja os gatilhos"),
    ],
    ids=repr,
)
async def test_what_to_do_about_supabase_goes_by_what_happened(failure, action):
    class Away(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            raise failure

    async with Supabase("http://127.0.0.1:9", "a.b.c", transport=Away()) as supabase:
        answer = await _check("supabase", lambda: supabase.round_trip("nonce"))

    assert action in answer["action"]
