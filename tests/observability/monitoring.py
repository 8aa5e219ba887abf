"""What ``deploy/`` says about monitoring, read for the tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager"
GRAFANA = ROOT / "deploy" / "grafana"
RUNBOOK = ROOT / "docs" / "runbook.md"

# Strings of an expression are no names: job="zapvisor".
_STRING = re.compile(r'"[^"]*"')
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    groups = load(PROMETHEUS / "rules.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(GRAFANA.glob("dashboards/*.json"))]


def queries() -> list[tuple[str, str]]:
    """(panel's title, expression) of every dashboard."""
    return [
        (panel["title"], target["expr"])
        for dashboard in dashboards()
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def metric_names(expression: str) -> set[str]:
    """zapvisor's metrics and recorded series in a PromQL expression."""
    return {name for name in _NAME.findall(_STRING.sub("", expression)) if "zapvisor_" in name}
