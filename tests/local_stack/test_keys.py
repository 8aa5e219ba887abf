"""Secrets and tokens."""

from __future__ import annotations

import stat
import uuid
from pathlib import Path

import jwt
import pytest

from runtime.local_stack import keys


def test_they_are_made_once(tmp_path: Path) -> None:
    first = keys.load_or_create(tmp_path)
    assert keys.load_or_create(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    other = tmp_path / "other"
    other.mkdir()
    assert keys.load_or_create(other).jwt_secret != first.jwt_secret


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{}")
    with pytest.raises(ValueError, match=r"secrets\.json is damaged"):
        keys.load_or_create(tmp_path)


def test_tokens_carry_role_and_owner(tmp_path: Path) -> None:
    made = keys.load_or_create(tmp_path)
    owner = uuid.uuid4()

    def claims(token: str) -> dict[str, object]:
        return jwt.decode(token, made.jwt_secret, ["HS256"], audience="authenticated",
                          options={"verify_aud": False})  # fmt: skip

    assert claims(made.anon_key)["role"] == "anon"
    assert claims(made.service_role_key)["role"] == "service_role"
    user = claims(made.user_token(owner))
    assert (user["role"], user["sub"], user["aud"]) == (
        "authenticated",
        str(owner),
        "authenticated",
    )


def test_they_do_not_show_themselves(tmp_path: Path) -> None:
    made = keys.load_or_create(tmp_path)
    assert made.jwt_secret not in repr(made)
