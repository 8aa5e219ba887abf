"""Scrape configuration, rules, alerts, runbook and dashboard fit each other and the product."""

from __future__ import annotations

import re
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from http_api.metrics import Metrics

from . import monitoring


def run(*command: str) -> None:
    done = subprocess.run(
        command,
        cwd=monitoring.PROMETHEUS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_agrees(prometheus_tools, command):
    run(prometheus_tools["promtool"], *command)


def test_amtool_agrees(prometheus_tools):
    run(
        prometheus_tools["amtool"],
        "check-config",
        str(monitoring.ALERTMANAGER / "alertmanager.yml"),
    )


def test_every_alert_is_proved_to_fire_and_to_stay_silent():
    fires, silent = set(), set()
    for test in monitoring.load(monitoring.PROMETHEUS / "rules.test.yml")["tests"]:
        for case in test["alert_rule_test"]:
            (fires if case["exp_alerts"] else silent).add(case["alertname"])

    assert fires == silent == set(monitoring.alerts())


def test_alerts_and_sections_of_the_runbook_are_the_same():
    text = monitoring.RUNBOOK.read_text(encoding="utf-8")
    titles = re.findall(r"^## (\w+)$", text, re.MULTILINE)
    sections = dict(zip(titles, re.split(r"^## \w+$", text, flags=re.MULTILINE)[1:], strict=True))

    assert titles == list(monitoring.alerts())
    for title, section in sections.items():
        parts = re.findall(r"^\*\*(.+?)\.\*\* \S", section, re.MULTILINE)
        assert parts == ["Meaning", "First look", "Action"], title


def test_every_alert_says_how_bad_it_is_and_where_to_read_on():
    for name, rule in monitoring.alerts().items():
        assert rule["labels"]["severity"] in {"warning", "critical"}, name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"


def test_what_alertmanager_keeps_back_exists():
    text = (monitoring.ALERTMANAGER / "alertmanager.yml").read_text(encoding="utf-8")

    assert set(re.findall(r"Zapvisor\w+", text)) <= set(monitoring.alerts())


class Told:
    """An application that tells every figure."""

    async def stats(self):
        return {
            "isInitialized": True,
            "supabaseConnected": True,
            "uptime": 1000,
            "queue": {
                "accepted": 1,
                "stored": 1,
                "pending": 0,
                "deadLetters": 0,
                "oldestPendingSeconds": 0.0,
                "drainRate": 0.0,
            },
            "media": {"pending": 0, "failed": 0},
            "webhooks": {"failing": 0, "disabled": 0},
            "sendSuccessRate": 1.0,
            "connections": [{"status": "connected"}],
            "supabase": {"p50Ms": 1.0, "p95Ms": 1.0, "p99Ms": 1.0},
            "tree": {"restarts": 0, "children": []},
        }


async def test_every_metric_of_rules_and_dashboard_is_exposed():
    metrics = Metrics()
    metrics.requests.labels("/status", "GET", "200").inc()
    metrics.seconds.labels("/status").observe(0.1)
    text, _ = await metrics.exposition(Told())
    exposed = {
        sample.name
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    used = {
        name
        for expression in [
            *(rule["expr"] for rule in monitoring.rules()),
            *(expression for _, expression in monitoring.queries()),
        ]
        for name in monitoring.metric_names(expression)
    }

    assert used - exposed - monitoring.recorded() == set()
    assert {name for name in used if ":" not in name}, "the expressions name no metric"


def test_dashboard_and_provisioning_fit_compose():
    mounts = monitoring.load(monitoring.ROOT / "deploy" / "compose.yaml")["services"]
    (source,) = monitoring.load(
        monitoring.GRAFANA / "provisioning" / "datasources" / "prometheus.yml"
    )["datasources"]
    (provider,) = monitoring.load(
        monitoring.GRAFANA / "provisioning" / "dashboards" / "zapvisor.yml"
    )["providers"]
    (dashboard,) = monitoring.dashboards()

    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts["grafana"]["volumes"]
    assert source["url"] == "http://prometheus:9090"
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    identifiers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identifiers)) == len(identifiers) > 0
