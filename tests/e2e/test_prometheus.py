"""A real Prometheus scrapes the product: the rules evaluate and every panel has data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.observability import monitoring
from tests.observability.conftest import prometheus_tools  # noqa: F401 - fixture

from .harness import Process, Product, free_port, until


@pytest.fixture
def prometheus(
    prometheus_tools: dict[str, str],  # noqa: F811
    shared_product: Product,
    tmp_path: Path,
) -> Iterator[httpx.Client]:
    """The shipped configuration, faster, on the product's port and without Alertmanager."""
    config = monitoring.load(monitoring.PROMETHEUS / "prometheus.yml")
    config["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), "1s")
    del config["alerting"]
    config["rule_files"] = [str(monitoring.PROMETHEUS / name) for name in config["rule_files"]]
    (scrape,) = (job for job in config["scrape_configs"] if job["job_name"] == "zapvisor")
    scrape["static_configs"] = [{"targets": [f"127.0.0.1:{shared_product.port}"]}]
    config["scrape_configs"] = [scrape]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    process = Process(
        [
            prometheus_tools["prometheus"],
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        env=dict(os.environ),
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            until(lambda: client.get("/-/ready").is_success, what="Prometheus is ready")
            yield client
    finally:
        process.stop()


def test_rules_evaluate_and_every_panel_has_data(prometheus, shared_product, open_shop, customer):
    shop = open_shop(shared_product, "observed")
    contact = customer()
    shared_product.send("observed", contact, "Bom dia")
    until(lambda: shop.texts(contact, "ATENDENTE"), what="the row of what was sent")

    def empty() -> list[str]:
        shared_product.data("GET", "/api/whatsapp-bootstrap/status")  # so that there is a rate
        without = []
        for title, expression in monitoring.queries():
            answer = prometheus.get(
                "/api/v1/query",
                params={"query": expression.replace("$__rate_interval", "1m")},
            ).json()
            assert answer["status"] == "success", (title, answer)
            # NaN is a sample too, and shows as nothing.
            if not any(series["value"][1] != "NaN" for series in answer["data"]["result"]):
                without.append(f"{title}: {expression}")
        return without

    missing: list[str] = []

    def complete() -> bool:
        missing[:] = empty()
        return not missing

    try:
        until(complete, seconds=40, what="data in every panel")
    except AssertionError as error:
        raise AssertionError(missing) from error

    def evaluated() -> bool:
        groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        assert [rule for rule in found if rule["health"] == "err"] == []
        return len(found) == len(monitoring.rules()) and all(
            rule["health"] == "ok" for rule in found
        )

    until(evaluated, what="every rule was evaluated")
