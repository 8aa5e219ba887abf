"""The way to WhatsApp breaks in every manner, and proxies lead where they should not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import fresh_number
from .harness import Product, Shop, Simulator, until
from .talk import API, send, wait_row, write
from .test_tenants import Caller
from .way import HTML, Authority, Way, behind_tls, saying, to_simulator, tunnel

ENOUGH = 6
"""Failures in a row; five once put the credentials aside."""


class Ways:
    """A product whose connections each go through a proxy of their own."""

    def __init__(self, directory: Path, simulator: Simulator, parts) -> None:
        self.simulator = simulator
        self.authority = Authority(directory, "ours")
        self.stranger = Authority(directory, "inspection")
        self.good = tunnel(
            behind_tls(self.authority.context(), to_simulator(simulator.whatsapp_url))
        )
        self.product = Product(directory, simulator, parts)
        self.product._environment |= {
            # Nobody is there: whatever arrives at WhatsApp came through a proxy.
            "WHATSAPP_SIMULATOR_URL": "wss://127.0.0.1:9/ws/chat",
            "NODE_EXTRA_CA_CERTS": str(self.authority.file),
        }
        self.product.start()
        self.files = directory / "data" / "connections"
        self.proxies: list[Way] = []

    def shop(self, name: str) -> tuple[Shop, Way]:
        proxy = Way(self.good)
        self.proxies.append(proxy)
        shop = Shop(self.product, self.simulator, name, fresh_number())
        self.change(shop, proxy.url)
        # Its attempts without the proxy were in vain; it need not wait for the next.
        self.product.data("POST", f"{API}/connections/{name}/restart")
        return shop.pair(), proxy

    def change(self, shop: Shop, proxy: str | None) -> None:
        path = f"{API}/connections/{shop.name}"
        self.product.data("PATCH", path, json={"options": {"proxy": proxy}})

    def files_of(self, name: str) -> set[str]:
        return {path.name for path in self.files.iterdir() if path.name.split(".")[0] == name}

    def archives_of(self, name: str) -> list[str]:
        return sorted(one for one in self.files_of(name) if one.endswith(".archived.sqlite"))


@pytest.fixture(scope="module")
def ways(simulator, parts) -> Iterator[Ways]:
    directory = Path(tempfile.mkdtemp(prefix="zapvisor way "))
    os.chmod(directory, 0o755)
    ways = Ways(directory, simulator, parts)
    yield ways
    for proxy in ways.proxies:
        proxy.close()
    ways.product.close()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.timeout(400)  # the pauses between the attempts are those of the product
def test_credentials_outlive_every_broken_way_and_the_connection_returns_by_itself(ways, customer):
    ours, stranger = ways.authority, ways.stranger
    web = saying(HTML)
    kinds = {
        "untrusted": ("certificate_untrusted", tunnel(behind_tls(stranger.context(), web))),
        "expired": (
            "certificate_expired",
            tunnel(behind_tls(ours.context(begins=-9, ends=-2), web)),
        ),
        "early": ("certificate_not_yet_valid", tunnel(behind_tls(ours.context(begins=2), web))),
        "stranger": (
            "certificate_wrong_host",
            tunnel(behind_tls(ours.context(host="x.example"), web)),
        ),
        "portal": ("http_answer", tunnel(behind_tls(ours.context(), web))),
        "hang-up": ("proxy_unavailable", lambda client: None),
        "login": (
            "proxy_unavailable",
            saying(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
        ),
        "page": ("proxy_unavailable", saying(b"<html>no proxy</html>\r\n\r\n")),
    }
    shops = {name: ways.shop(name) for name in kinds}
    devices = {name: _devices(ways, shop) for name, (shop, _) in shops.items()}
    for name, (_, lead) in kinds.items():
        shops[name][1].lead, shops[name][1].attempts = lead, 0
        ways.simulator.post("/faults", kind="drop", phone=shops[name][0].number, times=1)
    for name, (code, _) in kinds.items():
        proxy = shops[name][1]
        until(lambda p=proxy: p.attempts >= ENOUGH, seconds=180, what=f"{name} is tried again")
        shown = ways.product.connection(name)
        assert not shown["isConnected"], name
        assert (shown["statusCode"], shown["unavailableCode"]) == (None, code), name
        assert shown["statusReason"].endswith("."), name
        for english in ("certificate has", "self-signed", "ECONN", "hang up", "refused"):
            assert english not in json.dumps(shown), name
        assert ways.archives_of(name) == [], name
        assert ways.product.data("GET", f"{API}/connections/{name}/archives") == []
    for name, (shop, proxy) in shops.items():
        proxy.lead = ways.good
        # What waits for the connection meanwhile is not lost.
        maria = customer()
        write(shop, maria, f"durante {name}")
    for name, (shop, _) in shops.items():
        shop.wait_connected(seconds=120)
        assert _devices(ways, shop) == devices[name], "no other device was paired"
        wait_row(shop, conteudo=f"durante {name}")
        shown = ways.product.connection(name)
        assert (shown["unavailableCode"], shown["statusReason"]) == (None, None)
    _nothing_tells_the_password(ways)


def _devices(ways: Ways, shop: Shop) -> list[object]:
    return [one["device"] for one in ways.simulator.get(f"/phones/{shop.number}")["companions"]]


def _nothing_tells_the_password(ways: Ways) -> None:
    directory = ways.product.directory
    logs = [path for path in directory.rglob("*.log*") if path.is_file()]
    assert logs
    for path in logs:
        assert "hidden-password" not in path.read_text(errors="replace"), path


INNER = [
    "http://127.0.0.1:{port}",
    "socks5://localhost:{port}",
    "http://[::1]:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "https://10.0.0.1:3128",
    "http://192.168.0.1:80",
    "http://169.254.169.254:80",
    "socks5h://172.16.0.1:1080",
    "http://100.64.0.1:80",
    "http://0.0.0.0:{port}",
    "http://[fd00::1]:80",
    "http://does-not-exist.invalid:80",
]


@pytest.fixture(scope="module")
def owned(ways) -> tuple[Shop, Caller]:
    shop = Shop(ways.product, ways.simulator, "owned", fresh_number())
    return shop, Caller(ways.product, ways.product.stack.user_token(shop.owner))


@pytest.mark.parametrize("url", INNER)
def test_an_owner_chooses_no_proxy_in_the_inner_network(ways, owned, url):
    shop, owner = owned
    knocked = Way(saying(b""))
    ways.proxies.append(knocked)
    options = {"proxy": url.format(port=knocked.port)}
    path = f"{API}/connections/{shop.name}"
    assert owner("PATCH", path, json={"options": options}) == (400, "proxy_not_allowed")
    assert owner("GET", path)[1]["options"]["proxy"] is None
    assert knocked.attempts == 0


def test_what_an_admins_proxy_did_is_told_to_admins_only(ways, owned):
    shop, owner = owned
    proxy = Way(saying(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"))
    ways.proxies.append(proxy)
    ways.change(shop, proxy.url)
    path = f"{API}/connections/{shop.name}"
    until(
        lambda: ways.product.connection(shop.name)["unavailableCode"] == "proxy_unavailable",
        what="the proxy's refusal",
    )
    assert "senha" in ways.product.connection(shop.name)["statusReason"]
    shown = owner("GET", path)[1]
    assert shown["statusReason"] == "O proxy da conexão não está disponível."
    [listed] = owner("GET", f"{API}/connections")[1]
    assert listed["statusReason"] == shown["statusReason"]
    assert "hidden-password" not in json.dumps([shown, listed])
    # What the admin chose stays in force while the owner changes something else.
    assert owner("PATCH", path, json={"options": {"alwaysOnline": True}})[0] == 200
    before = proxy.attempts
    until(lambda: proxy.attempts > before, seconds=90, what="another attempt")
    ways.change(shop, None)


def test_an_archive_is_restored_over_the_api(ways, customer):
    shop, _ = ways.shop("volta")
    path = f"{API}/connections/volta"
    refused = ways.product.call("POST", f"{path}/restore")
    assert (refused.status_code, refused.json()["code"]) == (409, "already_connected")
    before = _devices(ways, shop)
    ways.simulator.post("/faults", kind="stream-error", phone=shop.number, code=401, times=1)
    until(lambda: ways.product.connection("volta")["statusCode"] == "logged_out", what="it parks")
    [archive] = until(lambda: ways.product.data("GET", f"{path}/archives"), what="the archive")
    assert (archive["reason"], archive["phoneNumber"]) == ("logged_out", shop.number)
    waiting = send(shop, customer("Ana"), content="na fila")
    assert waiting["status"] == "queued"
    wrong = ways.product.call("POST", f"{path}/restore", json={"archiveId": "1"})
    assert (wrong.status_code, wrong.json()["code"]) == (404, "no_archive")
    restored = ways.product.data("POST", f"{path}/restore")
    assert restored == archive
    shop.wait_connected()
    assert _devices(ways, shop) == before, "without another pairing"
    wait_row(shop, conteudo="na fila")
    write(shop, customer("Bia"), "de volta")
    wait_row(shop, conteudo="de volta")
    assert ways.archives_of("volta") == []
    ways.product.data("POST", f"{path}/logout")
    assert [one["reason"] for one in ways.product.data("GET", f"{path}/archives")] == [
        "logged_out_by_request"
    ]


def test_without_an_archive_it_says_so(ways):
    Shop(ways.product, ways.simulator, "nunca", fresh_number())
    answer = ways.product.call("POST", f"{API}/connections/nunca/restore")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_archive")
    # What never was paired is no credential that could be brought back.
    ways.product.data("POST", f"{API}/connections/nunca/logout")
    answer = ways.product.call("POST", f"{API}/connections/nunca/restore")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_archive")


def test_a_session_that_whatsapp_calls_damaged_waits_for_a_person(ways):
    shop, _ = ways.shop("danificada")
    ways.simulator.post("/faults", kind="refuse-login", phone=shop.number, code=500)
    ways.simulator.post("/faults", kind="drop", phone=shop.number, times=1)
    until(
        lambda: ways.product.connection("danificada")["statusCode"] == "bad_session",
        seconds=120,
        what="it parks",
    )
    assert ways.archives_of("danificada") == []
    ways.simulator.admin.delete("/faults")
    ways.product.data("POST", f"{API}/connections/danificada/restart")
    shop.wait_connected()


def test_deleting_leaves_no_credential(ways, customer):
    shop, _ = ways.shop("apagada")
    ways.product.data("POST", f"{API}/connections/apagada/logout")
    ways.product.data("POST", f"{API}/connections/apagada/restart")
    shop.pair()
    assert len(ways.archives_of("apagada")) == 1
    for stray in ("apagada.next.sqlite", "apagada.7.archived.sqlite-wal"):
        (ways.files / stray).write_bytes(b"")
    ways.product.data("DELETE", f"{API}/connections/apagada")
    assert ways.files_of("apagada") == set()
    Shop(ways.product, ways.simulator, "apagada", fresh_number())
    assert ways.product.data("GET", f"{API}/connections/apagada/archives") == []


@pytest.mark.long
def test_deleting_while_the_bridge_hangs_is_finished_later_and_loses_nothing(ways, customer):
    shop, _ = ways.shop("suspensa")
    maria = customer()
    write(shop, maria, "antes")
    wait_row(shop, conteudo="antes")
    [bridge] = ways.product.pids("node")[:1]
    os.kill(bridge, signal.SIGSTOP)
    try:
        started = time.monotonic()
        ways.product.data("DELETE", f"{API}/connections/suspensa")
        assert time.monotonic() - started < 29
        gone = ways.product.call("GET", f"{API}/connections/suspensa")
        assert gone.status_code == 404
    finally:
        os.kill(bridge, signal.SIGCONT)
    until(lambda: ways.files_of("suspensa") == set(), seconds=150, what="nothing is left")
    assert shop.texts(maria) == ["antes"]


def test_a_deletion_that_a_crash_cut_short_is_finished_at_the_next_start(ways):
    ways.shop("cortada")
    [bridge] = ways.product.pids("node")[:1]
    os.kill(bridge, signal.SIGSTOP)  # so that it cannot be finished now
    ways.product.data("DELETE", f"{API}/connections/cortada")
    assert ways.files_of("cortada")
    ways.product.kill()
    os.kill(bridge, signal.SIGKILL)
    ways.product.start()
    until(lambda: ways.files_of("cortada") == set(), seconds=90, what="nothing is left")
    assert ways.product.call("GET", f"{API}/connections/cortada").status_code == 404
