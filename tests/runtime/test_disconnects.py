"""The table of disconnect codes."""

import pytest

from runtime.whatsapp.disconnects import (
    BAD_SESSION_LIMIT,
    REPLACED_LIMIT,
    REPLACED_WINDOW,
    DisconnectPolicy,
    GiveUp,
    Reconnect,
)


def decide(policy, code, now=0.0, qr_ended=False):
    return policy.decide(code, qr_ended=qr_ended, now=now)


@pytest.mark.parametrize("code", [408, 428, 500, 503, 599])
def test_lost_connections_are_retried_with_backoff(code):
    assert decide(DisconnectPolicy(), code) == Reconnect("backoff")


def test_restart_required_reconnects_at_once():
    assert decide(DisconnectPolicy(), 515) == Reconnect("now")


@pytest.mark.parametrize(
    ("code", "reason", "archive"),
    [
        (401, "logged_out", True),
        (402, "temporarily_banned", False),
        (403, "forbidden", False),
        (405, "client_outdated", False),
        (406, "banned", False),
        (411, "multi_device_mismatch", True),
    ],
)
def test_codes_that_need_a_person(code, reason, archive):
    verdict = decide(DisconnectPolicy(), code)
    assert isinstance(verdict, GiveUp)
    assert (verdict.code, verdict.archive) == (reason, archive)
    assert verdict.reason


def test_an_unscanned_qr_waits_for_the_user_but_a_plain_408_does_not():
    policy = DisconnectPolicy()
    assert decide(policy, 408, qr_ended=True).code == "qr_expired"
    assert decide(policy, 408) == Reconnect("backoff")


def test_401_right_after_pairing_is_retried_once():
    policy = DisconnectPolicy()
    decide(policy, 515)
    assert decide(policy, 401) == Reconnect("backoff")
    assert decide(policy, 401).code == "logged_out"


def test_401_after_a_healthy_connection_is_a_logout():
    policy = DisconnectPolicy()
    decide(policy, 515)
    policy.connected()
    assert decide(policy, 401).code == "logged_out"


def test_replaced_fights_slowly_and_then_stops():
    policy = DisconnectPolicy()
    for number in range(REPLACED_LIMIT - 1):
        assert decide(policy, 440, now=float(number)) == Reconnect("slow")
    assert decide(policy, 440, now=REPLACED_WINDOW - 1).code == "replaced"


def test_replaced_long_ago_is_forgotten():
    policy = DisconnectPolicy()
    for number in range(10):
        assert decide(policy, 440, now=number * REPLACED_WINDOW) == Reconnect("slow")


def test_bad_sessions_in_a_row_put_the_credentials_aside():
    policy = DisconnectPolicy()
    for _ in range(BAD_SESSION_LIMIT - 1):
        assert decide(policy, 500) == Reconnect("backoff")
    verdict = decide(policy, 500)
    assert (verdict.code, verdict.archive) == ("bad_session", True)


def test_a_connection_that_opened_forgets_its_bad_sessions():
    policy = DisconnectPolicy()
    for _ in range(3):
        for _ in range(BAD_SESSION_LIMIT - 1):
            assert decide(policy, 500) == Reconnect("backoff")
        policy.connected()
