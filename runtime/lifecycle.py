"""The parts of the product and the tree made of them: built, started, stopped, asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import trio

from supervisors import (
    ChildStateError,
    NoSuchChildError,
    Pulse,
    Root,
    StartFailedError,
    State,
    SupervisorDownError,
)

from .contacts.service import Contacts
from .distribution import Distribution
from .errors import Conflict, NotFound, Unavailable
from .event_log import EventLog
from .events import EventBus
from .janitor import Janitor
from .journal import Journal
from .local_stack import LocalStack
from .media.desk import MediaDesk
from .media.fetch import Fetcher
from .media.spool import Spool
from .media.stores import LocalStore, Store, SupabaseStore
from .media.tasks import Tasks
from .media.worker import MediaWorker
from .node_parts import NodeParts
from .notifier import Notifier, Sender
from .outbound.conversation import Conversation
from .outbound.outbox import Outbox
from .outgoing_http import GuardedNetwork
from .readings import Reading, read
from .report import Report, describe_node
from .robot import Robot
from .self_test import run_self_test, self_tests
from .settings import Settings
from .storage import Atendimentos, Configuracoes, MediaStorage, Probe, Supabase, Writer
from .telemetry import Telemetry
from .tree import CONNECTIONS, CORE, core_tree
from .way_in import WayIn
from .whatsapp.bridge import Bridge
from .whatsapp.credential_files import CredentialFiles
from .whatsapp.live import LiveBook
from .whatsapp.manager import Connections
from .whatsapp.proxies import Proxies
from .whatsapp.services import Services
from .whatsapp.sessions import Sessions

RESTART_DEADLINE = 300.0
"""Seconds; beyond all the deadlines of the parts that stop and start."""


class Lifecycle:
    """The parts, the tree made of them, and what it says about itself."""

    def __init__(
        self,
        settings: Settings,
        parts: NodeParts,
        supabase: Supabase,
        local_stack: LocalStack | None,
    ) -> None:
        data = settings.data_dir.resolve()
        self.settings = settings
        self._local_stack = local_stack
        self.events = EventBus()
        self.telemetry = Telemetry(self.events)
        self.started_at = datetime.now(UTC)
        self.supabase = supabase
        self.journal = Journal(data / "journal.sqlite")
        self.event_log = EventLog(self.journal, self.events, health=self._health)
        self.probe = Probe(supabase, self.events)
        self.atendimentos = Atendimentos(supabase)
        self.configuracoes = Configuracoes(supabase)
        self.lives = lives = LiveBook()
        self.way_in = WayIn()
        self.robot = Robot(
            self.journal,
            self.configuracoes,
            self.atendimentos,
            ring=lambda connection_id: lives[connection_id].outbox.ring(),
            supabase_back=self.probe.wait_verified,
        )
        self.writer = Writer(
            self.journal,
            supabase,
            self.probe,
            self.events,
            hears=self.robot.hears,
            way_in=self.way_in,
        )
        self.bridge = Bridge(parts, data / "connections", data / "media")
        self.outbox = Outbox(self.journal, self.events)
        self.contacts = Contacts(self.journal, self.atendimentos)
        self.conversation = Conversation(self.journal, supabase, self.contacts)
        spool = Spool(data / "media")
        files = MediaStorage(supabase)
        store: Store = SupabaseStore(files)
        if settings.uses_local_stack:
            store = LocalStore(data / "media" / "files")
        self.media = MediaDesk(self.journal, spool, store, files, Fetcher())
        self.media_worker = MediaWorker(
            self.journal,
            Tasks(
                journal=self.journal,
                bridge=self.bridge,
                outbox=self.outbox,
                spool=spool,
                store=store,
                rows=files,
                ring=lambda connection_id: lives[connection_id].outbox.ring(),
            ),
            spool,
            self.events,
        )
        credential_files = CredentialFiles(data / "connections")
        self.book = Connections(
            Services(
                journal=self.journal,
                bridge=self.bridge,
                outbox=self.outbox,
                lives=lives,
                sessions=Sessions(self.journal),
                events=self.events,
                way_in=self.way_in,
                proxies=Proxies(settings.proxy_exemptions),
                files=credential_files,
            )
        )
        self._webhook_network = GuardedNetwork(exempt=settings.webhook_exemptions)
        self.notifier = Notifier(self.journal, Sender(self._webhook_network))
        self.self_tests = self_tests()
        self.loop_lag = Distribution()
        self.pulse = Pulse(measured=self.loop_lag.add)
        self.report = Report(self)
        self.core = core_tree(
            local_stack=local_stack,
            journal=self.journal,
            event_log=self.event_log,
            probe=self.probe,
            writer=self.writer,
            bridge=self.bridge,
            connections=self.book,
            media=self.media_worker,
            robot=self.robot,
            notifier=self.notifier,
            janitor=Janitor(self.journal, self.book, credential_files),
            self_tests=self.self_tests,
        )
        self._root: Root | None = None

    @property
    def root(self) -> Root:
        """The running tree. Raises Unavailable in the moment before it is up."""
        if self._root is None:
            raise Unavailable("O serviço está iniciando.", code="starting", retry_after=1.0)
        return self._root

    def begin(self, root: Root) -> None:
        """Tell which running tree this is."""
        self._root = root

    @property
    def jwt_secret(self) -> str | None:
        """What signs the access tokens of end users by HS256; None accepts no such tokens."""
        if self._local_stack is not None:
            return self._local_stack.jwt_secret
        secret = self.settings.supabase_jwt_secret
        return None if secret is None else secret.get_secret_value() or None

    # --- the tree

    async def initialize(self) -> dict[str, Any]:
        """Start the tree if it is not running; returns the status."""
        await self._start()
        return self.status()

    async def shutdown(self) -> None:
        """Stop the tree in order; the API stays up. What is queued stays on disk."""
        if self.report.is_running():
            await self.root.terminate_child(CORE)

    async def restart(self) -> None:
        """Stop the tree in order and start it again, losing nothing.

        Goes on when the caller gives up waiting, so as not to leave the tree half stopped.
        """
        with trio.move_on_after(RESTART_DEADLINE, shield=True):
            await self.shutdown()
            await self._start()

    async def _start(self) -> None:
        """What runs or is starting stays so: the command would begin it anew."""
        node = self.report.node(CORE)
        if node is not None and node.state in (State.STARTING, State.RUNNING):
            await self.root.child(CORE).wait_ready()
        else:
            await self.root.restart_child(CORE)

    def status(self) -> dict[str, Any]:
        """``GET /status``."""
        return self.report.status()

    async def stats(self) -> dict[str, Any]:
        """``GET /stats``."""
        return await self.report.stats()

    async def readings(self) -> list[Reading]:
        """``GET /metrics``."""
        return await read(self)

    def tree(self) -> dict[str, Any]:
        """The supervision tree as it is now."""
        return describe_node(self.report.tree())

    async def unpark(self, path: str) -> None:
        """Let a parked child go on; ``path`` from the root. Raises NotFound, Conflict.

        A connection is parked in the registry too, so that it is started anew instead.
        """
        node = self.report.tree().find(path)
        if node is None:
            raise NotFound("Não há esse filho na árvore.", code="child_not_found")
        if node.state is not State.PARKED:
            raise Conflict("Este filho não está parado.", code="not_parked")
        parent, _, name = path.rpartition("/")
        if parent == f"{self.root.path}/{CONNECTIONS}":
            await self.book.restart(name)
            return
        try:
            await self.root.unpark(path)
        except (ChildStateError, NoSuchChildError, SupervisorDownError) as error:
            raise Conflict("Este filho não está mais parado.", code="not_parked") from error
        except StartFailedError as error:
            raise Unavailable(
                "A partida falhou; a supervisão tenta de novo.", code="start_failed"
            ) from error

    async def self_test(self) -> dict[str, Any]:
        """``POST /test``: really exercise each part."""
        return await run_self_test(self)

    def live(self) -> bool:
        """Whether the event loop turns in time and no child hangs."""
        return self.pulse.live().ok

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether new work is taken, and the state of each part that decides it."""
        return await self.report.ready()

    def _health(self) -> dict[str, Any]:
        """What a ``healthCheck`` tells."""
        status = self.report.status()
        told = ("isInitialized", "supabaseConnected", "integrationServiceRunning", "errors")
        return {name: status[name] for name in told}
