"""When each alert fires and when it does not, as input of ``promtool test rules``.

A series is written ``name{labels}``; job and instance are added. Values are one a minute, in
promtool's notation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HERE = {"job": "zapvisor", "instance": "z:3001"}
HEALTHY_MINUTES = 180
LOOKED_AT = ("5m", "1h2m", "1h10m", "2h5m", "2h55m")

_STATUS = 'zapvisor_http_requests_total{route="/status", method="GET"'
_LAG = "zapvisor_event_loop_lag_seconds_bucket"
_HTTP = "zapvisor_http_request_seconds_bucket"

HEALTHY = {
    "up": "1x180",
    "zapvisor_uptime_seconds": "0+60x180",
    "zapvisor_initialized": "1x180",
    'zapvisor_child_restarts_total{child="core/whatsapp/bridge"}': "0x60 1x60 3x60",
    'zapvisor_child_escalations_total{child="core/storage"}': "0x180",
    'zapvisor_children_parked{child="core/journal"}': "0x180",
    'zapvisor_children_parked{child="core/whatsapp/connections/*"}': "1x180",
    f'{_LAG}{{process="runtime", le="0.005"}}': "0+50x180",
    f'{_LAG}{{process="runtime", le="0.1"}}': "0+60x180",
    f'{_LAG}{{process="runtime", le="+Inf"}}': "0+60x180",
    'zapvisor_memory_bytes{process="runtime"}': "200000000x180",
    'zapvisor_memory_bytes{process="bridge"}': "900000000x180",
    "zapvisor_journal_available": "1x180",
    "zapvisor_journal_accepted_total": "10+10x180",
    "zapvisor_journal_stored_total": "3+10x180",
    "zapvisor_journal_pending": "5x180",
    "zapvisor_journal_dead_letters": "0x180",
    "zapvisor_journal_archived": "2x180",
    "zapvisor_journal_oldest_pending_seconds": "0x60 60 120 0x120",
    'zapvisor_journal_commit_seconds_bucket{le="0.01"}': "0+100x180",
    'zapvisor_journal_commit_seconds_bucket{le="+Inf"}': "0+100x180",
    "zapvisor_supabase_up": "1x60 0 1x120",
    'zapvisor_supabase_errors_total{class="network"}': "0+1x180",
    "zapvisor_supabase_response_seconds_count": "0+100x180",
    'zapvisor_supabase_response_seconds_bucket{le="0.5"}': "0+97x180",
    'zapvisor_supabase_response_seconds_bucket{le="10.0"}': "0+100x180",
    'zapvisor_supabase_response_seconds_bucket{le="+Inf"}': "0+100x180",
    'zapvisor_message_latency_seconds_bucket{le="0.05"}': "0+97x180",
    'zapvisor_message_latency_seconds_bucket{le="+Inf"}': "0+100x180",
    'zapvisor_connections{status="connected"}': "2x180",
    'zapvisor_connections{status="disconnected"}': "1x180",
    'zapvisor_connections{status="connecting"}': "0x60 1x20 0x100",
    'zapvisor_connections{status="error"}': "0x180",
    'zapvisor_connection_last_frame_seconds{connection="loja"}': "25x180",
    'zapvisor_connection_probe_seconds{connection="loja"}': "0.2x180",
    'zapvisor_disconnects_total{code="428"}': "0x60 3x60 6x60",
    'zapvisor_disconnects_total{code="515"}': "0x60 20x120",
    "zapvisor_decrypt_failures_total": "0x60 2x120",
    "zapvisor_unfilled_stubs": "3x60 4x120",
    'zapvisor_sends_total{result="sent"}': "0+100x180",
    'zapvisor_sends_total{result="failed"}': "0+2x180",
    "zapvisor_sends_expired_total": "0x180",
    "zapvisor_outbox_oldest_seconds": "0x60 900 0x120",
    'zapvisor_media_files{state="pending"}': "20x180",
    'zapvisor_media_files{state="failed"}': "7x180",
    'zapvisor_webhooks{state="failing"}': "0x60 1x20 0x100",
    'zapvisor_webhooks{state="disabled"}': "1x180",
    "zapvisor_webhook_oldest_seconds": "0x60 600 0x120",
    f'{_STATUS}, status="200"}}': "0+100x180",
    f'{_STATUS}, status="503"}}': "0+1x180",
    f'{_HTTP}{{route="/status", le="0.5"}}': "0+100x180",
    f'{_HTTP}{{route="/status", le="+Inf"}}': "0+100x180",
    f'{_HTTP}{{route="/api/events", le="0.5"}}': "0x180",
    f'{_HTTP}{{route="/api/events", le="+Inf"}}': "0+500x180",
}


@dataclass(frozen=True)
class Case:
    """Silent at ``silent``, firing at ``fires`` with ``summary`` (minutes) and further labels."""

    alert: str
    series: dict[str, str]
    silent: int
    fires: int
    summary: str
    labels: dict[str, str] = field(default_factory=dict)
    here: dict[str, str] = field(default_factory=lambda: HERE)


def _slow(name: str, labels: str = "") -> dict[str, str]:
    """All durations between 2.5 s and 5 s, a hundred a minute."""
    counts = {"2.5": "0x30", "5.0": "0+100x30", "+Inf": "0+100x30"}
    return {f'{name}_bucket{{{labels}le="{le}"}}': values for le, values in counts.items()}


CASES = [
    Case("ZapvisorDown", {"up": "1x5 0x10"}, 6, 8, "zapvisor does not answer Prometheus"),
    Case(
        "ZapvisorDown",
        {"zapvisor_of_another_job": "1x10"},
        0,
        2,
        "zapvisor does not answer Prometheus",
        here={"job": "zapvisor"},
    ),
    Case(
        "ZapvisorStatisticsMissing",
        {"up": "1x15", "zapvisor_uptime_seconds": "0 60 120 stale"},
        4,
        7,
        "zapvisor serves /metrics, but its runtime tells no statistics",
    ),
    Case(
        "ZapvisorNotRunning",
        {"zapvisor_initialized": "1x2 0x10"},
        7,
        9,
        "the supervised tree does not run, so no message is carried",
    ),
    Case(
        "ZapvisorProcessRestarting",
        {"zapvisor_uptime_seconds": "0+60x10 0+60x5 0+60x10"},
        12,
        20,
        "the process was started anew 2 times in 30 minutes",
    ),
    Case(
        "ZapvisorChildrenRestarting",
        {'zapvisor_child_restarts_total{child="core/media"}': "0x20 0+1x20"},
        22,
        36,
        "about 15 restarts of core/media in 15 minutes",
        {"child": "core/media"},
    ),
    Case(
        "ZapvisorSupervisorGaveUp",
        {'zapvisor_child_escalations_total{child="core/storage"}': "0x20 1x40"},
        19,
        25,
        "restarting did not help below core/storage, so that it was started anew as a whole",
        {"child": "core/storage"},
    ),
    Case(
        "ZapvisorPartParked",
        {'zapvisor_children_parked{child="core/journal"}': "0x5 1x10"},
        6,
        8,
        "core/journal is parked and waits for a person",
        {"child": "core/journal"},
    ),
    Case(
        "ZapvisorLoopLate",
        _slow("zapvisor_event_loop_lag_seconds", 'process="bridge", '),
        4,
        8,
        "the event loop of the bridge is late by up to 5.0 s",
        {"process": "bridge"},
    ),
    Case(
        "ZapvisorMemoryHigh",
        {'zapvisor_memory_bytes{process="bridge"}': "2147483648x20"},
        9,
        11,
        "the bridge uses 2GiB of memory",
        {"process": "bridge"},
    ),
    Case(
        "ZapvisorJournalUnavailable",
        {"zapvisor_journal_available": "1x2 0x10"},
        4,
        6,
        "the journal takes no new work",
    ),
    Case(
        "ZapvisorAccountsDiffer",
        {
            "zapvisor_journal_accepted_total": "10x20",
            "zapvisor_journal_stored_total": "5x10 4x10",
            "zapvisor_journal_dead_letters": "2x20",
            "zapvisor_journal_archived": "1x20",
            "zapvisor_journal_pending": "2x20",
        },
        10,
        12,
        "1 entries of the journal are unaccounted for",
    ),
    Case(
        "ZapvisorJournalSlow",
        _slow("zapvisor_journal_commit_seconds"),
        9,
        15,
        "one call of the journal in a hundred takes over 5.0 s",
    ),
    Case(
        "ZapvisorSupabaseDown",
        {"zapvisor_supabase_up": "1x2 0x10"},
        4,
        6,
        "Supabase does not answer; messages wait in the journal",
    ),
    Case(
        "ZapvisorSupabaseSlow",
        _slow("zapvisor_supabase_response_seconds"),
        9,
        15,
        "one call to Supabase in twenty takes over 4.9 s",
    ),
    Case(
        "ZapvisorSupabaseErrors",
        {
            'zapvisor_supabase_errors_total{class="busy"}': "0+20x30",
            'zapvisor_supabase_errors_total{class="data"}': "0+1x30",
            "zapvisor_supabase_response_seconds_count": "0+100x30",
        },
        9,
        15,
        "20% of the calls to Supabase fail: busy",
        {"class": "busy"},
    ),
    Case(
        "ZapvisorQueueOld",
        {"zapvisor_journal_oldest_pending_seconds": "0+60x20"},
        7,
        10,
        "the oldest message has waited for Supabase for 10m 0s",
    ),
    Case(
        "ZapvisorMessagesLate",
        {
            'zapvisor_message_latency_seconds_bucket{le="60.0"}': "0x30",
            'zapvisor_message_latency_seconds_bucket{le="300.0"}': "0+100x30",
            'zapvisor_message_latency_seconds_bucket{le="+Inf"}': "0+100x30",
        },
        9,
        15,
        "one message in twenty takes over 288 s to its table",
    ),
    Case(
        "ZapvisorDeadLetters",
        {"zapvisor_journal_dead_letters": "0 0 3x10"},
        2,
        4,
        "3 entries are refused by Supabase for good",
    ),
    Case(
        "ZapvisorConnectionError",
        {'zapvisor_connections{status="error"}': "0 0 1x10"},
        3,
        5,
        "1 WhatsApp connections have an error",
        {"status": "error"},
    ),
    Case(
        "ZapvisorConnectionStuck",
        {'zapvisor_connections{status="connecting"}': "2x40"},
        29,
        31,
        "2 WhatsApp connections have been connecting for 30 minutes",
        {"status": "connecting"},
    ),
    Case(
        "ZapvisorNoneConnected",
        {
            'zapvisor_connections{status="connected"}': "1 1 0x20",
            'zapvisor_connections{status="connecting"}': "1 1 2x20",
        },
        6,
        8,
        "none of 2 WhatsApp connections is connected",
    ),
    Case(
        "ZapvisorConnectionSilent",
        {'zapvisor_connection_last_frame_seconds{connection="loja"}': "0+60x10"},
        3,
        5,
        "nothing has come over loja for 5m 0s",
        {"connection": "loja"},
    ),
    Case(
        "ZapvisorProbeSlow",
        {'zapvisor_connection_probe_seconds{connection="loja"}': "0.1 8x10"},
        5,
        7,
        "WhatsApp takes 8.0 s to answer loja",
        {"connection": "loja"},
    ),
    Case(
        "ZapvisorDisconnecting",
        {
            'zapvisor_connections{status="connected"}': "2x60",
            'zapvisor_disconnects_total{code="428"}': "0x20 0+1x40",
        },
        22,
        50,
        "each WhatsApp connection ended about 14 times in 30 minutes",
    ),
    Case(
        "ZapvisorDecryptFailures",
        {"zapvisor_decrypt_failures_total": "0x20 0+1x40"},
        22,
        50,
        "about 29 messages could not be decrypted in 30 minutes",
    ),
    Case(
        "ZapvisorStubsUnfilled",
        {"zapvisor_unfilled_stubs": "0x60 0+1x60"},
        60,
        120,
        "about 59 messages of the last hour came without their content",
    ),
    Case(
        "ZapvisorSendsFailing",
        {
            'zapvisor_sends_total{result="sent"}': "0+90x60",
            'zapvisor_sends_total{result="failed"}': "0+10x60",
        },
        4,
        15,
        "WhatsApp did not take 10% of the messages sent in 30 minutes",
    ),
    Case(
        "ZapvisorSendsExpired",
        {"zapvisor_sends_expired_total": "0x60 3x60"},
        59,
        65,
        "about 3 messages were not sent within their time",
    ),
    Case(
        "ZapvisorOutboxOld",
        {"zapvisor_outbox_oldest_seconds": "0+60x60"},
        34,
        40,
        "a message has waited for WhatsApp for 40m 0s",
    ),
    Case(
        "ZapvisorMediaBacklog",
        {'zapvisor_media_files{state="pending"}': "150x40"},
        29,
        31,
        "150 files of messages wait to be fetched",
        {"state": "pending"},
    ),
    Case(
        "ZapvisorMediaFailing",
        {'zapvisor_media_files{state="failed"}': "0x60 0+1x60"},
        60,
        120,
        "about 59 files of messages were given up in an hour",
        {"state": "failed"},
    ),
    Case(
        "ZapvisorWebhooksFailing",
        {'zapvisor_webhooks{state="failing"}': "1x40"},
        29,
        31,
        "1 webhooks do not take their events",
        {"state": "failing"},
    ),
    Case(
        "ZapvisorWebhookDisabled",
        {'zapvisor_webhooks{state="disabled"}': "1x70 2x120"},
        69,
        75,
        "1 webhooks were disabled within an hour",
        {"state": "disabled"},
    ),
    Case(
        "ZapvisorWebhookBacklog",
        {"zapvisor_webhook_oldest_seconds": "0+60x90"},
        64,
        70,
        "an event has waited for its webhook for 1h 10m 0s",
    ),
    Case(
        "ZapvisorApiErrors",
        {f'{_STATUS}, status="200"}}': "0+80x20", f'{_STATUS}, status="500"}}': "0+20x20"},
        4,
        10,
        "20% of the API calls end with 5xx",
    ),
    Case(
        "ZapvisorApiSlow",
        _slow("zapvisor_http_request_seconds", 'route="/a", '),
        9,
        15,
        "one API call in twenty takes over 4.9 s",
    ),
]


def promtool_input(rules_file: str, alerts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """All of it as the file that promtool reads."""
    healthy = {
        "name": "a healthy zapvisor with small disturbances",
        "interval": "1m",
        "input_series": _input(HEALTHY),
        "alert_rule_test": [
            {"alertname": name, "eval_time": moment, "exp_alerts": []}
            for name in alerts
            for moment in LOOKED_AT
        ],
    }
    return {
        "rule_files": [rules_file],
        "evaluation_interval": "1m",
        "tests": [healthy, *(_test(case, alerts[case.alert]) for case in CASES)],
    }


def _test(case: Case, rule: dict[str, Any]) -> dict[str, Any]:
    expected = {
        "exp_labels": {**rule["labels"], **case.here, **case.labels},
        "exp_annotations": {
            "summary": case.summary,
            "runbook": rule["annotations"]["runbook"],
        },
    }
    return {
        "name": case.alert,
        "interval": "1m",
        "input_series": _input(case.series),
        "alert_rule_test": [
            {"alertname": case.alert, "eval_time": f"{case.silent}m", "exp_alerts": []},
            {"alertname": case.alert, "eval_time": f"{case.fires}m", "exp_alerts": [expected]},
        ],
    }


def _input(series: dict[str, str]) -> list[dict[str, str]]:
    here = ", ".join(f'{name}="{value}"' for name, value in HERE.items())
    written = []
    for name, values in series.items():
        stem, _, labels = name.partition("{")
        written.append(
            {"series": f"{stem}{{{here}, {labels or '}'}".replace(", }", "}"), "values": values}
        )
    return written
