"""What a file is, told from its first bytes. Pure; nothing is ever unpacked or decoded."""

from __future__ import annotations

import re
from collections.abc import Callable

HEAD_BYTES = 4096
"""What `sniff` wants to see of a file."""

OGG_OPUS = "audio/ogg; codecs=opus"
BINARY = "application/octet-stream"
ZIP = "application/zip"
OLE = "application/x-ole-storage"
XML = "application/xml"
SVG = "image/svg+xml"
TEXT = "text/plain"
SCRIPT = "text/x-shellscript"
OFFICE_PACKAGE = "application/vnd.openxmlformats-package"
"""Office documents of a kind that the first entries of their ZIP do not tell."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"MThd", "audio/midi"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"#!", SCRIPT),
    (257, b"ustar", "application/x-tar"),
)

# Brands of ISO media files; what is not listed is an MP4 video.
_BRANDS = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"F4A ": "audio/mp4",
    b"3gp": "video/3gpp",
    b"3g2": "video/3gpp2",
    b"qt  ": "video/quicktime",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
}

_OFFICE = {
    b"word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_OFFICE_FIRST = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"customXml/", *_OFFICE)
"""How the name of the first entry of an office document may begin."""

_WORDS = frozenset({b"BM", b"MZ", b"ID3", b"BZh"})
"""Signatures that a text may begin with as well."""

# Atomic and possessive: what a stranger sends must not make them try it in every other way.
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?(?>\s+|<!--.*?-->)*+<(?:!doctype\s+html|html|head|body|script|iframe|style|title"
    rb"|meta|img|table|div|a\b|h1|p\b|form|object|embed|link|base)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_PROLOGUE = rb"(?:\xef\xbb\xbf)?(?>\s+|<\?.*?\?>|<!--.*?-->|<!doctype[^>\[]*+(?:\[.*?\]\s*)?>)*+"
_SVG = re.compile(_PROLOGUE + rb"<(?:\w+:)?svg[\s>]", re.IGNORECASE | re.DOTALL)
_XML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml\s|(?>\s+|<!--.*?-->)*+<[A-Za-z_][\w.:-]*(?:\s[^<>]*)?>\s*<[A-Za-z_/!])",
    re.DOTALL,
)
"""Declared, or elements in elements: what no other text begins with."""


def sniff(head: bytes) -> str | None:
    """The MIME type of a file that begins with ``head`` (``HEAD_BYTES`` of it); None: unknown.

    Text is ``text/plain`` unless it is markup; a ZIP of office documents is told by the names of
    its first entries, which are read where they stand.
    """
    head = head[:HEAD_BYTES]
    for offset, magic, mime in _MAGIC:
        if head.startswith(magic, offset) and not (magic in _WORDS and _is_text(head)):
            return mime
    for reader in _READERS:
        mime_found = reader(head)
        if mime_found is not None:
            return mime_found
    # Junk may stand before it.
    return "application/pdf" if b"%PDF-" in head[:1024] else None


def ogg_seconds(tail: bytes) -> int | None:
    """The length of an Ogg/Opus file from its last page, in whole seconds; ``tail`` is its end."""
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 14:
        return None
    samples = int.from_bytes(tail[at + 6 : at + 14], "little", signed=True)
    return samples // 48_000 if 0 <= samples < 48_000 * 86_400 else None


def _riff(head: bytes) -> str | None:
    if head[:4] != b"RIFF":
        return None
    kinds = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
    return kinds.get(head[8:12])


def _iso_media(head: bytes) -> str | None:
    if head[4:8] != b"ftyp":
        return None
    brand = head[8:12]
    return _BRANDS.get(brand) or _BRANDS.get(brand[:3]) or "video/mp4"


def _ogg(head: bytes) -> str | None:
    if head[:4] != b"OggS":
        return None
    if b"OpusHead" in head[:128]:
        return OGG_OPUS
    return "video/ogg" if b"\x80theora" in head[:128] else "audio/ogg"


def _matroska(head: bytes) -> str | None:
    if head[:4] != b"\x1a\x45\xdf\xa3":
        return None
    return "video/webm" if b"webm" in head[:64] else "video/x-matroska"


def _mpeg_audio(head: bytes) -> str | None:
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    valid = head[1] & 0xE6 == 0xE2 and head[2] >> 4 not in (0, 15)
    return "audio/mpeg" if valid else None


def _zip(head: bytes) -> str | None:
    if head[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
        return None
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if name == b"mimetype":  # OpenDocument and EPUB say what they are, uncompressed
        said = re.match(rb"application/[a-z0-9.+-]{1,80}", head[38:])
        return said.group().decode() if said else ZIP
    if name.startswith(_OFFICE_FIRST):
        return next((mime for prefix, mime in _OFFICE.items() if prefix in head), OFFICE_PACKAGE)
    if name.startswith(b"META-INF/"):
        return "application/java-archive"
    if name == b"AndroidManifest.xml":
        return "application/vnd.android.package-archive"
    return ZIP


def _text(head: bytes) -> str | None:
    if _MARKUP.match(head):
        return "text/html"
    if _SVG.match(head):
        return SVG
    if _XML.match(head) and not _CONTROLS.search(head):  # in whatever encoding it declares
        return XML
    return TEXT if _is_text(head) else None


def _is_text(head: bytes) -> bool:
    if not head or _CONTROLS.search(head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character cut off at the end
    return True


_READERS: tuple[Callable[[bytes], str | None], ...] = (
    _riff,
    _iso_media,
    _ogg,
    _matroska,
    _mpeg_audio,
    _zip,
    _text,
)

RECOGNISED = frozenset(
    {
        *(mime for _, _, mime in _MAGIC),
        *_BRANDS.values(),
        *_OFFICE.values(),
        *("image/webp", "audio/wav", "video/x-msvideo", "video/mp4", "video/webm", "audio/aac"),
        *("video/x-matroska", "audio/ogg", "video/ogg", OGG_OPUS, ZIP, XML, SVG, "text/html"),
        *("application/java-archive", "application/vnd.android.package-archive"),
    }
)
"""Types that are told by their content: a file that does not look so is none of them."""
