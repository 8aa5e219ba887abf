"""The way to WhatsApp, in the hands of a test: proxies that lead to the simulator, or astray."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
HTML = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n<html>login</html>"

Handler = Callable[[socket.socket], None]


class Authority:
    """Signs certificates of 127.0.0.1."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory, self._key = directory, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key, -1, 30)
        ca = x509.BasicConstraints(ca=True, path_length=None)
        certificate = builder.add_extension(ca, critical=True).sign(self._key, hashes.SHA256())
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def context(
        self, *, begins: int = -1, ends: int = 30, host: str | None = None
    ) -> ssl.SSLContext:
        """A server's, with a certificate valid between these days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web")])
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        if host is not None:
            alternative = x509.DNSName(host)
        certificate = (
            self._builder(name, key, begins, ends)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._directory / f"{id(certificate)}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, begins: int, ends: int
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins * DAY)
            .not_valid_after(now + ends * DAY)
        )


class Way:
    """An HTTP proxy on a port of its own; ``lead`` does with each connection what it likes."""

    def __init__(self, lead: Handler) -> None:
        self.lead = lead
        self.attempts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://user:hidden-password@127.0.0.1:{self.port}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.attempts += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), client:
            client.settimeout(60)
            self.lead(client)

    def close(self) -> None:
        self._listener.close()


def saying(answer: bytes) -> Handler:
    """A proxy that answers so, and hangs up."""

    def lead(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(answer)

    return lead


def tunnel(then: Handler) -> Handler:
    """A proxy that lets everything through, to ``then``."""

    def lead(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        then(client)

    return lead


def behind_tls(context: ssl.SSLContext, then: Handler) -> Handler:
    def lead(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secured:
            then(secured)

    return lead


def to_simulator(url: str) -> Handler:
    """Whatever address was asked for: the simulator's."""
    parts = urlsplit(url)

    def lead(client: socket.socket) -> None:
        client.settimeout(None)
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as server:
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            _pump(server, client)

    return lead


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
