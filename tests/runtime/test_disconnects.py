"""What follows from the end of a connection: from what WhatsApp says, and from what others do."""

import re

import pytest

from runtime.whatsapp.disconnects import (
    BAD_SESSION_LIMIT,
    QR_ENDED,
    REPLACED_LIMIT,
    REPLACED_WINDOW,
    SAID,
    DisconnectPolicy,
    GiveUp,
    Reconnect,
)

CODES = [401, 402, 403, 405, 406, 408, 411, 428, 440, 500, 503, 515, 599]
PROXIES = [
    "proxy_not_allowed",
    "proxy_unreachable",
    "proxy_certificate",
    "proxy_credentials",
    "proxy_refused",
    "proxy_answer",
]
WAYS = [
    "dns_failed",
    "connection_refused",
    "network_unreachable",
    "connection_reset",
    "timed_out",
    "certificate_untrusted",
    "certificate_expired",
    "certificate_not_yet_valid",
    "certificate_wrong_host",
    "tls_failed",
    "http_answer",
    "not_whatsapp",
    "connection_lost",
    "silent",
    "backlog",
    "runtime",
    *PROXIES,
]


def decide(policy, code, now=0.0, cause=SAID):
    return policy.decide(code, cause=cause, now=now)


def pace(verdict):
    assert isinstance(verdict, Reconnect), verdict
    return verdict.pace


@pytest.mark.parametrize("cause", [*WAYS, "unknown", "a-word-of-tomorrow"])
@pytest.mark.parametrize("code", CODES)
def test_the_way_says_nothing_about_the_session_however_often_it_fails(cause, code):
    policy = DisconnectPolicy()
    for turn in range(50):
        assert pace(decide(policy, code, now=float(turn), cause=cause)) == "backoff"
    # Nor does it count together with what WhatsApp says.
    assert pace(decide(policy, 500)) == "backoff"


@pytest.mark.parametrize("cause", [*WAYS, "a-word-of-tomorrow"])
def test_each_has_a_code_and_a_portuguese_sentence(cause):
    trouble = decide(DisconnectPolicy(), 500, cause=cause).trouble
    assert re.fullmatch("[a-z_]+", trouble.code)
    assert re.match(r"[A-Z].+\.$", trouble.reason)
    assert not re.search(r"\b(the|error|failed|refused|certificate)\b", trouble.reason)


def test_reasons_of_certificates_say_where_to_look():
    for kind in ("untrusted", "expired", "not_yet_valid", "wrong_host"):
        trouble = decide(DisconnectPolicy(), 500, cause=f"certificate_{kind}").trouble
        assert trouble.code == f"certificate_{kind}"
        for word in ("relógio", "inspeciona", "NODE_EXTRA_CA_CERTS"):
            assert word in trouble.reason


def test_of_a_proxy_everybody_but_the_operator_is_told_one_thing():
    told = [decide(DisconnectPolicy(), 500, cause=cause).trouble for cause in PROXIES]
    assert {(one.code, one.reason) for one in told} == {
        ("proxy_unavailable", "O proxy da conexão não está disponível.")
    }
    assert len({one.detail for one in told}) == len(PROXIES)


@pytest.mark.parametrize("code", [408, 428, 500, 503, 599])
def test_lost_connections_are_retried_with_backoff(code):
    assert pace(decide(DisconnectPolicy(), code)) == "backoff"


def test_restart_required_reconnects_at_once():
    assert pace(decide(DisconnectPolicy(), 515)) == "now"


@pytest.mark.parametrize(
    ("code", "reason", "archive"),
    [
        (401, "logged_out", True),
        (402, "temporarily_banned", False),
        (403, "forbidden", False),
        (405, "client_outdated", False),
        (406, "banned", False),
        (411, "multi_device_mismatch", False),
    ],
)
def test_codes_that_need_a_person(code, reason, archive):
    verdict = decide(DisconnectPolicy(), code)
    assert isinstance(verdict, GiveUp)
    assert (verdict.code, verdict.archive) == (reason, archive)
    assert verdict.reason


def test_an_unscanned_qr_waits_for_the_user_but_a_plain_408_does_not():
    policy = DisconnectPolicy()
    assert decide(policy, 408, cause=QR_ENDED).code == "qr_expired"
    assert pace(decide(policy, 408)) == "backoff"


def test_401_right_after_pairing_is_retried_once():
    policy = DisconnectPolicy()
    decide(policy, 515)
    assert pace(decide(policy, 401)) == "backoff"
    assert decide(policy, 401).code == "logged_out"


def test_401_after_a_healthy_connection_is_a_logout():
    policy = DisconnectPolicy()
    decide(policy, 515)
    policy.connected()
    assert decide(policy, 401).code == "logged_out"


def test_replaced_fights_slowly_and_then_stops():
    policy = DisconnectPolicy()
    for number in range(REPLACED_LIMIT - 1):
        assert pace(decide(policy, 440, now=float(number))) == "slow"
    assert decide(policy, 440, now=REPLACED_WINDOW - 1).code == "replaced"


def test_replaced_long_ago_is_forgotten():
    policy = DisconnectPolicy()
    for number in range(10):
        assert pace(decide(policy, 440, now=number * REPLACED_WINDOW)) == "slow"


def test_bad_sessions_in_a_row_ask_a_person_and_keep_the_credentials():
    policy = DisconnectPolicy()
    for _ in range(BAD_SESSION_LIMIT - 1):
        assert pace(decide(policy, 500)) == "backoff"
        decide(policy, 500, cause="certificate_expired")
    verdict = decide(policy, 500)
    assert (verdict.code, verdict.archive) == ("bad_session", False)


def test_nothing_but_a_logout_puts_credentials_aside():
    for code in CODES:
        policy = DisconnectPolicy()
        verdicts = [decide(policy, code, now=float(turn)) for turn in range(20)]
        archived = [one for one in verdicts if isinstance(one, GiveUp) and one.archive]
        assert bool(archived) == (code == 401), code


def test_a_connection_that_opened_forgets_its_bad_sessions():
    policy = DisconnectPolicy()
    for _ in range(3):
        for _ in range(BAD_SESSION_LIMIT - 1):
            assert pace(decide(policy, 500)) == "backoff"
        policy.connected()
