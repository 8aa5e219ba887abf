"""Settings: cleaned of what stands around them by accident, refused where they cannot be meant."""

from __future__ import annotations

import base64
import json
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_api.cli.prerequisites import load_settings
from http_api.cli.terminal import Problem
from runtime.setting_values import cleaned

URL = "https://abc.supabase.co"


def token(role: str) -> str:
    def part(content: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part({'role': role})}.c2lnbmVk"


SERVICE = token("service_role")
NAMES = re.compile("SUPABASE_|ZAPVISOR_|PORT$|HOST$|CORS_ORIGIN$|NODE_ENV$")


@pytest.fixture
def load(monkeypatch, tmp_path):
    """The settings with only these variables, and maybe a file."""
    for name in filter(NAMES.match, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(file: bytes | None = None, **environment: str):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        if file is not None:
            (tmp_path / ".env.supabase").write_bytes(file)
        return load_settings()

    return run


AROUND = [
    "{}\n",
    "{}\r\n",
    "  {}\t",
    '"{}"',
    "'{}'",
    "\u201c{}\u201d",
    "\u2018{}\u2019",
    "\u00ab{}\u00bb",
    "\ufeff{}",
    "\u200b{}\u2060",
    "\u00a0'\u201c{}\u201d'\n ",
    '{}"',
    "\u201d{}",
]


@pytest.mark.parametrize("around", AROUND)
def test_what_stands_around_a_value_is_no_part_of_it(load, around):
    settings = load(
        SUPABASE_URL=around.format(URL),
        SUPABASE_SERVICE_ROLE_KEY=around.format(SERVICE),
        ZAPVISOR_API_KEY=around.format("k" * 20),
    )
    assert settings.supabase_url == URL
    assert settings.supabase_service_role_key.get_secret_value() == SERVICE
    assert settings.api_key.get_secret_value() == "k" * 20


@pytest.mark.parametrize("around", AROUND[:-2])
def test_so_it_is_with_the_others(load, around):
    settings = load(
        SUPABASE_JWT_SECRET=around.format("super secret, at least"),
        SUPABASE_DB_URL=around.format("postgresql://u:p%40ss@h/db"),
        PORT=around.format("3002"),
        HOST=around.format("0.0.0.0"),
        CORS_ORIGIN=around.format("https://crm.example.com/ , 'https://b.example.com'"),
        ZAPVISOR_DATA_DIR=around.format("/srv/d\u00e1 dos"),
        ZAPVISOR_ENV=around.format("staging"),
    )
    assert settings.supabase_jwt_secret.get_secret_value() == "super secret, at least"
    assert settings.supabase_db_url.get_secret_value() == "postgresql://u:p%40ss@h/db"
    assert (settings.port, settings.host, settings.environment) == (3002, "0.0.0.0", "staging")
    assert settings.cors_origins == ["https://crm.example.com", "https://b.example.com"]
    assert str(settings.data_dir) == "/srv/d\u00e1 dos"


@pytest.mark.parametrize("nothing", ["", " ", "\n", '""', "\u201c\u201d", "\ufeff", "'"])
def test_of_which_nothing_is_left_is_not_set(load, nothing):
    settings = load(
        b"PORT=3005\n", PORT=nothing, SUPABASE_URL=nothing, SUPABASE_SECRET_KEY=nothing,
        SUPABASE_SERVICE_ROLE_KEY=SERVICE, ZAPVISOR_API_KEY=nothing,
    )  # fmt: skip
    assert settings.port == 3005
    assert settings.supabase_url is None
    assert settings.api_key is None
    assert settings.supabase_service_role_key.get_secret_value() == SERVICE


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_file_of_any_editor_is_read(load, begin, end):
    lines = [
        f"SUPABASE_URL={URL}/",
        f'SUPABASE_SECRET_KEY="{SERVICE}"',
        "PORT=\u201c3007\u201d",
        "",
    ]
    settings = load(begin + end.join(line.encode() for line in lines))
    assert (settings.supabase_url, settings.port) == (URL, 3007)
    assert settings.supabase_service_role_key.get_secret_value() == SERVICE


def test_the_environment_wins_over_the_file_whatever_the_key_is_called(load):
    settings = load(
        b"SUPABASE_SECRET_KEY=sb_secret_of_the_file\nPORT=1\n",
        SUPABASE_SERVICE_ROLE_KEY="sb_secret_of_the_environment",
    )
    assert settings.supabase_service_role_key.get_secret_value() == "sb_secret_of_the_environment"
    assert settings.port == 1


def test_the_new_name_of_the_key_wins_over_the_old_one(load):
    settings = load(SUPABASE_SECRET_KEY="sb_secret_new", SUPABASE_SERVICE_ROLE_KEY="old")
    assert settings.supabase_service_role_key.get_secret_value() == "sb_secret_new"


BAD = [
    ("SUPABASE_SERVICE_ROLE_KEY", "MARK\nMARK", "line break"),
    ("SUPABASE_SERVICE_ROLE_KEY", "MARK\u200bMARK", "invisible"),
    ("SUPABASE_SERVICE_ROLE_KEY", "Bearer MARK", "white space"),
    ("SUPABASE_SERVICE_ROLE_KEY", "MARK\u00e9", "not ASCII"),
    ("SUPABASE_SERVICE_ROLE_KEY", "MARK\u201dMARK", "not ASCII"),
    ("SUPABASE_SERVICE_ROLE_KEY", token("anon"), "role anon"),
    ("SUPABASE_SERVICE_ROLE_KEY", token("authenticated"), "role authenticated"),
    ("SUPABASE_SECRET_KEY", "sb_publishable_MARK", "publishable"),
    ("SUPABASE_SECRET_KEY", "postgresql://u:MARK@h/db", "address"),
    ("SUPABASE_JWT_SECRET", SERVICE, "JWT secret"),
    ("SUPABASE_JWT_SECRET", "MARK\x00MARK".replace("\x00", "\x07"), "invisible"),
    ("SUPABASE_URL", "MARK.supabase.co", "must begin with https://"),
    ("SUPABASE_URL", "ftp://MARK.supabase.co", "must begin with https://"),
    ("SUPABASE_URL", f"{URL}/rest/v1/MARK", "no path"),
    ("SUPABASE_URL", "https://supabase.com/dashboard/project/MARK", "no path"),
    ("SUPABASE_URL", f"{URL}?apikey=MARK", "no path"),
    ("SUPABASE_URL", f"{URL}#MARK", "no path"),
    ("SUPABASE_URL", "https://u:MARK@abc.supabase.co", "user or password"),
    ("SUPABASE_URL", "https://MARK .supabase.co", "no address"),
    ("SUPABASE_URL", "https://MARK:99999", ""),
    ("SUPABASE_URL", "https://MARK:port", "no address"),
    ("SUPABASE_URL", "https://", "SUPABASE_URL"),
    ("SUPABASE_DB_URL", "postgresql://u:MARK@MARK@h/db", "%40"),
    ("SUPABASE_DB_URL", "postgresql://u:MA/RK@h/db", "%2F"),
    ("SUPABASE_DB_URL", "postgresql://u:MARK%@h/db", "%25"),
    ("SUPABASE_DB_URL", "https://MARK.supabase.co", "postgresql://"),
    ("ZAPVISOR_API_KEY", "MARK MARK MARK MARK", "white space"),
    ("ZAPVISOR_API_KEY", "MARKMARK\u201dMARKMARK", "quotation mark"),
    ("PORT", "http", "no port"),
    ("PORT", "tcp://10.0.0.1:3001", "no port"),
    ("PORT", "70000", "no port"),
    ("PORT", "-1", "no port"),
    ("PORT", "3001.0", "no port"),
    ("PORT", "\u0663\u0660\u0660\u0661", "no port"),
    ("ZAPVISOR_LOCAL_SUPABASE_PORT", "x", "no port"),
    ("HOST", "http://MARK", "host name"),
    ("HOST", "127.0.0.1:3001", "host name"),
    ("CORS_ORIGIN", "https://a.example.com,https://MARK.example.com/x", "origin"),
    ("CORS_ORIGIN", "MARK", "origin"),
    ("ZAPVISOR_WEBHOOK_PRIVATE_HOSTS", "a:1,MARK", "number 2"),
    ("ZAPVISOR_URL", "https://u:MARK@h", "user or password"),
]


@pytest.mark.parametrize(("name", "value", "why"), BAD)
def test_what_cannot_be_meant_is_named_and_never_shown(load, name, value, why):
    with pytest.raises(Problem) as said:
        load(**{name: value})
    sentence = str(said.value)
    assert sentence.startswith(f"the settings are not usable: {name}: ")
    assert why in sentence
    assert "MARK" not in sentence
    assert "\n" not in sentence
    assert value not in sentence


def test_every_wrong_one_is_named(load):
    with pytest.raises(Problem) as said:
        load(PORT="x", SUPABASE_URL="y", SUPABASE_SECRET_KEY="a b")
    assert all(name in str(said.value) for name in ("PORT", "SUPABASE_URL", "SUPABASE_SECRET_KEY"))


@pytest.mark.parametrize("file", [b"PORT=3001\nX=\xe9\n", "PORT=3001\n".encode("utf-16")])
def test_a_file_in_another_encoding_is_named(load, file):
    with pytest.raises(Problem, match="UTF-8"):
        load(file)


GOOD = [
    ("SUPABASE_URL", "http://127.0.0.1:54321"),
    ("SUPABASE_URL", "http://[::1]:54321"),
    ("SUPABASE_URL", "http://my_supabase:8000"),
    ("SUPABASE_URL", "https://supabase.example.com.br/"),
    ("SUPABASE_SERVICE_ROLE_KEY", "a.b.c"),
    ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_Ab-_9"),
    ("SUPABASE_SECRET_KEY", SERVICE),
    ("SUPABASE_JWT_SECRET", "super-secret-jwt-token/with+32=="),
    ("SUPABASE_DB_URL", "postgres://u.ref:p%40%3A%2F%25%23@db.example.com:5432/postgres?a=b"),
    ("SUPABASE_DB_URL", "postgresql:///postgres?host=/tmp"),
    ("SUPABASE_DB_URL", "host=/tmp dbname=x password='a b'"),
    ("HOST", "::"),
    ("HOST", "localhost"),
    ("PORT", "0"),
    ("CORS_ORIGIN", "*"),
    ("CORS_ORIGIN", "capacitor://localhost,http://localhost:3000"),
    ("ZAPVISOR_WEBHOOK_PRIVATE_HOSTS", "crm.internal:8080, [::1]:3000"),
    ("ZAPVISOR_URL", "https://crm.example.com/zapvisor/"),
    ("ZAPVISOR_API_KEY", "an-operator's-chave-\u00e9"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_what_can_be_meant_is_taken(load, name, value):
    load(**{name: value})


@given(st.text(max_size=40))
def test_cleaning_is_done_once(value):
    once = cleaned(value)
    assert cleaned(once) == once
    assert once in value


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_a_key_is_left_as_it_is(value):
    if value[0] not in "\"'`" and value[-1] not in "\"'`":
        assert cleaned(value) == value
