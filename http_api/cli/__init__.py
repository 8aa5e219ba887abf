"""The command line, ``zapvisor``.

Exit codes: 0 done (for ``up`` and ``demo``: stopped in order), 1 a problem that the printed
sentence names, 2 wrong usage, 130 interrupted. A traceback means a defect of zapvisor.

Each command imports what it runs only when it runs, so that ``--help`` and ``version`` work even
where a part is broken.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from uuid import UUID

import click

from runtime.redaction import SECRETS

from . import people
from .terminal import Problem

INTERRUPTED = 130

HELP = """zapvisor carries WhatsApp conversations into Supabase, supervised and without loss.

First steps: `demo` shows everything with simulated customers, without a phone. `up` runs the
product: create a connection through the API and scan the QR code that appears here.

Settings come from the environment, or from the file .env.supabase in the working directory
(.env.example lists them all). Without SUPABASE_URL a local Supabase stack is run.
"""

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    pass


@cli.command()
def up() -> None:
    """Run the product until Ctrl-C or SIGTERM.

    The API listens on HOST:PORT (127.0.0.1:3001). QR codes to pair phones with appear here.
    """
    from .up import up as run

    run()


@cli.command()
@click.option(
    "--every",
    type=click.FloatRange(min=0.1, max=3600),
    default=4.0,
    show_default=True,
    help="Seconds between two messages of the simulated customers.",
)
def demo(every: float) -> None:
    """Run it all on a simulated WhatsApp, no phone.

    Simulated customers write in Portuguese. Needs no Supabase project; what it stores is kept
    apart, in <data>/demo.
    """
    from .demo import demo as run

    run(every=every)


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.option("--faults", is_flag=True, help="All fault tests, the long ones and random kills too.")
@click.option("--soak", type=click.FloatRange(min=0.1), metavar="MINUTES", help="Random faults.")
@click.option("--kills", type=click.IntRange(min=1), help="How many with --faults; 200 by default.")
@click.option("--seed", type=int, help="Of the random faults, to have the same again.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(
    faults: bool,
    soak: float | None,
    kills: int | None,
    seed: int | None,
    pytest_arguments: tuple[str, ...],
) -> None:
    """Run every check: lint, types, tests.

    With arguments only pytest runs, and gets them: `./zap test -k journal -x`. With --faults all
    fault tests and random kills run instead, with --soak random faults for so many minutes.
    """
    from . import checks, fault_checks

    if faults and soak is not None:
        raise click.UsageError("either --faults or --soak")
    if (kills or seed is not None) and (pytest_arguments or not (faults or soak is not None)):
        raise click.UsageError("--kills and --seed are for the random faults")
    if faults and pytest_arguments:  # chosen ones of them
        sys.exit(checks.run_checks(["--faults", *pytest_arguments]))
    if faults:
        sys.exit(fault_checks.run_faults(kills=kills or fault_checks.KILLS, seed=seed))
    if soak is not None:
        sys.exit(fault_checks.run_soak(minutes=soak, seed=seed))
    sys.exit(checks.run_checks(pytest_arguments))


@cli.command()
@_AS_JSON
def doctor(as_json: bool) -> None:
    """Check what the product needs to run.

    One line for each part, and what to do where it fails.
    """
    from .doctor import doctor as run

    sys.exit(run(as_json=as_json))


@cli.command()
def migrate() -> None:
    """Bring the Supabase schema up to date.

    Works on the database of SUPABASE_DB_URL. Idempotent; never drops a column or a row.
    """
    from .migrate import migrate as run

    run()


@cli.command()
@click.argument("email")
def owner(email: str) -> None:
    """Print a user's id in the local stack.

    Creates the user where there is none. The id is what the API calls ownerId.
    """
    from .owner import owner as run

    run(email)


@cli.group(invoke_without_command=True)
@_AS_JSON
@click.pass_context
def journal(context: click.Context, as_json: bool) -> None:
    """Look into the durable queue.

    Without a command: the accounts and what is queued. Where zapvisor runs on the data directory,
    that one is asked, with ZAPVISOR_API_KEY; otherwise the file is read.
    """
    if context.invoked_subcommand is None:
        from .journal import inspect as run

        run(as_json=as_json)


@journal.command()
@_AS_JSON
def inspect(as_json: bool) -> None:
    """Print the accounts and what is queued."""
    from .journal import inspect as run

    run(as_json=as_json)


@journal.command()
def verify() -> None:
    """Check the file, the accounts and every entry."""
    from .journal import verify as run

    sys.exit(run())


@journal.command()
@click.argument("file", type=click.Path(path_type=Path))
def export(file: Path) -> None:
    """Write all that is queued to FILE, as JSON lines."""
    from .journal import export as run

    run(file)


@journal.command("dead-letters")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, whole.")
def dead_letters(as_json: bool) -> None:
    """List what Supabase refused, with the reason."""
    from .journal import dead_letters as run

    run(as_json=as_json)


@journal.command()
@click.argument("seq", type=click.IntRange(min=1))
@click.option("--changes", metavar="JSON", help="Columns to correct: '{\"company_id\": null}'.")
def retry(seq: int, changes: str | None) -> None:
    """Queue a dead letter again, as it is or corrected."""
    from .journal import retry as run

    run(seq, changes)


@journal.command()
def archive() -> None:
    """Move all dead letters to a file."""
    from .journal import archive as run

    run()


@cli.group()
def keys() -> None:
    """List, create, rotate and revoke API keys.

    Works on the data directory; a running zapvisor notices at once.
    """


@keys.command("list")
@_AS_JSON
def list_keys(as_json: bool) -> None:
    """Names, reach, permissions, expiry and last use."""
    from .keys import list_keys as run

    run(as_json=as_json)


@keys.command("create")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["admin", "owner", "connection"]),
    default="admin",
    show_default=True,
    help="How far the key reaches.",
)
@click.option(
    "--permission",
    "permissions",
    type=click.Choice(["read", "send", "manage"]),
    multiple=True,
    help="Repeat for several; all by default.",
)
@click.option("--owner", type=click.UUID, help="Of the roles owner and connection.")
@click.option("--connection", help="Of the role connection.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True, max=36500), help="Validity.")
@click.option("--rate", type=click.IntRange(min=1), help="Calls per minute; unlimited by default.")
@_AS_JSON
def create_key(
    name: str,
    role: str,
    permissions: tuple[str, ...],
    owner: UUID | None,
    connection: str | None,
    days: float | None,
    rate: int | None,
    as_json: bool,
) -> None:
    """Make a key and show it, this once."""
    from .keys import create as run

    run(
        name,
        role=role,
        permissions=permissions,
        owner=owner,
        connection=connection,
        expires_in_days=days,
        rate_per_minute=rate,
        as_json=as_json,
    )


@keys.command("rotate")
@click.argument("key_id")
@_AS_JSON
def rotate_key(key_id: str, as_json: bool) -> None:
    """Give a key a new secret; the old one ends at once."""
    from .keys import rotate as run

    run(key_id, as_json=as_json)


@keys.command("revoke")
@click.argument("key_id")
def revoke_key(key_id: str) -> None:
    """End a key at once."""
    from .keys import revoke as run

    run(key_id)


@cli.command()
def version() -> None:
    """Print the versions of the main parts."""
    from .version import versions

    for name, number in versions():
        click.echo(f"{name} {number}")


for command in people.COMMANDS:
    cli.add_command(command)


def _show_defect(
    kind: type[BaseException], error: BaseException, frames: TracebackType | None
) -> None:
    """A traceback for whoever mends it, without the secrets that an error may quote."""
    shown = SECRETS.redact("".join(traceback.format_exception(kind, error, frames)))
    click.echo(shown, err=True, nl=False)


def main() -> None:
    """Entry point of the console script."""
    sys.excepthook = _show_defect
    # Where the console cannot show a character (a C locale), replace it instead of failing.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        cli.main(prog_name="zapvisor", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Problem as problem:
        click.echo(f"zapvisor: {SECRETS.redact(str(problem))}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BaseExceptionGroup as group:
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
        sys.exit(INTERRUPTED)
