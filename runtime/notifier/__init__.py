"""Webhooks: events to the programs of others, signed, in order per chat, each at least once.

What is to be delivered is in the journal, written with its event. Modules:

- ``signature``: the secret of an endpoint, and what is proven with it. Pure.
- ``retry``: when to try again. Pure.
- ``sender``: one attempt over HTTP.
- ``notifier``: the supervised child that makes the attempts that are due.
- ``desk``: what the API asks of all this.
"""

from .desk import Webhooks
from .notifier import Notifier
from .sender import Sender

__all__ = ["Notifier", "Sender", "Webhooks"]
