"""What the Node process inherits: everything, except the runtime's own secrets."""

from __future__ import annotations

from pathlib import Path

from runtime.node_parts import NodeParts
from runtime.redaction import SECRET_VARIABLES
from runtime.whatsapp.bridge import Bridge

HERE = Path(__file__).parent
PARTS = NodeParts(node=HERE, bridge=HERE, simulator=HERE, node_modules=HERE, migrations=HERE)


def test_the_bridge_inherits_the_environment_without_the_secrets(monkeypatch, tmp_path):
    for name in SECRET_VARIABLES:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("NODE_OPTIONS", "--import file:///preload.js")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", "/ca.pem")
    monkeypatch.setenv("WHAT_A_PRELOAD_NEEDS", "1")
    environment = Bridge(PARTS, tmp_path, tmp_path / "media")._environment()
    assert environment["NODE_OPTIONS"] == "--import file:///preload.js"
    assert environment["NODE_EXTRA_CA_CERTS"] == "/ca.pem"
    assert environment["WHAT_A_PRELOAD_NEEDS"] == "1"
    assert environment["ZAPVISOR_BRIDGE_DATA"] == str(tmp_path)
    assert not SECRET_VARIABLES & environment.keys()
    assert "secret" not in environment.values()
