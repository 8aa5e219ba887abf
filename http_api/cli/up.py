"""``zapvisor up``: the product, until a signal asks it to stop."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from runtime.app import Application
from runtime.errors import ZapvisorError
from runtime.events import EventName

from ..keys import KeyStore
from ..qr import terminal as qr_blocks
from .prerequisites import load_settings, node_parts
from .serving import serve
from .terminal import Problem, say, system_error


def up() -> None:
    """Blocks until Ctrl-C or SIGTERM; raises Problem for what an operator can mend."""
    settings = load_settings()
    parts = node_parts(settings)
    try:
        new_key = KeyStore.ensure(settings)
    except ZapvisorError as error:
        raise Problem(error.message) from None
    except OSError as error:
        raise Problem(f"the key file cannot be used: {system_error(error)}") from None
    if new_key is not None:
        # At once: whatever else goes wrong, it could not be shown again.
        say("this is the API key, shown only this once; send it as X-Api-Key:")
        click.echo(f"\n    {new_key}\n")

    async def main(application: Application, url: str) -> None:
        say(f"the API listens on {url} (dashboard: {url}/, calls: {url}/docs); Ctrl-C stops")
        await _show_pairing(application)

    serve(settings, parts, main, logs=Path.cwd())


async def _show_pairing(application: Application) -> None:
    """QR codes to scan, as they come, and what became of them."""
    async with application.events.subscribe() as events:
        async for event in events:
            if event.event is EventName.QR_CODE:
                blocks = await trio.to_thread.run_sync(qr_blocks, event.data["qrCode"])
                say(f"scan this with the phone of {event.connection_id} (linked devices):")
                click.echo(blocks)
            elif event.event is EventName.CONNECTED:
                say(f"{event.connection_id} is connected")
