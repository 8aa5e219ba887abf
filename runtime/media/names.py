"""File names and MIME types that came from strangers, made harmless. Pure."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

MAX_NAME = 120
"""Characters of a file name; more are cut out of its middle, not off its extension."""
MAX_EXTENSION = 16

_RESERVED = re.compile(r'[<>:"|?*\\/]')
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}")


def safe_name(name: object) -> str | None:
    """The last part of ``name`` as a file of that name may be called anywhere; None if nothing.

    No directories, no control or direction characters (which can disguise an extension), no names
    that a system reserves, no leading or trailing dots and spaces, at most ``MAX_NAME`` characters.
    """
    if not isinstance(name, str):
        return None
    name = re.split(r"[/\\]", name)[-1]
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    # Control, format (bidi marks among them), surrogate, private and unassigned code points.
    name = "".join(char for char in name if not unicodedata.category(char).startswith("C"))
    name = _RESERVED.sub("_", name)
    name = " ".join(name.split()).strip(" .")
    if _DEVICES.match(name):
        name = f"_{name}"
    if len(name) > MAX_NAME:
        stem, dot, extension = name.rpartition(".")
        if not dot or len(extension) > MAX_EXTENSION:
            name = name[:MAX_NAME].rstrip(" .")
        else:
            name = f"{stem[: MAX_NAME - len(extension) - 1].rstrip(' .')}.{extension}"
    return name or None


def safe_mime(value: object) -> str | None:
    """``type/subtype`` in lower case, with the codecs of Ogg kept; None for anything else."""
    if not isinstance(value, str) or len(value) > 255:
        return None
    essence, _, parameters = value.partition(";")
    essence = essence.strip().lower()
    if not _MIME.fullmatch(essence):
        return None
    if essence == "audio/ogg" and re.search(r"codecs\s*=\s*\"?opus", parameters, re.IGNORECASE):
        return "audio/ogg; codecs=opus"
    return essence


def content_disposition(name: str | None, *, inline: bool) -> str:
    """The header for a name of `safe_name`, for old and new clients (RFC 6266)."""
    kind = "inline" if inline else "attachment"
    if name is None:
        return kind
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'[^ -~]|["%;]', "_", plain) or "arquivo"
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
