"""How much fits into a message: the same numbers as ``bridge/src/limits.ts``; a test compares.

Texts are measured as WhatsApp's own clients do it, in UTF-16 code units: most emoji count as two.
"""

from __future__ import annotations

TEXT = 65_536
CAPTION = 4096
FILE_NAME = 255
PLACE = 256
"""Of a location's name, and of its address."""
CONTACTS = 20
CONTACT_NAME = 100
POLL_NAME = 255
POLL_OPTION = 100
POLL_OPTIONS = 12
LINK_URL = 2048
LINK_TITLE = 300
LINK_DESCRIPTION = 1000
REACTION = 32
MENTIONS = 100
QUOTED = 2000
"""Of what is shown of the message that is answered."""
MESSAGE_ID = 255
"""Of the ids of others' messages, which are what their clients make of them."""


def units(text: str) -> int:
    """The length of a text in UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)
