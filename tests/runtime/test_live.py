"""What a connection says of itself."""

from runtime.whatsapp.disconnects import DisconnectPolicy
from runtime.whatsapp.manager import parked


def test_an_expired_qr_code_is_its_own_state_with_the_way_out():
    verdict = DisconnectPolicy().decide(408, cause="qr_ended", now=0.0)
    refusal = parked(verdict.code, verdict.reason)
    assert refusal.code == verdict.code == "qr_expired"
    assert "POST …/restart" in refusal.message


def test_any_other_reason_to_wait_is_told_with_the_way_out():
    refusal = parked("banned", "O WhatsApp baniu este número.")
    assert refusal.code == "connection_parked"
    assert refusal.details["statusCode"] == "banned"
    assert "baniu" in refusal.message
    assert "POST …/restart" in refusal.message
