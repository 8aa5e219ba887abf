"""The control calls on the running product: stop, start, restart, test, and what they tell."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

from .harness import until

CONTROL = "/api/whatsapp-bootstrap"
BASE = "/api/whatsapp-integration"


def test_shutdown_stops_the_tree_and_initialize_brings_everything_back(
    own_product, simulator, open_shop, customer
):
    shop = open_shop(own_product, "loja")
    maria = customer()
    simulator.post(f"/contacts/{maria}/send", to=shop.number, text="antes")
    until(shop.rows, what="the first message")

    own_product.data("POST", f"{CONTROL}/shutdown")
    status = own_product.data("GET", f"{CONTROL}/status")
    assert (status["isInitialized"], status["integrationServiceRunning"]) == (False, False)
    assert own_product.call("GET", "/health/live").status_code == 200
    assert own_product.call("GET", "/health/ready").status_code == 503
    refused = own_product.call(
        "POST",
        f"{BASE}/messages/send",
        json={"connectionId": "loja", "to": maria, "content": "x", "type": "text"},
    )
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert own_product.pids("node") == []

    simulator.post(f"/contacts/{maria}/send", to=shop.number, texts=["parado 1", "parado 2"])
    own_product.data("POST", f"{CONTROL}/shutdown")
    status = own_product.data("POST", f"{CONTROL}/initialize")
    assert status["isInitialized"] is True
    assert own_product.data("POST", f"{CONTROL}/initialize")["isInitialized"] is True
    shop.wait_connected()
    until(lambda: len(shop.rows()) == 3, what="what was written meanwhile")
    assert shop.texts(maria) == ["antes", "parado 1", "parado 2"]


def test_a_restart_while_messages_flow_loses_nothing(own_product, simulator, open_shop, customer):
    shop = open_shop(own_product, "loja")
    maria = customer()
    texts = [f"n {number}" for number in range(80)]
    writing = threading.Thread(
        target=simulator.post,
        args=(f"/contacts/{maria}/send",),
        kwargs={"to": shop.number, "texts": texts, "intervalMs": 20},
    )
    writing.start()
    until(lambda: len(shop.rows()) >= 10, what="messages flow")
    own_product.data("POST", f"{CONTROL}/restart", timeout=120)
    writing.join(60)
    until(lambda: len(shop.texts(maria)) >= len(texts), seconds=60, what="every message")
    assert shop.texts(maria) == texts


def test_the_self_test_exercises_each_part(shared_product):
    answer = shared_product.data("POST", f"{CONTROL}/test")
    assert answer["success"] is True
    assert answer["results"] == {
        "supabase": True,
        "integration": True,
        "watchdog": True,
        "messageQueue": True,
    }
    assert all(check["ok"] and check["durationMs"] > 0 for check in answer["checks"])
    assert {(check["error"], check["action"]) for check in answer["checks"]} == {(None, None)}


def test_the_self_test_says_what_is_broken(own_product):
    [pid] = own_product.pids("node")
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = own_product.data("POST", f"{CONTROL}/test", timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):  # its supervisor was quicker
            os.kill(pid, signal.SIGCONT)
    assert answer["success"] is False
    assert answer["results"]["integration"] is False
    assert answer["results"]["supabase"] is True
    [broken] = [check for check in answer["checks"] if not check["ok"]]
    assert "ponte" in broken["error"]
    assert "zapvisor tree" in broken["action"]


def test_statistics_name_every_part(shared_product):
    stats = shared_product.data("GET", f"{CONTROL}/stats")
    assert {"uptime", "timestamp", "memory", "platform", "versions", "queue", "tree"} <= set(stats)
    queue = stats["queue"]
    assert queue["accepted"] == queue["stored"] + queue["pending"] + queue["deadLetters"]
    [core] = [child for child in stats["tree"]["children"] if child["name"] == "core"]
    names = {child["name"] for child in core["children"]}
    assert {"local_stack", "journal", "storage", "whatsapp"} <= names
    assert stats["supabase"]["p50Ms"] > 0


def test_a_temporary_connection_shows_a_qr_code_in_three_forms(shared_product):
    owner = shared_product.owner()
    connection = shared_product.data(
        "POST", f"{CONTROL}/test-connection", json={"ownerId": str(owner)}
    )["connectionId"]
    path = f"{BASE}/connections/{connection}/qr"
    shown = until(
        lambda: (answer := shared_product.call("GET", path)).is_success and answer.json()["data"],
        what="a QR code",
    )
    assert shown["qrCode"]
    assert shown["expiresAt"]
    assert shown["isConnected"] is False
    assert shown["qrCodePng"].startswith("data:image/png;base64,")
    png = shared_product.call("GET", path, params={"format": "png"})
    assert (png.headers["Content-Type"], png.content[:4]) == ("image/png", b"\x89PNG")
    blocks = shared_product.call("GET", path, params={"format": "terminal"})
    assert "█" in blocks.text
    shared_product.data("DELETE", f"{BASE}/connections/{connection}")


def test_a_logout_over_the_api_leaves_the_phone_and_waits_for_a_restart(
    shared_product, simulator, open_shop
):
    shop = open_shop(shared_product, "sai")
    shared_product.data("POST", f"{BASE}/connections/sai/logout")
    shown = shared_product.connection("sai")
    assert (shown["status"], shown["statusCode"]) == ("disconnected", "logged_out_by_request")
    assert simulator.get(f"/phones/{shop.number}")["companions"] == []
    shared_product.data("POST", f"{BASE}/connections/sai/restart")
    shop.pair()


def test_sessions_tell_the_state_of_each_number(shared_product, open_shop):
    shop = open_shop(shared_product, "sessao")

    def connected():
        rows = shared_product.data(
            "GET", f"{BASE}/sessions/active", params={"ownerId": str(shop.owner)}
        )
        return [row for row in rows if row["status"] == "connected"]

    [row] = until(connected, what="the session's row")
    assert (row["connection_id"], row["phone_number"]) == ("sessao", shop.number)
    assert row["qr_code"] is None
    assert row["connected_at"]
