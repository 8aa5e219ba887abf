"""Names and types from strangers."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.media.names import MAX_NAME, content_disposition, safe_mime, safe_name


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("conta de luz.pdf", "conta de luz.pdf"),
        ("relatório março.xlsx", "relatório março.xlsx"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system32\\x.dll", "x.dll"),
        ("/", None),
        ("", None),
        (None, None),
        (7, None),
        ("..", None),
        (" . . ", None),
        ("a\0b.pdf", "ab.pdf"),
        ("foto\u202egpj.exe", "fotogpj.exe"),
        ("a\r\nSet-Cookie: x.pdf", "aSet-Cookie_ x.pdf"),
        ('a"b;c%.pdf', "a_b;c%.pdf"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("\ud800x.pdf", "?x.pdf".replace("?", "_")),
        ("x" * 300 + ".pdf", "x" * (MAX_NAME - 4) + ".pdf"),
        ("x" * 300, "x" * MAX_NAME),
        ("a." + "y" * 300, ("a." + "y" * 300)[:MAX_NAME]),
    ],
)
def test_safe_name(given_name, name):
    assert safe_name(given_name) == name


@given(st.text(max_size=400))
def test_a_safe_name_is_harmless_and_stays_as_it_is(text):
    name = safe_name(text)
    if name is not None:
        assert 0 < len(name) <= MAX_NAME
        assert not set(name) & set('<>:"/\\|?*')
        assert not any(unicodedata.category(char).startswith("C") for char in name)
        assert name not in (".", "..")
        assert name == name.strip(" .")
        assert safe_name(name) == name


@pytest.mark.parametrize(
    ("claimed", "mime"),
    [
        ("image/jpeg", "image/jpeg"),
        ("IMAGE/JPEG; charset=x", "image/jpeg"),
        ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
        ('audio/ogg;codecs="opus"', "audio/ogg; codecs=opus"),
        ("text/html\r\nX-Evil: 1", None),
        ("image", None),
        ("/", None),
        ("a/b c", None),
        ("x" * 300, None),
        (None, None),
        (b"image/png", None),
    ],
)
def test_safe_mime(claimed, mime):
    assert safe_mime(claimed) == mime


@pytest.mark.parametrize(
    ("name", "inline", "header"),
    [
        (None, True, "inline"),
        (None, False, "attachment"),
        ("a.pdf", False, 'attachment; filename="a.pdf"'),
        (
            "março.pdf",
            False,
            "attachment; filename=\"marco.pdf\"; filename*=UTF-8''mar%C3%A7o.pdf",
        ),
        ("日本", True, "inline; filename=\"arquivo\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
    ],
)
def test_content_disposition(name, inline, header):
    assert content_disposition(name, inline=inline) == header


@given(st.text(max_size=200))
def test_a_disposition_is_one_line_of_ascii(text):
    header = content_disposition(safe_name(text), inline=False)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') in (0, 2)
