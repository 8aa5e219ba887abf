"""The commands with which people operate a running zapvisor: their names, arguments and help."""

from __future__ import annotations

import sys
from uuid import UUID

import click
from click.shell_completion import CompletionItem, get_completion_class

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _complete(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    from .operate import connection_ids

    return [CompletionItem(one) for one in connection_ids() if one.startswith(begun)]


_CONNECTION = click.argument("connection", shell_complete=_complete)


@click.group(invoke_without_command=True)
@_AS_JSON
@click.pass_context
def connections(context: click.Context, as_json: bool) -> None:
    """List the WhatsApp numbers, or change them.

    Asks the zapvisor at ZAPVISOR_URL (by default HOST:PORT) with ZAPVISOR_API_KEY.
    """
    if context.invoked_subcommand is None:
        from .operate import list_connections

        list_connections(as_json=as_json)


@connections.command()
@click.argument("connection")
@click.option("--owner", type=click.UUID, required=True, help="Whose it is (ownerId).")
@click.option("--name", help="For people; the id by default.")
@_AS_JSON
def create(connection: str, owner: UUID, name: str | None, as_json: bool) -> None:
    """Create and start a connection."""
    from .operate import create as run

    run(connection, owner=owner, name=name, as_json=as_json)


@connections.command()
@_CONNECTION
def restart(connection: str) -> None:
    """Start it anew; one that is parked gets another chance."""
    from .operate import act

    act(connection, "restart")


@connections.command()
@_CONNECTION
@click.confirmation_option(prompt="It will need a new QR code. Log out?")
def logout(connection: str) -> None:
    """Log it out from WhatsApp."""
    from .operate import act

    act(connection, "logout")


@connections.command()
@_CONNECTION
def restore(connection: str) -> None:
    """Bring the credentials back that a logout put aside last."""
    from .operate import act

    act(connection, "restore")


@connections.command()
@_CONNECTION
@click.confirmation_option(prompt="Log it out and forget it? Messages stay.")
def delete(connection: str) -> None:
    """Log it out and forget it; messages stay."""
    from .operate import delete as run

    run(connection)


@click.command()
@_CONNECTION
@click.argument("to")
@click.argument("text", default="-")
@click.option("--key", help="Idempotency key: the same one sends once.")
@_AS_JSON
def send(connection: str, to: str, text: str, key: str | None, as_json: bool) -> None:
    """Send a text message.

    TO is a phone number in any usual spelling. TEXT is read from standard input when it is left
    out or "-". Prints "sent" or, where it still waits on disk, "queued", and the message's id.
    """
    from .operate import send as run

    if text == "-":
        text = sys.stdin.read().rstrip("\n")
    run(connection, to, text, key=key, as_json=as_json)


@click.command()
@_CONNECTION
@click.option("--code", "phone", metavar="PHONE", help="A code to type into that phone instead.")
@click.option(
    "--wait",
    type=click.FloatRange(min=1, max=3600),
    default=300.0,
    show_default=True,
    help="Seconds to go on until it is paired.",
)
def qr(connection: str, phone: str | None, wait: float) -> None:
    """Show the QR code to pair with, here.

    Shows each new one as it comes; ends when the phone is paired.
    """
    from . import operate

    if phone is not None:
        operate.pairing_code(connection, phone)
    operate.qr(connection, seconds=wait, codes=phone is None)


@click.command()
@_AS_JSON
def tree(as_json: bool) -> None:
    """Print the supervision tree as it is now."""
    from .operate import tree as run

    run(as_json=as_json)


@click.command()
@click.argument("path")
def unpark(path: str) -> None:
    """Let a parked part go on.

    PATH as in the tree: core/whatsapp/connections/loja.
    """
    from .operate import unpark as run

    run(path)


@click.command()
@click.option("--event", "events", multiple=True, help="Only these; repeat for several.")
@click.option("--connection", shell_complete=_complete, help="Only of this connection.")
@click.option(
    "--recent",
    type=click.IntRange(min=0, max=500),
    default=10,
    show_default=True,
    help="Begin with so many of the last ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Whole events, as JSON lines.")
def tail(events: tuple[str, ...], connection: str | None, recent: int, as_json: bool) -> None:
    """Print events as they happen, until Ctrl-C."""
    from .operate import tail as run

    run(events=events, connection=connection, recent=recent, as_json=as_json)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands.

    For bash, in ~/.bashrc: eval "$(zapvisor completion bash)"
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "zapvisor", "_ZAPVISOR_COMPLETE").source())


COMMANDS = (connections, send, qr, tree, unpark, tail, completion)
