"""What every connection actor works with; made once per tree."""

from __future__ import annotations

from dataclasses import dataclass

from ..events import EventBus
from ..journal import Journal
from ..outbound.outbox import Outbox
from ..way_in import WayIn
from .bridge import Bridge
from .credential_files import CredentialFiles
from .live import LiveBook
from .proxies import Proxies
from .sessions import Sessions


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the tree that a connection needs."""

    journal: Journal
    bridge: Bridge
    outbox: Outbox
    lives: LiveBook
    sessions: Sessions
    events: EventBus
    way_in: WayIn
    proxies: Proxies
    files: CredentialFiles
