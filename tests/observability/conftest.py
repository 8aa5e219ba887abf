"""Prometheus' own tools, as Debian packages them."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
}
INSTALL_SECONDS = 150


@pytest.fixture(scope="session")
def prometheus_tools() -> dict[str, str]:
    """The path of each program, after installing what is missing."""
    missing = sorted({package for name, package in PACKAGES.items() if shutil.which(name) is None})
    if missing:
        advice = f"install them first: apt-get install {' '.join(missing)}"
        assert os.geteuid() == 0, advice
        assert shutil.which("apt-get"), advice
        for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            subprocess.run(
                ["apt-get", "-qq", *command],
                check=True,
                timeout=INSTALL_SECONDS,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
    paths = {name: shutil.which(name) for name in PACKAGES}
    assert all(paths.values()), f"not on PATH after the installation: {paths}"
    return {name: path for name, path in paths.items() if path is not None}
