"""The ways to deploy say the same: one user, one grace period, one volume, no more."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.rehearse_image import Ignored, instructions

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UID = 10001
# Stopping takes at most the sum of the deadlines of the parts that stop one after the other.
GRACE_SECONDS = 240


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    return list(instructions((DEPLOY / "Dockerfile").read_text()))


def manifests() -> list[dict[str, Any]]:
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    return [
        manifest
        for name in kustomization["resources"]
        for manifest in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())
    ]


def pod() -> dict[str, Any]:
    (stateful,) = [each for each in manifests() if each["kind"] == "StatefulSet"]
    return stateful["spec"]["template"]["spec"]


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def unit(name: str) -> str:
    text = (DEPLOY / "systemd" / "zapvisor.service").read_text()
    return re.search(rf"^{name}=(.*)$", text, re.MULTILINE)[1]


def test_the_image_runs_as_nobody_in_particular_with_tini_as_process_1(dockerfile):
    said = dict(dockerfile)

    assert said["USER"] == f"{UID}:{UID}"
    assert said["ENTRYPOINT"] == '["tini", "--", "zapvisor"]'
    assert said["VOLUME"] == said["WORKDIR"] == "/data"
    assert "/health/live" in said["HEALTHCHECK"]


def test_the_image_installs_only_what_is_hashed(dockerfile):
    runs = " ".join(arguments for name, arguments in dockerfile if name == "RUN")
    installs = re.findall(r"(?:pip install|pip sync) [^&]*", runs)

    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install, install


@pytest.mark.parametrize(
    ("path", "kept_out"),
    [
        *((name, True) for name in (".git", ".env.supabase", "data", "logs", "node_modules")),
        *((name, True) for name in ("bridge/node_modules", "runtime/__pycache__", "bridge/test")),
        *((name, True) for name in ("requirements/lock", "tests/deploy/journals.py")),
        *((name, False) for name in ("bridge/src/main.ts", "runtime/app.py", ".npmrc")),
        *((name, False) for name in ("requirements/runtime.lock", "supervisors/testing")),
    ],
)
def test_only_what_the_product_needs_reaches_the_build(path, kept_out):
    assert Ignored((ROOT / ".dockerignore").read_text())(path) is kept_out


def test_everything_that_the_dockerfile_copies_reaches_the_build(dockerfile):
    ignored = Ignored((ROOT / ".dockerignore").read_text())
    copied = [
        source
        for name, arguments in dockerfile
        if name == "COPY" and not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    ]

    assert len(copied) > 5
    assert [source for source in copied if ignored(source) or not (ROOT / source).exists()] == []


def test_all_give_the_same_time_to_stop():
    services = compose()["services"]

    assert pod()["terminationGracePeriodSeconds"] == GRACE_SECONDS
    assert unit("TimeoutStopSec") == f"{GRACE_SECONDS}s"
    for name in ("product", "product-local"):
        assert services[name]["stop_grace_period"] == f"{GRACE_SECONDS}s"


def test_kubernetes_confines_the_pod():
    (container,) = pod()["containers"]

    assert pod()["securityContext"]["runAsUser"] == UID
    assert pod()["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/data", "/tmp"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["envFrom"] == [{"secretRef": {"name": "zapvisor"}}]


def test_kubernetes_has_one_pod_for_a_volume_and_every_part_selects_it():
    kinds = {}
    for manifest in manifests():
        kinds.setdefault(manifest["kind"], []).append(manifest.get("spec", {}))
    labels = {"app.kubernetes.io/name": "zapvisor"}
    (stateful,) = kinds["StatefulSet"]

    assert stateful["replicas"] == 1
    assert stateful["template"]["metadata"]["labels"] == labels
    assert kinds["PodDisruptionBudget"][0]["selector"]["matchLabels"] == labels
    assert kinds["NetworkPolicy"][0]["podSelector"]["matchLabels"] == labels
    assert kinds["ServiceMonitor"][0]["selector"]["matchLabels"] == labels
    assert [service["selector"] for service in kinds["Service"]] == [labels, labels]


def test_compose_confines_the_product_and_publishes_on_the_loopback_only():
    services = compose()["services"]

    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
    for name in ("product", "product-local"):
        assert services[name]["user"] == f"{UID}:{UID}"
        assert services[name]["volumes"] == ["data:/data"]


def test_systemd_watches_and_confines_the_product():
    assert unit("Type") == "notify"
    assert unit("WatchdogSec") == "30s"
    assert unit("ProtectSystem") == "strict"
    assert unit("NoNewPrivileges") == "yes"
    assert unit("CapabilityBoundingSet") == ""
    assert unit("User") == "zapvisor"


def test_no_manifest_holds_a_secret():
    lines = "\n".join(path.read_text() for path in DEPLOY.rglob("*.yaml")).splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    secrets = re.findall(r"(?:KEY|PASSWORD|SECRET)\w*: *(.+)", text)

    assert secrets
    assert [value for value in secrets if not re.match(r"replace-me|\$\{\w+:-\}", value)] == []
