"""Options of a connection: changed over the API, applied without losing the session."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from .conftest import fresh_number
from .harness import Shop, until
from .talk import API, inbox, rows, send, wait_row, write


class Proxy:
    """A SOCKS5 proxy with a password, and an HTTP one, on one port; counts what it let through."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.tunnels: list[str] = []
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            first = client.recv(1, socket.MSG_PEEK)
            target = self._socks(client) if first == b"\x05" else self._http(client)
        except OSError:
            client.close()
            return
        if target is None:
            client.close()
            return
        server = socket.create_connection(target)
        self._sockets += [client, server]
        self.tunnels.append("socks5" if first == b"\x05" else "http")
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        _pump(server, client)

    def _socks(self, client: socket.socket) -> tuple[str, int] | None:
        head = client.recv(256)
        if 2 not in head[2:]:
            return None
        client.sendall(b"\x05\x02")
        login = client.recv(512)
        if login != b"\x01\x04user\x06secret":
            client.sendall(b"\x01\x01")
            return None
        client.sendall(b"\x01\x00")
        request = client.recv(512)
        length = request[4]
        host = request[5 : 5 + length].decode()
        port = int.from_bytes(request[5 + length : 7 + length], "big")
        client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        return host, port

    def _http(self, client: socket.socket) -> tuple[str, int] | None:
        request = client.recv(4096).decode()
        if "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" not in request:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return None
        host, _, port = request.split()[1].rpartition(":")
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        return host, int(port)

    def close(self) -> None:
        self.listener.close()
        for one in self._sockets:
            one.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        target.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def unpaired(shared_product, simulator) -> Shop:
    return Shop(shared_product, simulator, "unpaired-options", fresh_number())


def change(shop, **body):
    return shop.product.data("PATCH", f"{API}/connections/{shop.name}", json=body)


def test_name_and_options_are_changed_shown_and_survive(shared_product, open_shop):
    shop = open_shop(shared_product, "options")
    before = shared_product.connection("options")
    assert before["options"]["storeGroups"] is False
    changed = change(
        shop, name="Loja Nova", options={"alwaysOnline": True, "pacing": {"perMinute": 60}}
    )
    assert changed["name"] == "Loja Nova"
    assert changed["options"]["pacing"]["perMinute"] == 60
    changed = change(shop, options={"pacing": None})
    assert (changed["options"]["pacing"], changed["options"]["alwaysOnline"]) == (None, True)
    everything = {
        "storeGroups": True,
        "rejectCalls": True,
        "readAutomatically": True,
        "pacing": {"minIntervalMs": 5, "perMinute": 600, "jitterMs": 5},
        "history": {"days": 3, "maxMessages": 10},
    }
    changed = change(shop, options=everything)
    assert {name: changed["options"][name] for name in everything} == everything
    assert changed["isConnected"]
    assert changed["since"] == before["since"]
    assert changed["counters"]["sockets"] == before["counters"]["sockets"] == 1
    until(
        lambda: (
            shared_product.query(
                "select session_name from whatsapp_sessions where connection_id = 'options'"
            )
            == [("Loja Nova",)]
        ),
        what="the row has the new name",
    )


@pytest.mark.parametrize(
    "options",
    [
        {"proxy": "ftp://127.0.0.1:21"},
        {"proxy": "socks5://127.0.0.1"},
        {"proxy": "http://127.0.0.1:1/path"},
        {"proxy": "http://a^b:80"},
        {"pacing": {"perMinute": 0}},
        {"history": {"days": 1000}},
        {"rejectCalls": "perhaps"},
    ],
    ids=str,
)
def test_wrong_options_are_refused(unpaired, options):
    path = f"{API}/connections/{unpaired.name}"
    response = unpaired.product.call("PATCH", path, json={"options": options})
    assert response.status_code == 400, response.text


