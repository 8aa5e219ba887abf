"""The Node parts of an installed wheel: installed once into the data directory, whole or not."""

import os
import stat
from pathlib import Path

import pytest

from runtime import node_parts
from runtime.node_parts import NodePartsError, prepare

LOCK = '{"packages": {"node_modules/baileys": {"version": "1.2.3"}}}'


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a wheel carries, in small."""
    parts = tmp_path / "site-packages" / "runtime" / "_parts"
    for name in ("bridge", "simulator"):
        (parts / name).mkdir(parents=True)
        (parts / name / "package.json").write_text("{}")
    (parts / "package-lock.json").write_text(LOCK)
    monkeypatch.setattr(node_parts, "locate_sources", lambda: parts)
    return parts


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for npm: notes each call in a file, and makes ``node_modules``."""
    program = tmp_path / "npm"
    calls = tmp_path / "calls"
    program.write_text(f'#!/bin/sh\necho "$@" >>"{calls}"\nmkdir node_modules\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(node_parts, "npm_command", lambda: [str(program)])
    return calls


def test_the_first_call_installs_and_the_second_does_not(tmp_path, sources, npm):
    lines: list[str] = []

    first = prepare(tmp_path / "data", lines.append)
    second = prepare(tmp_path / "data", lines.append)

    assert first == second
    assert npm.read_text().splitlines() == ["ci --omit=dev --update-notifier=false"]
    assert first.bridge.parent.parent == tmp_path / "data" / "node-parts"
    assert (first.bridge / "package.json").is_file()
    assert first.node_modules.is_dir()
    assert len(lines) == 2


def test_other_sources_get_another_place_and_the_old_one_goes(tmp_path, sources, npm):
    old = prepare(tmp_path / "data")
    (sources / "bridge" / "package.json").write_text('{"version": "2"}')

    new = prepare(tmp_path / "data")

    assert new.bridge != old.bridge
    assert new.bridge.is_dir()
    assert not old.bridge.exists()


def test_a_failed_installation_leaves_nothing_that_looks_installed(tmp_path, sources, monkeypatch):
    monkeypatch.setattr(node_parts, "npm_command", lambda: ["sh", "-c", "echo no network; exit 1"])

    with pytest.raises(NodePartsError, match="no network"):
        prepare(tmp_path / "data")
    with pytest.raises(NodePartsError, match="no network"):
        prepare(tmp_path / "data")


def test_what_an_interrupted_installation_left_is_in_nobodys_way(tmp_path, sources, npm):
    left = tmp_path / "data" / "node-parts" / "installing"
    left.mkdir(parents=True)
    (left / "half").write_text("")

    parts = prepare(tmp_path / "data")

    assert parts.node_modules.is_dir()
    assert not left.exists()


def test_an_image_has_them_beside_the_package_and_writes_nothing(tmp_path, sources, npm):
    installed = node_parts.install_in_place()

    parts = prepare(tmp_path / "data")

    assert parts == installed
    assert parts.bridge.parent == sources
    assert npm.read_text().splitlines() == ["ci --omit=dev --update-notifier=false"]
    assert not (tmp_path / "data").exists()


def test_a_failed_installation_in_place_leaves_nothing_that_looks_installed(
    tmp_path, sources, monkeypatch
):
    failing = ["sh", "-c", "mkdir node_modules; echo no network; exit 1"]
    monkeypatch.setattr(node_parts, "npm_command", lambda: failing)

    with pytest.raises(NodePartsError, match="no network"):
        node_parts.install_in_place()

    assert node_parts.installed_parts(tmp_path / "data") is None


def test_a_checkout_is_left_to_zap():
    with pytest.raises(NodePartsError, match="zap"):
        node_parts.install_in_place()


def test_a_checkout_is_used_where_it_lies(tmp_path):
    parts = prepare(tmp_path)

    assert parts.node_modules.is_dir()
    assert parts.bridge == parts.node_modules.parent / "bridge"
    assert os.access(parts.node, os.X_OK)
    assert list(tmp_path.iterdir()) == []
