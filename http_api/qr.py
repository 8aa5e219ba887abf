"""QR codes as people scan them: a PNG, or half-block characters for a terminal. Pure.

Rendering takes some 20 ms of CPU: call it in a thread. Front ends poll, so recent ones are kept.
"""

from __future__ import annotations

import base64
import io
from functools import lru_cache

import segno

_BORDER = 2  # modules; phones need less of a quiet zone than the standard's four
_SCALE = 6  # pixels per module


@lru_cache(maxsize=32)
def png(text: str) -> bytes:
    """``text`` as a PNG image of roughly 400 pixels a side."""
    out = io.BytesIO()
    segno.make_qr(text, error="l").save(out, kind="png", scale=_SCALE, border=_BORDER)
    return out.getvalue()


def data_url(text: str) -> str:
    """The PNG as a ``data:`` URL, ready for an ``<img>``."""
    return f"data:image/png;base64,{base64.b64encode(png(text)).decode()}"


@lru_cache(maxsize=32)
def terminal(text: str) -> str:
    """``text`` as lines of half blocks, for light characters on a dark terminal."""
    out = io.StringIO()
    segno.make_qr(text, error="l").terminal(out=out, border=_BORDER, compact=True)
    return out.getvalue()
