"""Prometheus and Alertmanager as Debian packages them, on a running product that has faults.

One long run: everything that can go wrong goes wrong, and is seen. Afterwards every metric of the
table must have moved, every panel of the dashboards must have had data, and the alerts must have
reached whoever Alertmanager tells.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from runtime.metrics import METRICS, PREFIX
from tests.observability import monitoring
from tests.observability.conftest import prometheus_tools  # noqa: F401 - fixture

from .harness import Process, Product, Shop, free_port, until
from .receiver import Receiver

API = "/api/whatsapp-integration"
BOOTSTRAP = "/api/whatsapp-bootstrap"
CONSTANT = {"build_info"}
ELSEWHERE = {
    "child_escalations": "tests/runtime/test_metrics.py",
    "messages_ignored": "tests/e2e/test_senders.py",
    "sends_expired": "tests/runtime/test_delivery.py",
    "supabase_rows_skipped": "tests/storage/test_rows.py",
}
"""What such a run does not bring about, and where it is shown to move."""
BY_CHANCE = {"child_loop_blocks", "child_messages_dropped"}
"""What moves if the machine is slow, or if a call waits in a mailbox at the instant in which its
owner ends; tests/runtime/test_metrics.py shows that they move."""
FIRED = {
    *("ZapvisorConnectionError", "ZapvisorDeadLetters", "ZapvisorDecryptFailures"),
    *("ZapvisorDown", "ZapvisorNotRunning", "ZapvisorSendsFailing", "ZapvisorStubsUnfilled"),
    *("ZapvisorSupabaseDown", "ZapvisorWebhooksFailing"),
}
NEVER = {
    *("ZapvisorAccountsDiffer", "ZapvisorPartParked", "ZapvisorSendsExpired"),
    *("ZapvisorStatisticsMissing", "ZapvisorMemoryHigh", "ZapvisorMediaFailing"),
}


class Watch:
    """Reads /metrics again and again, and keeps which values each metric had."""

    def __init__(self, product: Product) -> None:
        self._client = httpx.Client(base_url=product.client.base_url, timeout=10)
        self._stop = threading.Event()
        self.now: dict[str, float] = {}
        self.values: defaultdict[str, set[float | None]] = defaultdict(set)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.3):
            with contextlib.suppress(httpx.TransportError):
                self._look(self._client.get("/metrics").text)

    def _look(self, text: str) -> None:
        seen: defaultdict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if not sample.name.endswith(("_bucket", "_created")):
                    seen[sample.name] += sample.value
        for metric in METRICS.values():
            name = metric.exposed + ("_count" if metric.kind == "histogram" else "")
            self.values[metric.name].add(seen.get(name))
        self.now = dict(seen)

    def value(self, name: str) -> float:
        return self.now.get(PREFIX + name, math.nan)

    def has_moved(self, name: str) -> bool:
        return len(self.values[name]) > 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join(15)
        self._client.close()


class Monitoring:
    """Prometheus and Alertmanager with the shipped configuration, in a hurry."""

    def __init__(self, tools: dict[str, str], product: Product, directory: Path) -> None:
        self.told = Receiver()
        self.began = time.time()
        port, alerts_port = free_port(), free_port()
        self._processes = [
            _run(
                [
                    tools["prometheus-alertmanager"],
                    f"--config.file={_alertmanager(directory, self.told.url)}",
                    f"--storage.path={directory / 'alertmanager'}",
                    f"--web.listen-address=127.0.0.1:{alerts_port}",
                    "--cluster.listen-address=",
                ]
            ),
            _run(
                [
                    tools["prometheus"],
                    f"--config.file={_prometheus(directory, product.port, alerts_port)}",
                    f"--storage.tsdb.path={directory / 'prometheus'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ]
            ),
        ]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        for each in (port, alerts_port):
            url = f"http://127.0.0.1:{each}/-/ready"
            until(lambda url=url: httpx.get(url).is_success, what=f"{url} answers")

    def alerts(self, status: str) -> set[str]:
        """The names of those that Alertmanager told with this status."""
        return {
            alert["labels"]["alertname"]
            for body in self.told.bodies()
            for alert in body["alerts"]
            if alert["status"] == status
        }

    def has_data(self, expression: str) -> bool:
        """Whether it had a value at some time of the run."""
        answer = self.client.get(
            "/api/v1/query_range",
            params={
                "query": expression.replace("$__rate_interval", "15s"),
                "start": self.began,
                "end": time.time(),
                "step": 1,
            },
        ).json()
        assert answer["status"] == "success", (expression, answer)
        return any(
            value != "NaN" for series in answer["data"]["result"] for _, value in series["values"]
        )

    def rules(self) -> list[dict[str, Any]]:
        groups = self.client.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def close(self) -> None:
        self.client.close()
        for process in self._processes:
            process.stop()
        self.told.close()


def _run(command: list[str]) -> Process:
    return Process(command, env=dict(os.environ))


def _prometheus(directory: Path, port: int, alerts_port: int) -> Path:
    config = monitoring.load(monitoring.PROMETHEUS / "prometheus.yml")
    config["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), "1s")
    (manager,) = config["alerting"]["alertmanagers"]
    manager["static_configs"] = [{"targets": [f"127.0.0.1:{alerts_port}"]}]
    (scrape,) = (job for job in config["scrape_configs"] if job["job_name"] == "zapvisor")
    scrape["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    config["scrape_configs"] = [scrape]
    rules = monitoring.load(monitoring.PROMETHEUS / "rules.yml")
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
        rule["for"] = "2s"
    (directory / "rules.yml").write_text(yaml.safe_dump(rules))
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def _alertmanager(directory: Path, url: str) -> Path:
    config = monitoring.load(monitoring.ALERTMANAGER / "alertmanager.yml")
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "0s", "group_interval": "1s"}
    for receiver in config["receivers"]:
        receiver["webhook_configs"] = [{"url": url}]
    path = directory / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def crm() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def product(directory, simulator, parts, crm) -> Iterator[Product]:
    product = Product(directory, simulator, parts)
    try:
        yield product.start(ZAPVISOR_WEBHOOK_PRIVATE_HOSTS=f"127.0.0.1:{crm.port}")
    finally:
        simulator.admin.delete("/faults")
        product.close()


@pytest.fixture
def watch(product) -> Iterator[Watch]:
    watch = Watch(product)
    yield watch
    watch.close()


@pytest.fixture
def observers(prometheus_tools, product, tmp_path) -> Iterator[Monitoring]:  # noqa: F811
    observers = Monitoring(prometheus_tools, product, tmp_path)
    yield observers
    observers.close()


class Run:
    """What happens, step by step; each waits until it can be seen."""

    def __init__(
        self, product: Product, simulator: Any, watch: Watch, shop: Shop, customer: str
    ) -> None:
        self.product, self.simulator, self.watch = product, simulator, watch
        self.shop, self.customer = shop, customer

    def see(self, name: str, least: float = 1) -> None:
        until(
            lambda: self.watch.value(name) >= least,
            seconds=30,
            what=f"{name} reaches {least}",
        )

    def write(self, **message: Any) -> None:
        self.simulator.post(f"/contacts/{self.customer}/send", to=self.shop.number, **message)

    def fault(self, kind: str, **fields: Any) -> None:
        self.simulator.post("/faults", kind=kind, phone=self.shop.number, **fields)

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.product.stack.dsn, autocommit=True) as database:
            database.execute(statement)

    def rename(self, old: str, new: str) -> None:
        for name in ("schema_version", "ingest"):
            self.sql(f"alter function {old.format(name)} rename to {new.format(name)}")
        self.sql("notify pgrst, 'reload schema'")

    def an_ordinary_day(self) -> None:
        self.product.send(self.shop.name, self.customer, "Bom dia")
        self.write(text="Bom dia!")
        self.see("message_latency_seconds_count")
        self.see("sends_total")

    def a_webhook_that_fails(self, crm: Receiver) -> None:
        crm.failing = True
        self.product.data("POST", f"{API}/webhooks", json={"url": crm.url})

    def a_number_that_nobody_pairs(self) -> None:
        body = {"connectionId": "nova", "name": "Nova", "ownerId": str(self.shop.owner)}
        self.product.data("POST", f"{API}/connections", json=body)
        self.product.send("nova", self.customer, "espera")
        self.see("connection_qr_seconds", 0)
        self.see("outbox_oldest_seconds")

    def a_file_that_comes_late(self) -> None:
        self.simulator.post("/faults", kind="media-status", code=503)
        self.write(media={"kind": "image", "mimetype": "image/png", "size": 5000})
        self.see("media_jobs")
        self.see("media_oldest_seconds", 0.1)
        self.simulator.admin.delete("/faults")

    def messages_that_stay_unreadable(self) -> None:
        self.fault("undecryptable")
        self.write(texts=[f"ilegível {number}" for number in range(8)])
        self.see("unfilled_stubs", 8)
        self.see("decrypt_failures_total", 12)
        self.simulator.admin.delete("/faults")

    def sends_that_are_refused(self) -> None:
        self.fault("reject-sends", times=2)
        before = self.watch.value("sends_total")
        for text in ("um", "dois"):
            body = {"connectionId": self.shop.name, "to": self.customer, "content": text}
            answer = self.product.call("POST", f"{API}/messages/send", json=body)
            assert answer.status_code == 422, answer.text
        self.see("sends_total", before + 2)

    def a_row_that_is_refused(self) -> None:
        self.sql(
            "alter table whatsapp_mensagens add constraint no_swearing"
            " check (conteudo <> 'palavrão')"
        )
        self.write(text="palavrão")
        self.see("journal_dead_letters")

    def supabase_unusable(self, observers: Monitoring) -> None:
        self.rename("zapvisor_{}", "zapvisor_{}_away")
        until(lambda: self.watch.value("supabase_up") == 0, seconds=30, what="Supabase is missed")
        self.write(text="espera também")
        self.see("journal_pending")
        self.see("journal_oldest_pending_seconds")
        fired(observers, "ZapvisorSupabaseDown")
        self.rename("zapvisor_{}_away", "zapvisor_{}")
        until(
            lambda: "ZapvisorSupabaseDown" in observers.alerts("resolved"),
            seconds=60,
            what="the alert is taken back",
        )

    def a_bridge_that_is_killed(self) -> None:
        (bridge,) = self.product.pids("node")
        os.kill(bridge, signal.SIGKILL)
        self.see("child_restarts_total")
        self.shop.wait_connected()

    def a_tree_that_is_stopped(self, observers: Monitoring) -> None:
        self.product.data("POST", f"{BOOTSTRAP}/shutdown")
        until(lambda: self.watch.value("initialized") == 0, what="the tree is down")
        until(lambda: self.watch.value("journal_available") == 0, what="the journal is closed")
        fired(observers, "ZapvisorNotRunning")
        self.product.data("POST", f"{BOOTSTRAP}/initialize")


def fired(observers: Monitoring, *names: str) -> None:
    until(
        lambda: set(names) <= observers.alerts("firing"),
        seconds=60,
        what=f"Alertmanager tells of {names}",
    )


@pytest.mark.timeout(400)
def test_what_goes_wrong_is_seen(observers, watch, product, crm, simulator, open_shop, customer):
    shop, away = open_shop(product, "loja"), open_shop(product, "ausente")
    run = Run(product, simulator, watch, shop, customer())
    run.an_ordinary_day()
    run.a_webhook_that_fails(crm)
    run.a_number_that_nobody_pairs()
    run.a_file_that_comes_late()
    run.messages_that_stay_unreadable()
    run.sends_that_are_refused()
    simulator.post(f"/phones/{away.number}/logout")
    run.see("children_parked")
    run.a_row_that_is_refused()
    run.supabase_unusable(observers)
    fired(observers, *(FIRED - {"ZapvisorDown", "ZapvisorNotRunning"}))
    product.data("POST", f"{API}/queue/clear")
    run.see("journal_archived")
    # Asked 45 s after the last change of an open connection.
    until(lambda: watch.has_moved("connection_probe_seconds"), seconds=70, what="a round trip")
    run.a_bridge_that_is_killed()
    run.a_tree_that_is_stopped(observers)

    unmoved = {name for name in METRICS if not watch.has_moved(name)}
    assert unmoved - BY_CHANCE == CONSTANT | ELSEWHERE.keys()
    assert watch.value("build_info") == 1
    rules = observers.rules()
    assert {rule["name"] for rule in rules} == {
        rule.get("alert") or rule["record"] for rule in monitoring.rules()
    }
    assert [rule for rule in rules if rule["health"] != "ok"] == []
    without = [title for title, query in monitoring.queries() if not observers.has_data(query)]
    assert without == []

    assert product.stop() == 0
    fired(observers, "ZapvisorDown")
    assert observers.alerts("firing") & NEVER == set()
