"""Build the image without a container engine: every step of the Dockerfile, in a Debian root.

Usage, as root on Linux, with ``debootstrap`` installed::

    debootstrap --variant=minbase bookworm /var/tmp/bookworm
    python3 deploy/rehearse_image.py /var/tmp/bookworm /var/tmp/image

The second directory then holds the root file system of the last stage, and ``image.json`` beside
it what the Dockerfile says of running it. Understood is what our Dockerfile uses; anything else is
an error, so that the rehearsal cannot skip a step. ``NODE_EXTRA_CA_CERTS`` and the like, which a
machine needs to reach the registries, are handed to the steps, as is its certificate bundle.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
# What a build gets from the machine besides the Dockerfile's own ENV.
PASSED = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "PIP_CERT", "HTTP_PROXY", "HTTPS_PROXY")
PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STEP_SECONDS = 900


@dataclass
class Stage:
    """One FROM: its root file system and what the instructions so far made of it."""

    root: Path
    workdir: str = "/"
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PLAIN_PATH})
    config: dict[str, object] = field(default_factory=dict)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction of a Dockerfile with its arguments, continuation lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for logical in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if logical.strip():
            name, _, arguments = logical.strip().partition(" ")
            yield name.upper(), arguments.strip()


class Ignored:
    """``.dockerignore``: the last pattern that matches a path, or a directory above it, decides."""

    def __init__(self, text: str) -> None:
        self._rules = [
            (not line.startswith("!"), self._expression(line.lstrip("!").strip("/")))
            for line in text.splitlines()
            if line.strip() and not line.startswith("#")
        ]

    @staticmethod
    def _expression(pattern: str) -> re.Pattern[str]:
        parts = re.split(r"(\*\*/|\*)", pattern)
        known = {"**/": "(?:.*/)?", "*": "[^/]*"}
        return re.compile("".join(known.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")

    def __call__(self, path: str) -> bool:
        ignored = False
        for ignores, expression in self._rules:
            if expression.fullmatch(path):
                ignored = ignores
        return ignored


class Rehearsal:
    """Runs a Dockerfile; ``stages`` by name and number."""

    def __init__(self, base: Path, work: Path) -> None:
        self._base = base
        self._work = work
        self._ignored = Ignored((REPOSITORY / ".dockerignore").read_text())
        self._stages: list[tuple[str, Stage]] = []

    def run(self, dockerfile: Path) -> Stage:
        for name, arguments in instructions(dockerfile.read_text()):
            print(f"--- {name} {arguments[:100]}", flush=True)
            getattr(self, f"_{name.lower()}")(arguments)
        return self._stage

    @property
    def _stage(self) -> Stage:
        return self._stages[-1][1]

    def _arg(self, arguments: str) -> None:
        if not arguments.startswith("DEBIAN="):
            raise SystemExit(f"unknown build argument: {arguments}")

    def _from(self, arguments: str) -> None:
        match = re.fullmatch(r"\$\{DEBIAN\}(?: AS (\w+))?", arguments)
        if match is None:
            raise SystemExit(f"not our base: {arguments}")
        root = self._work / f"stage-{len(self._stages)}"
        subprocess.run(["cp", "-a", "--reflink=auto", self._base, root], check=True)
        self._stages.append((match[1] or "", Stage(root)))

    def _run(self, arguments: str) -> None:
        stage = self._stage
        # The machine's certificates, for the time of the step; the image brings its own.
        certificates = stage.root / CERTIFICATES
        original = certificates.read_bytes() if certificates.exists() else None
        certificates.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/" / CERTIFICATES, certificates)
        shutil.copy("/etc/resolv.conf", stage.root / "etc" / "resolv.conf")
        script = f"set -e; cd {shlex.quote(stage.workdir)}; {arguments}"
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        try:
            subprocess.run(
                [
                    *("unshare", "--mount", "--pid", "--fork"),
                    *(f"--root={stage.root}", "--mount-proc", "/bin/sh", "-c", script),
                ],
                env={**passed, **stage.env, "HOME": "/root"},
                timeout=STEP_SECONDS,
                check=True,
            )
        finally:
            if original is not None:
                certificates.write_bytes(original)

    def _copy(self, arguments: str) -> None:
        words = arguments.split()
        stage = self._stage
        if words[0].startswith("--from="):
            source = dict(self._stages)[words[0].removeprefix("--from=")].root
            from_path, to_path = words[1:]
            target = stage.root / to_path.lstrip("/")
            subprocess.run(["cp", "-a", source / from_path.lstrip("/"), target], check=True)
            return
        *sources, destination = words
        target = stage.root / stage.workdir.lstrip("/") / destination
        for name in sources:
            path = REPOSITORY / name
            if path.is_dir():
                shutil.copytree(path, target, ignore=self._ignore)
            elif self._ignored(name):
                raise SystemExit(f".dockerignore keeps {name} out")
            else:
                into = target / path.name if len(sources) > 1 or destination == "./" else target
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)

    def _ignore(self, directory: str, names: list[str]) -> list[str]:
        here = Path(directory).relative_to(REPOSITORY)
        return [name for name in names if self._ignored((here / name).as_posix())]

    def _workdir(self, arguments: str) -> None:
        self._stage.workdir = arguments
        (self._stage.root / arguments.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _env(self, arguments: str) -> None:
        self._stage.env |= dict(word.split("=", 1) for word in shlex.split(arguments))

    def _note(self, name: str, arguments: str) -> None:
        value = json.loads(arguments) if arguments.startswith("[") else arguments
        self._stage.config[name] = value

    def _user(self, arguments: str) -> None:
        self._note("user", arguments)

    def _entrypoint(self, arguments: str) -> None:
        self._note("entrypoint", arguments)

    def _cmd(self, arguments: str) -> None:
        self._note("cmd", arguments)

    def _volume(self, arguments: str) -> None:
        self._note("volume", arguments)

    def _expose(self, arguments: str) -> None:
        self._note("expose", arguments)

    def _healthcheck(self, arguments: str) -> None:
        self._note("healthcheck", arguments.partition("CMD ")[2])


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit("usage: rehearse_image.py <debootstrap root> <new directory>")
    base, work = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    work.mkdir(parents=True)
    stage = Rehearsal(base, work).run(HERE / "Dockerfile")
    image = {"root": str(stage.root), "workdir": stage.workdir, "env": stage.env, **stage.config}
    (work / "image.json").write_text(json.dumps(image, indent=2) + "\n")
    size = subprocess.run(
        ["du", "-sxm", stage.root], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    print(f"--- built: {work / 'image.json'}, {size} MB unpacked", flush=True)


if __name__ == "__main__":
    main()
