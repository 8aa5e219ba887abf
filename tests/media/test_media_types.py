"""What a file is, and what it may be sent and shown as."""

import struct
import time
import zipfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import TooLarge, UnsupportedMedia
from runtime.media.policy import (
    KINDS,
    MAX_SEND_BYTES,
    MIB,
    check_size,
    sendable_mime,
    served_as,
    true_mime,
)
from runtime.media.sniff import BINARY, OGG_OPUS, OLE, ogg_seconds, sniff
from runtime.media.sniff import OFFICE_PACKAGE as PACKAGE


def archive(*names):
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as writing:
        for name in names:
            writing.writestr(name, "application/epub+zip" if name == "mimetype" else "x")
    return file.getvalue()


FTYP = struct.pack(">I", 24) + b"ftyp"
OFFICE = "application/vnd.openxmlformats-officedocument"
SHEET, SLIDES = f"{OFFICE}.spreadsheetml.sheet", f"{OFFICE}.presentationml.presentation"
MACROS = "application/vnd.ms-excel.sheet.macroenabled.12"
SAMPLES = {
    "image/jpeg": [b"\xff\xd8\xff\xe0\0\x10JFIF"],
    "image/png": [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"],
    "image/gif": [b"GIF89a\1\0\1\0"],
    "image/webp": [b"RIFF\x10\0\0\0WEBPVP8 "],
    "image/svg+xml": [b"<svg xmlns='x'>", b"<?xml version='1.0'?><svg >", b"\xef\xbb\xbf  <SVG\n"],
    "video/mp4": [FTYP + b"isom", FTYP + b"mp42"],
    "video/3gpp": [FTYP + b"3gp4"],
    "video/quicktime": [FTYP + b"qt  "],
    "video/webm": [b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"],
    "audio/mp4": [FTYP + b"M4A "],
    OGG_OPUS: [b"OggS" + bytes(24) + b"OpusHead"],
    "audio/ogg": [b"OggS" + bytes(24) + b"\1vorbis"],
    "audio/mpeg": [b"ID3\4\0", b"\xff\xfb\x90\x64"],
    "audio/aac": [b"\xff\xf1\x50\x80"],
    "audio/amr": [b"#!AMR\n"],
    "audio/wav": [b"RIFF\x10\0\0\0WAVEfmt "],
    "application/pdf": [b"%PDF-1.7\n", b"\0\1junk\n%PDF-1.4\n"],
    "application/zip": [archive("a.txt"), b"PK\5\6" + bytes(18)],
    f"{OFFICE}.wordprocessingml.document": [archive("[Content_Types].xml", "word/document.xml")],
    PACKAGE: [archive("[Content_Types].xml", "_rels/.rels"), archive("customXml/item1.xml")],
    "application/vnd.oasis.opendocument.text": [
        b"PK\3\4" + bytes(22) + b"\x08\0\0\0mimetypeapplication/vnd.oasis.opendocument.textPK"
    ],
    f"{OFFICE}.spreadsheetml.sheet": [archive("[Content_Types].xml", "_rels/.rels", "xl/w.xml")],
    "application/epub+zip": [archive("mimetype", "a")],
    "application/java-archive": [archive("META-INF/MANIFEST.MF")],
    "application/vnd.microsoft.portable-executable": [b"MZ\x90\0"],
    "application/x-elf": [b"\x7fELF\2"],
    "text/x-shellscript": [b"#!/bin/sh\n"],
    "text/html": [b"<!DOCTYPE html>", b"  \n<script>alert(1)", b"<!-- x --><HTML>", b"<img src=x>"],
    "text/plain": [
        *(b"nome;valor\n", "olá".encode(), b"if a < b", b"<Ana> oi <b>", b"nome;<svg ;1"),
        *(b"BMW;10", b"MZ 1", b"ID3 e ID4", b"BZh"),
    ],
    "application/xml": [
        b"<?xml version='1.0'?><NFe/>",
        b"<?xml version='1.0' encoding='ISO-8859-1'?><nome>Jos\xe9</nome>",
        b"<NFe xmlns='x'><infNFe/>",
        b"\xef\xbb\xbf<!-- x --><gpx>\n <trk>",
    ],
}


@pytest.mark.parametrize(
    ("mime", "head"), [(mime, head) for mime, heads in SAMPLES.items() for head in heads]
)
def test_the_first_bytes_tell_the_type(mime, head):
    assert sniff(head) == mime


@pytest.mark.parametrize("head", [b"", b"\0\1\2", b"\xff\xfe\x68\0i\0", b"\x80\x81\x82\x83"])
def test_what_is_not_recognised_is_unknown(head):
    assert sniff(head) is None


@given(st.binary(max_size=600))
def test_no_bytes_are_too_strange(head):
    sniff(head)
    ogg_seconds(head)


@pytest.mark.parametrize(
    "piece",
    [b"<!---->", b"<??>", b"<!doctype>", b"<!doctype[]>", b"<?xml ", b"<a ", b"<a>", b" <!--"],
)
def test_what_is_made_to_take_long_does_not(piece):
    started = time.process_time()
    sniff(piece * 2000)
    assert time.process_time() - started < 0.5


def test_a_text_cut_inside_a_character_is_still_text():
    assert sniff(b"a" * 4095 + "é".encode()) == "text/plain"


def test_the_length_of_a_voice_note_is_read_from_its_last_page():
    page = b"OggS\0\4" + struct.pack("<q", 48_000 * 7 + 100) + bytes(20)
    assert ogg_seconds(bytes(1000) + page) == 7
    assert ogg_seconds(b"OggS\0\4" + struct.pack("<q", -1) + bytes(20)) is None
    assert ogg_seconds(b"OggS") is None


@pytest.mark.parametrize(
    ("claimed", "detected", "mime"),
    [
        ("image/jpeg", "image/png", "image/png"),
        ("image/jpeg", "text/html", "text/html"),
        ("image/jpeg", None, BINARY),
        ("text/html", None, BINARY),
        ("application/vnd.ms-excel", None, "application/vnd.ms-excel"),
        ("application/vnd.ms-excel", "application/x-ole-storage", "application/vnd.ms-excel"),
        ("image/png", "application/zip", "application/zip"),
        ("text/csv", "text/plain", "text/csv"),
        ("text/html", "text/plain", "text/plain"),
        (f"{OFFICE}.wordprocessingml.document", PACKAGE, f"{OFFICE}.wordprocessingml.document"),
        (f"{OFFICE}.wordprocessingml.document", "application/zip", "application/zip"),
        (f"{OFFICE}.wordprocessingml.document", "text/plain", "text/plain"),
        # A document with a password is an OLE container, whatever it holds.
        (f"{OFFICE}.spreadsheetml.sheet", OLE, f"{OFFICE}.spreadsheetml.sheet"),
        (f"{OFFICE}.presentationml.slideshow", SLIDES, f"{OFFICE}.presentationml.slideshow"),
        ("application/vnd.ms-excel.sheet.macroenabled.12", SHEET, MACROS),
        ("application/vnd.ms-word.document.macroenabled.12", SHEET, SHEET),
        ("text/html", PACKAGE, "application/zip"),
        (None, PACKAGE, "application/zip"),
        ("application/vnd.google-earth.kmz", "application/zip", "application/vnd.google-earth.kmz"),
        ("text/xml", "application/xml", "text/xml"),
        ("application/gpx+xml", "application/xml", "application/gpx+xml"),
        ("image/svg+xml", "application/xml", "application/xml"),
        ("application/xhtml+xml", "application/xml", "application/xml"),
        ("text/csv", "application/xml", "application/xml"),
        ("application/json", "text/plain", "application/json"),
        ("application/postscript", "text/plain", "application/postscript"),
        ("application/pdf", "text/plain", "text/plain"),
        ("application/msword", "text/plain", "text/plain"),
        ("image/gif", "image/gif", "image/gif"),
        ("image/gif", "text/plain", "text/plain"),
        ("image/vnd.dwg", None, "image/vnd.dwg"),
        ("text/csv", None, "text/csv"),
        ("application/pdf", None, BINARY),
        ("text/javascript", "text/plain", "text/plain"),
        ("application/x-javascript1.5", "text/plain", "text/plain"),
        ("text/javascript", None, BINARY),
        ("image/svg+xml", None, BINARY),
        ("application/xhtml+xml", "text/plain", "text/plain"),
        (None, "text/plain", "text/plain"),
        (None, None, BINARY),
        ("a\0/b", None, BINARY),
    ],
)
def test_the_content_outweighs_the_claim(claimed, detected, mime):
    assert true_mime(claimed, detected) == mime


@pytest.mark.parametrize(
    ("kind", "detected", "voice", "mime"),
    [
        ("image", "image/png", False, "image/png"),
        ("image", "image/gif", False, "image/gif"),
        ("video", "video/mp4", False, "video/mp4"),
        ("audio", OGG_OPUS, True, OGG_OPUS),
        ("audio", "video/mp4", False, "audio/mp4"),
        ("sticker", "image/webp", False, "image/webp"),
        ("document", "text/html", False, "text/html"),
        ("document", None, False, BINARY),
    ],
)
def test_sendable(kind, detected, voice, mime):
    assert sendable_mime(kind, None, detected, voice=voice) == mime


@pytest.mark.parametrize(
    ("kind", "detected", "voice", "code"),
    [
        ("image", "application/pdf", False, "media_type_mismatch"),
        ("image", "image/svg+xml", False, "media_type_mismatch"),
        ("image", None, False, "media_type_mismatch"),
        ("sticker", "image/png", False, "media_type_mismatch"),
        ("video", "image/png", False, "media_type_mismatch"),
        ("audio", "audio/mpeg", True, "voice_needs_opus"),
    ],
)
def test_not_sendable(kind, detected, voice, code):
    with pytest.raises(UnsupportedMedia) as refusal:
        sendable_mime(kind, f"{kind}/x", detected, voice=voice)
    assert refusal.value.code == code
    assert "<" not in refusal.value.message


def test_sizes():
    for kind in KINDS:
        check_size(kind, MAX_SEND_BYTES[kind])
        with pytest.raises(TooLarge):
            check_size(kind, MAX_SEND_BYTES[kind] + 1)
    assert MAX_SEND_BYTES["document"] == 100 * MIB
    assert {MAX_SEND_BYTES[kind] for kind in ("image", "video", "audio")} == {16 * MIB}


@pytest.mark.parametrize(
    ("mime", "served"),
    [
        ("image/png", ("image/png", True)),
        (OGG_OPUS, (OGG_OPUS, True)),
        ("image/svg+xml", (BINARY, False)),
        ("text/html", (BINARY, False)),
        ("application/pdf", (BINARY, False)),
        (None, (BINARY, False)),
    ],
)
def test_a_browser_is_given_nothing_that_runs(mime, served):
    assert served_as(mime) == served


@pytest.mark.parametrize(
    "claim",
    [
        *("text/html", "application/xhtml+xml", "image/svg+xml", "text/javascript", "text/xml"),
        *("application/javascript", "application/hta", f"{OFFICE}.wordprocessingml.document"),
    ],
)
@given(st.binary(max_size=64) | st.sampled_from([b"<svg>", b"<html>", b"<?xml ?><svg>", b"x"]))
def test_whatever_is_claimed_nothing_active_is_shown_in_place(claim, content):
    mime, inline = served_as(true_mime(claim, sniff(content)))
    assert not inline or mime.startswith(("image/", "audio/", "video/"))
    assert mime != "image/svg+xml"
