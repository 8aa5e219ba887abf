"""Scrape configuration, rules, alerts, runbook and dashboard fit each other and the product."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from deploy.grafana.make_dashboards import DASHBOARDS, render
from runtime.metrics import METRICS

from . import monitoring
from .alert_cases import CASES, HEALTHY, promtool_input


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


def test_every_alert_fires_when_it_should_and_only_then(prometheus_tools, tmp_path):
    path = tmp_path / "rules.test.json"
    rules_file = str(monitoring.PROMETHEUS / "rules.yml")
    path.write_text(json.dumps(promtool_input(rules_file, monitoring.alerts())))

    assert {case.alert for case in CASES} == set(monitoring.alerts())
    run(prometheus_tools["promtool"], "test", "rules", str(path))


def test_a_healthy_zapvisor_tells_every_series_that_an_alert_looks_at():
    """Else an alert would stay silent for want of data."""
    told = {name.partition("{")[0] for name in HEALTHY}
    recorded_from = {
        name
        for rule in monitoring.rules()
        if "record" in rule
        for name in monitoring.metric_names(rule["expr"])
    }
    used = {
        name
        for rule in monitoring.alerts().values()
        for name in monitoring.metric_names(rule["expr"])
    }

    assert (used | recorded_from) - told - monitoring.recorded() == set()


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


def series(metric):
    """The names under which Prometheus knows a metric."""
    if metric.kind != "histogram":
        return {metric.exposed}
    return {f"{metric.exposed}_{part}" for part in ("bucket", "sum", "count")}


def test_every_metric_of_rules_and_dashboards_is_in_the_table():
    exposed = {name for metric in METRICS.values() for name in series(metric)}
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


def test_every_metric_is_on_a_dashboard():
    shown = {
        name
        for _, expression in monitoring.queries()
        for name in monitoring.metric_names(expression)
    }
    # What is shown by a recorded series counts as shown.
    for rule in monitoring.rules():
        if rule.get("record") in shown:
            shown |= monitoring.metric_names(rule["expr"])

    assert [metric.exposed for metric in METRICS.values() if not shown & series(metric)] == []


def test_dashboard_and_provisioning_fit_compose():
    mounts = monitoring.load(monitoring.ROOT / "deploy" / "compose.yaml")["services"]
    (source,) = monitoring.load(
        monitoring.GRAFANA / "provisioning" / "datasources" / "prometheus.yml"
    )["datasources"]
    (provider,) = monitoring.load(
        monitoring.GRAFANA / "provisioning" / "dashboards" / "zapvisor.yml"
    )["providers"]

    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts["grafana"]["volumes"]
    assert source["url"] == "http://prometheus:9090"
    for dashboard in monitoring.dashboards():
        assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
        identifiers = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(identifiers)) == len(identifiers) > 0


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_dashboards_are_made_from_their_code(dashboard):
    written = monitoring.GRAFANA / "dashboards" / f"{dashboard.uid}.json"

    assert written.read_text() == render(dashboard), "run: deploy/grafana/make_dashboards.py"
    assert len(monitoring.dashboards()) == len(DASHBOARDS)
