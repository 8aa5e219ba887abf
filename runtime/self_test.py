"""``POST /api/whatsapp-bootstrap/test``: a self-test that really exercises each part."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import trio

from supervisors import ChildContext, ChildSpec, DynamicSupervisor, SupervisionError

from . import advice
from .errors import JournalUnavailable, ZapvisorError
from .reasons import about
from .storage.classify import EXPECTED, ErrorClass, error_class
from .whatsapp.bridge import BridgeHung
from .whatsapp.link import LinkLost

if TYPE_CHECKING:
    from .lifecycle import Lifecycle

logger = logging.getLogger("zapvisor.self_test")

CHECK_DEADLINE = 15.0
"""Seconds that one check may take."""
MAX_AT_ONCE = 4


def self_tests() -> DynamicSupervisor:
    """The supervisor below which the self-test makes a child crash on purpose."""
    return DynamicSupervisor(max_children=MAX_AT_ONCE)


async def run_self_test(app: Lifecycle) -> dict[str, Any]:
    """Run every check; one that fails does not keep the others from running."""
    checks = [
        await _check("supabase", lambda: _supabase(app)),
        await _check("integration", lambda: _bridge(app)),
        await _check("watchdog", lambda: _supervision(app)),
        await _check("messageQueue", lambda: _journal(app)),
    ]
    results = {check["name"]: check["ok"] for check in checks}
    return {"success": all(results.values()), "results": results, "checks": checks}


async def _check(name: str, run: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    started = trio.current_time()
    error, action = None, None
    try:
        with trio.fail_after(CHECK_DEADLINE):
            await run()
    except (ZapvisorError, LinkLost, BridgeHung, SupervisionError, OSError) as failure:
        error, action = _sentence(failure), _action(name, failure)
    except trio.TooSlowError as failure:
        error = f"Sem resposta em {CHECK_DEADLINE:.0f} s."
        action = _action(name, failure)
    return {
        "name": name,
        "ok": error is None,
        "durationMs": round((trio.current_time() - started) * 1000, 1),
        "error": error,
        "action": action,
    }


def _sentence(failure: Exception) -> str:
    """What is wrong, for a person."""
    match failure:
        case ZapvisorError(details={"reason": reason}):
            return f"{failure.message} ({reason})"
        case ZapvisorError():
            return failure.message
        case LinkLost():
            return "A ponte do WhatsApp não está em execução."
        case BridgeHung():
            return "A ponte do WhatsApp não responde."
        case _:
            return f"{about(type(failure).__name__).pt} ({type(failure).__name__})"


def _action(name: str, failure: Exception) -> str:
    """What to do about it, for a person."""
    if name == "supabase":
        cause = failure.__cause__ or failure
        kind = error_class(cause) if isinstance(cause, EXPECTED) else ErrorClass.SERVER
        return advice.about_supabase(kind).pt
    if isinstance(failure, JournalUnavailable):
        return advice.about_journal(failure.code).pt
    return {
        "integration": advice.BRIDGE,
        "messageQueue": advice.about_journal("journal_io_error"),
    }.get(name, advice.SUPERVISION).pt


async def _supabase(app: Lifecycle) -> None:
    """Write a value through the ingest path and read it back."""
    await app.supabase.round_trip(secrets.token_hex(16))


async def _bridge(app: Lifecycle) -> None:
    """The Node process answers."""
    await app.bridge.health()


async def _journal(app: Lifecycle) -> None:
    """A durable write succeeds, and the file and its accounts are whole."""
    await app.journal.touch()
    problems = await app.journal.audit()
    if problems:
        logger.error("the journal has defects", extra={"text": problems})
        raise JournalUnavailable(
            f"A fila durável tem {len(problems)} defeitos.", code="journal_corrupt"
        )


async def _supervision(app: Lifecycle) -> None:
    """A child that crashes is running again a moment later."""
    restarted = trio.Event()

    async def crash_once(ctx: ChildContext) -> None:
        ctx.ready()
        if ctx.incarnation == 1:
            raise RuntimeError("crash on purpose: self-test")
        restarted.set()
        await trio.sleep_forever()

    ref = await app.self_tests.start_child(ChildSpec(f"probe-{secrets.token_hex(4)}", crash_once))
    try:
        await restarted.wait()
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            await app.self_tests.terminate_child(ref.name)
            await app.self_tests.delete_child(ref.name)