@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_a_proxy_is_used_at_once_and_its_password_is_not_shown(
    shared_product, simulator, open_shop, customer, proxy, scheme
):
    shop = open_shop(shared_product, f"proxy-{scheme}")
    maria = customer()
    changed = change(shop, options={"proxy": f"{scheme}://user:secret@127.0.0.1:{proxy.port}"})
    assert changed["options"]["proxy"] == f"{scheme}://***@127.0.0.1:{proxy.port}"
    until(lambda: proxy.tunnels == [scheme], what="the connection goes through the proxy")
    shop.wait_connected()
    write(shop, maria, "pelo proxy")
    wait_row(shop, conteudo="pelo proxy")
    send(shop, maria, content="volta")
    until(lambda: inbox(shop, maria), what="the customer is shown the answer")
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()
    media = {"kind": "image", "mimetype": "image/png", "base64": picture}
    simulator.post(f"/contacts/{maria}/send", to=shop.number, media=media)
    row = wait_row(shop, tipo="IMAGEM")
    until(
        lambda: wait_row(shop, id=row["id"])["dados"]["midia"]["estado"] == "available",
        what="the picture is fetched",
    )
    assert proxy.tunnels == [scheme, scheme]
    change(shop, options={"proxy": None})
    shop.wait_connected()
    write(shop, maria, "sem proxy")
    wait_row(shop, conteudo="sem proxy")
    assert proxy.tunnels == [scheme, scheme]


def test_messages_go_out_no_faster_than_asked(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "pacing")
    maria = customer()
    send(shop, maria, content="0")
    change(shop, options={"pacing": {"minIntervalMs": 700}})
    started = time.monotonic()
    for number in range(1, 4):
        send(shop, maria, content=str(number))
    until(lambda: len(inbox(shop, maria)) == 4, what="all of them")
    assert time.monotonic() - started >= 1.4
    assert [one["text"] for one in inbox(shop, maria)] == ["0", "1", "2", "3"]


def test_always_online_and_reading_automatically(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "courteous")
    maria = customer()
    change(shop, options={"alwaysOnline": True, "readAutomatically": True})

    def presences():
        signals = simulator.get(f"/phones/{shop.number}/signals")
        return [one["state"] for one in signals if one["kind"] == "presence"]

    until(lambda: "available" in presences(), what="the number is shown as online")
    write(shop, maria, "lida sozinha")

    def read():
        sent = simulator.get("/ledger", phone=shop.number)["sent"]
        return [one["text"] for one in sent if one["from"] == maria and one["read"]]

    # After its first login Baileys may hold its events back for 20 s, waiting for the history.
    until(lambda: read() == ["lida sozinha"], seconds=60, what="the customer sees it as read")
    assert wait_row(shop, conteudo="lida sozinha")["lida"] is False
    change(shop, options={"alwaysOnline": None})
    until(lambda: presences()[-1] == "unavailable", what="the number is shown as offline")
    assert len(rows(shop)) == 1


def test_history_is_imported_once_paired_as_read_rows(
    shared_product, simulator, customer, open_shop
):
    shop = Shop(shared_product, simulator, "history", fresh_number())
    maria = customer("Maria")
    for number in range(4):
        write(shop, maria, f"antes {number}")
    simulator.post(f"/phones/{shop.number}/send", to=maria, text="respondi pelo celular")
    change(shop, options={"history": {"days": 2, "maxMessages": 3}})
    shop.pair()
    write(shop, maria, "depois")
    wait_row(shop, conteudo="depois")
    wait_row(shop, conteudo="respondi pelo celular")
    imported = [row for row in rows(shop) if row["conteudo"] != "depois"]
    assert [row["conteudo"] for row in imported] == [
        "antes 2",
        "antes 3",
        "respondi pelo celular",
    ]
    assert all(row["lida"] and row["dados"]["historico"] for row in imported)
    assert {row["numero_cliente"] for row in rows(shop)} == {maria}
    assert wait_row(shop, conteudo="depois")["lida"] is False
