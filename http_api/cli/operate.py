"""What the commands for people do: ask a running zapvisor and print the answer."""

from __future__ import annotations

import json
import sys
import time
from typing import Any
from urllib.parse import quote
from uuid import UUID

import click

from ..qr import terminal as qr_blocks
from .remote import BOOTSTRAP, INTEGRATION, Refused, Remote
from .tables import ago, clean, coloured, print_json, print_table, tree_lines
from .terminal import Problem, say

QR_POLL = 1.0
COMPLETION_SECONDS = 2.0
CONNECTIONS = f"{INTEGRATION}/connections"


def list_connections(*, as_json: bool) -> None:
    """Print every connection with its state and the reason for it."""
    with Remote() as remote:
        found = remote.call("GET", CONNECTIONS)
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("no connections; `zapvisor connections create` makes one")
        return
    print_table(
        ("id", "name", "state", "phone", "since", "reason"),
        [
            (
                one["id"],
                one["name"],
                coloured(one["status"]),
                one["phoneNumber"] or "",
                ago(one["since"]),
                "" if one["isConnected"] else one["statusReason"] or "",
            )
            for one in found
        ],
    )


def create(connection: str, *, owner: UUID, name: str | None, as_json: bool) -> None:
    """Create and start a connection."""
    body = {"connectionId": connection, "name": name or connection, "ownerId": str(owner)}
    with Remote() as remote:
        created = remote.call("POST", CONNECTIONS, json=body)
    if as_json:
        print_json(created)
    else:
        click.echo(f"{connection} created; pair it: zapvisor qr {connection}")


def act(connection: str, action: str) -> None:
    """``restart``, ``logout`` or ``restore`` a connection."""
    with Remote() as remote:
        remote.call("POST", f"{_path(connection)}/{action}")
    click.echo(f"{connection}: done")


def delete(connection: str) -> None:
    """Log a connection out and forget it; its messages stay."""
    with Remote() as remote:
        remote.call("DELETE", _path(connection))
    click.echo(f"{connection} deleted; its messages stay")


def send(connection: str, to: str, text: str, *, key: str | None, as_json: bool) -> None:
    """Send a text; done when it is on disk, sent or not yet."""
    body = {"connectionId": connection, "to": to, "content": text, "type": "text"}
    headers = {} if key is None else {"Idempotency-Key": key}
    with Remote() as remote:
        sent = remote.call("POST", f"{INTEGRATION}/messages/send", json=body, headers=headers)
    if as_json:
        print_json(sent)
    else:
        click.echo(f"{sent['status']} {sent['messageId']}")


def qr(connection: str, *, seconds: float, codes: bool) -> None:
    """Show the QR codes (if ``codes``) as they come, until the connection is paired.

    Raises Problem when it parks, or is not paired in time.
    """
    deadline = time.monotonic() + seconds
    shown = None
    with Remote() as remote:
        while time.monotonic() < deadline:
            now = remote.call("GET", _path(connection))
            if now["isConnected"]:
                say(f"{connection} is connected as +{now['phoneNumber']}")
                return
            if now["statusCode"] is not None:
                raise Problem(
                    f"{connection} is parked: {clean(now['statusReason'])} "
                    f"(zapvisor connections restart {connection})"
                )
            if codes and now["qrCode"] not in (None, shown):
                shown = now["qrCode"]
                say(f"scan this with the phone of {connection} (linked devices):")
                click.echo(qr_blocks(shown))
            time.sleep(QR_POLL)
    raise Problem(f"{connection} was not paired within {seconds:g} s")


def pairing_code(connection: str, phone: str) -> None:
    """Print a code to type into the phone instead of scanning."""
    with Remote() as remote:
        answer = remote.call("POST", f"{_path(connection)}/pairing-code", json={"phone": phone})
    code = answer["pairingCode"]
    click.echo(f"{code[:4]}-{code[4:]}")


def tree(*, as_json: bool) -> None:
    """Print the supervision tree."""
    with Remote() as remote:
        root = remote.call("GET", f"{BOOTSTRAP}/tree")
    if as_json:
        print_json(root)
        return
    for line in tree_lines(root):
        click.echo(line)


def unpark(path: str) -> None:
    """Let a parked child go on; ``path`` as in the tree, the root's name may be left out."""
    with Remote() as remote:
        root = remote.call("GET", f"{BOOTSTRAP}/tree")
        name = root["name"]
        whole = path if path == name or path.startswith(f"{name}/") else f"{name}/{path}"
        remote.call("POST", f"{BOOTSTRAP}/tree/unpark", json={"path": whole})
    click.echo(f"{whole}: done")


def tail(*, events: tuple[str, ...], connection: str | None, recent: int, as_json: bool) -> None:
    """Print events as they happen, until interrupted."""
    wanted: dict[str, Any] = {"recent": recent}
    if events:
        wanted["event"] = ",".join(events)
    if connection is not None:
        wanted["connectionId"] = connection
    with Remote() as remote:
        for line in remote.events(**wanted):
            click.echo(line if as_json else _describe(json.loads(line)))
            sys.stdout.flush()


def connection_ids() -> list[str]:
    """For the shell's completion: the ids, or none where nobody answers."""
    try:
        with Remote(COMPLETION_SECONDS) as remote:
            return [one["id"] for one in remote.call("GET", CONNECTIONS)]
    except (Problem, Refused):
        return []


# What a line of `tail` shows of an event; contents of messages are in --json alone.
_SHOWN = ("path", "reason", "status", "code", "phoneNumber", "name", "from", "to", "type")


def _describe(event: dict[str, Any]) -> str:
    when = str(event["timestamp"])[11:19]
    data = event.get("data") or {}
    facts = [clean(data[name]) for name in _SHOWN if data.get(name) not in (None, "")]
    where = clean(event.get("connectionId") or "")
    return f"{when}  {where:16}  {event['event']:16}  {'  '.join(facts)}".rstrip()


def _path(connection: str) -> str:
    return f"{CONNECTIONS}/{quote(connection, safe='')}"
