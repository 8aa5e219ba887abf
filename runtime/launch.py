"""Running the whole product in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from supervisors import ChildSpec, Supervisor, hard_exit, open_supervisor

from .app import Application
from .errors import Invalid
from .local_stack import LocalStack
from .node_parts import NodeParts
from .settings import Settings
from .storage import Supabase
from .tree import BUDGET, CORE


@asynccontextmanager
async def running(
    settings: Settings,
    parts: NodeParts,
    http: Callable[[Application], ChildSpec],
) -> AsyncIterator[Application]:
    """Run the product while the block runs; ``http`` makes the API's child.

    Raises DataDirectoryInUse when another runtime works on the same data directory, and what
    ``open_supervisor`` raises when the tree gives up. A stop that does not end, ends the process
    with code 70.
    """
    data = settings.data_dir.resolve()
    data.mkdir(parents=True, exist_ok=True)
    stack = None
    if settings.uses_local_stack:
        stack = LocalStack(
            data / "supabase", parts.node_modules, parts.migrations, settings.local_supabase_port
        )
    async with Supabase(*_project(settings, stack)) as supabase:
        application = Application(settings, parts, supabase, stack)
        tree = Supervisor(
            [
                ChildSpec("pulse", application.pulse),
                ChildSpec(CORE, application.core),
                http(application),
            ],
            intensity=BUDGET,
        )
        async with open_supervisor(
            tree,
            name="zapvisor",
            observers=[application.telemetry],
            logger=None,  # the telemetry logs them
            overrun=hard_exit,  # what is on the disk goes on after the next start
        ) as root:
            application.begin(root)
            yield application


def _project(settings: Settings, stack: LocalStack | None) -> tuple[str, str]:
    if stack is not None:
        return stack.url, stack.service_role_key
    assert settings.supabase_url is not None
    if settings.supabase_service_role_key is None:
        raise Invalid(
            "SUPABASE_URL está definida, mas SUPABASE_SECRET_KEY (ou SUPABASE_SERVICE_ROLE_KEY) "
            "não.",
            code="missing_service_role_key",
        )
    return settings.supabase_url, settings.supabase_service_role_key.get_secret_value()
