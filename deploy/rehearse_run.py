"""Run a rehearsed image as a container engine would, confined as our manifests ask for.

Usage, as root on Linux::

    python3 deploy/rehearse_run.py /var/tmp/image/image.json [/var/tmp/data]

The root file system is read-only, ``/tmp`` is small and in memory, the process is the image's user
without capabilities and cannot gain any, and tini is process 1. It is told to be ready, checked
with the image's own HEALTHCHECK, refused a second instance, stopped with SIGTERM, and timed.
The network is that of the machine; PORT and HOST are set to keep the API on the loopback.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

READY_SECONDS = 180.0
# terminationGracePeriodSeconds, stop_grace_period and TimeoutStopSec of the manifests.
GRACE_SECONDS = 240.0
# Handed to the container from this process: where Supabase is, or a simulator in place of WhatsApp.
PASSED = (
    *("SUPABASE_URL", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
    *("ZAPVISOR_API_KEY", "NODE_OPTIONS"),
)


class Container:
    """One run of the image on a data directory."""

    def __init__(self, image: dict[str, Any], data: Path, port: int) -> None:
        self._image = image
        self._data = data
        self._port = port
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        self._env = {
            **image["env"],
            "HOME": "/data",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "ZAPVISOR_LOCAL_SUPABASE_PORT": "0",
            **passed,
        }

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        uid, _, gid = self._image["user"].partition(":")
        root = shlex.quote(self._image["root"])
        inside = [
            *("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"),
            *("--inh-caps=-all", "--bounding-set=-all"),
            *("sh", "-c", f'cd {self._image["workdir"]} && exec "$@"', "sh", *command),
        ]
        script = f"""set -e
            mount --bind {root} {root}
            mount --bind {shlex.quote(str(self._data))} {root}{self._image["volume"]}
            mount -t tmpfs -o size=64m,mode=1777 tmpfs {root}/tmp
            mount -t proc proc {root}/proc
            mount --rbind /dev {root}/dev
            mount -o remount,bind,ro {root}
            exec chroot {root} {shlex.join(inside)}"""
        return subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script],
            env=self._env,
            stdin=subprocess.DEVNULL,
        )

    def up(self) -> subprocess.Popen[bytes]:
        return self.start([*self._image["entrypoint"], *self._image["cmd"]])

    def run(self, command: list[str]) -> int:
        process = self.start(command)
        try:
            return process.wait(60)
        finally:
            process.kill()

    def healthcheck(self) -> int:
        return self.run(self._image["healthcheck"])

    def wait_ready(self, process: subprocess.Popen[bytes]) -> float:
        began = time.monotonic()
        while time.monotonic() - began < READY_SECONDS:
            if process.poll() is not None:
                raise SystemExit(f"ended with {process.returncode} before it was ready")
            try:
                url = f"http://127.0.0.1:{self._port}/health/ready"
                with urllib.request.urlopen(url, timeout=5):
                    return time.monotonic() - began
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise SystemExit(f"not ready within {READY_SECONDS:.0f} s")


def stop(process: subprocess.Popen[bytes]) -> float:
    """SIGTERM to process 1 of the container, as ``docker stop`` does; seconds until it ended."""
    began = time.monotonic()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    process.wait(GRACE_SECONDS)
    return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    image = json.loads(Path(sys.argv[1]).read_text())
    data = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="zapvisor-data-"))
    data.mkdir(exist_ok=True)
    uid, _, gid = image["user"].partition(":")
    os.chown(data, int(uid), int(gid))
    data.chmod(0o700)
    container = Container(image, data, free_port())
    process = container.up()
    try:
        seconds = container.wait_ready(process)
        print(f"--- ready after {seconds:.1f} s", flush=True)
        checks = {
            "the image's HEALTHCHECK passes": container.healthcheck() == 0,
            "the code tree is read-only": container.run(["touch", "/opt/zapvisor/x"]) != 0,
            "a second instance on the volume is refused": Container(image, data, free_port()).run(
                [*image["entrypoint"], *image["cmd"]]
            )
            == 1,
        }
        seconds = stop(process)
        checks[f"SIGTERM ends it in order (within {seconds:.1f} s)"] = process.returncode == 0
    finally:
        process.kill()
    for check, passed in checks.items():
        print(f"--- {'ok' if passed else 'FAILED'}: {check}", flush=True)
    if not all(checks.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
