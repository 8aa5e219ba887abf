"""The API of a running zapvisor, as the commands for people call it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

import httpx

from .prerequisites import load_settings
from .terminal import Problem

INTEGRATION = "/api/whatsapp-integration"
BOOTSTRAP = "/api/whatsapp-bootstrap"
CALL_SECONDS = 130.0  # a little more than the API gives the slowest call
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 45.0  # of an event stream; its heartbeat is every 15
RECONNECT_SECONDS = (1.0, 30.0)  # first and longest pause before a stream is opened again

_REFUSED = frozenset({400, 401, 403, 404, 422})


class Refused(Problem):
    """The API answered with an error; ``code`` is its stable word."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Remote:
    """Calls with the credential of the environment; use as a context manager.

    ``ZAPVISOR_URL`` names the API (by default that of HOST and PORT on this machine),
    ``ZAPVISOR_API_KEY`` the key. Every failure is a Problem.
    """

    def __init__(self, seconds: float = CALL_SECONDS) -> None:
        settings = load_settings()
        self.url = settings.api_url or _local(settings.host, settings.port)
        if settings.api_key is None:
            raise Problem("set ZAPVISOR_API_KEY to an API key; `zapvisor keys create` makes one")
        key = settings.api_key.get_secret_value()
        if not key.isascii():
            raise Problem("ZAPVISOR_API_KEY is no API key that a header can carry (not ASCII)")
        url = httpx.URL(self.url)
        self._client = httpx.Client(
            base_url=url,
            headers={"X-Api-Key": key},
            timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
            trust_env=not _is_loopback(url.host),  # a proxy does not lead to this machine
        )

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, method: str, path: str, **options: Any) -> Any:
        """The ``data`` of a successful call. Raises Refused with the API's own sentence."""
        try:
            answer = self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._no_answer(error) from None
        return self._data(answer)

    def events(self, **wanted: Any) -> Iterator[str]:
        """The JSON of each event, without end; a broken stream goes on after the last event.

        Raises Refused for what the API refuses, Problem when the first attempt finds nobody.
        """
        last: str | None = None
        pause, longest = RECONNECT_SECONDS
        opened = False
        while True:
            headers = {"Accept": "text/event-stream"}
            if last is not None:
                headers["Last-Event-ID"] = last
            try:
                with self._client.stream(
                    "GET",
                    f"{INTEGRATION}/events",
                    params=wanted,
                    headers=headers,
                    timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
                ) as answer:
                    if answer.is_success:
                        opened, pause = True, RECONNECT_SECONDS[0]
                        for frame in _frames(answer.iter_lines()):
                            last = frame.get("id", last)
                            if "data" in frame:
                                yield frame["data"]
                    elif answer.status_code in _REFUSED or not opened:
                        answer.read()
                        self._data(answer)
            except httpx.TransportError as error:
                if not opened:
                    raise self._no_answer(error) from None
            time.sleep(pause)
            pause = min(pause * 2, longest)

    def _data(self, answer: httpx.Response) -> Any:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or "success" not in body:
            raise Problem(f"{self.url} is no zapvisor (HTTP {answer.status_code})")
        if not body["success"]:
            raise Refused(f"{body['error']} ({body['code']})", body["code"])
        return body.get("data")

    def _no_answer(self, error: httpx.TransportError) -> Problem:
        return Problem(
            f"no answer from {self.url} ({type(error).__name__}); is `zapvisor up` running there?"
        )


def _frames(lines: Iterator[str]) -> Iterator[Mapping[str, str]]:
    """The frames of an event stream, each as its fields."""
    frame: dict[str, str] = {}
    for line in lines:
        if not line:
            if frame:
                yield frame
            frame = {}
            continue
        field, _, value = line.partition(":")
        if field:  # an empty field is a comment, the heartbeat
            value = value.removeprefix(" ")
            several = field == "data" and field in frame
            frame[field] = f"{frame[field]}\n{value}" if several else value


def _local(host: str, port: int) -> str:
    """Where a zapvisor with these settings is reached from the same machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        return f"http://{'[::1]' if address.version == 6 else '127.0.0.1'}:{port}"
    return f"http://{f'[{host}]' if address.version == 6 else host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
