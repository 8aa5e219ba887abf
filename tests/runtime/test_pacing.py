"""How fast messages may go out."""

from random import Random

import pytest

from runtime.errors import Invalid
from runtime.options import Options, Pacing, mask_proxy
from runtime.outbound.pacing import Pace


def test_without_pacing_nothing_waits():
    pace = Pace()
    for now in range(5):
        assert pace.wait(None, now) == 0
        pace.went(None, now)


def test_the_least_interval_is_kept_and_lengthened_by_the_jitter():
    pacing = Pacing(min_interval_ms=1000, jitter_ms=500)
    pace = Pace(Random(1))
    assert pace.wait(pacing, 10.0) == 0
    pace.went(pacing, 10.0)
    wait = pace.wait(pacing, 10.0)
    assert 1.0 <= wait <= 1.5
    assert pace.wait(pacing, 10.0 + wait) == pytest.approx(0)


def test_no_more_than_so_many_in_any_minute():
    pacing = Pacing(per_minute=3)
    pace = Pace()
    sent = []
    now = 0.0
    while len(sent) < 10:
        now += pace.wait(pacing, now)
        pace.went(pacing, now)
        sent.append(now)
        now += 1
    for first, fourth in zip(sent, sent[3:], strict=False):
        assert fourth - first >= 60


def test_a_lower_limit_takes_effect_at_once():
    pace = Pace()
    for now in range(5):
        pace.went(Pacing(per_minute=100), float(now))
    assert pace.wait(Pacing(per_minute=2), 5.0) > 50


def test_options_are_merged_reset_and_refused():
    options = Options().changed({"proxy": "socks5://u:p@host:1080", "pacing": {"perMinute": 5}})
    assert options.changed({"rejectCalls": True}).proxy == "socks5://u:p@host:1080"
    assert options.changed({"proxy": None}).proxy is None
    assert options.shown()["proxy"] == "socks5://***@host:1080"
    assert Options.model_validate(options.stored()) == options
    with pytest.raises(Invalid) as refused:
        options.changed({"proxy": "gopher://host:70"})
    assert refused.value.details[0]["field"] == "options.proxy"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:80", "http://host:80"),
        ("https://u:p%40ss@host:443", "https://***@host:443"),
        ("socks5://u@[::1]:1080", "socks5://***@[::1]:1080"),
    ],
)
def test_no_credential_of_a_proxy_is_shown(url, shown):
    assert mask_proxy(url) == shown


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("HTTP://Proxy.Example:8080", "http://proxy.example:8080"),
        ("http://127.0.0.1:1?", "http://127.0.0.1:1"),
        ("socks5h://user:p%40ss@[::1]:001080/", "socks5h://user:p%40ss@[::1]:1080"),
    ],
)
def test_a_proxy_is_kept_in_its_plainest_spelling(given, kept):
    assert Options().changed({"proxy": given}).proxy == kept


@pytest.mark.parametrize(
    "proxy",
    [
        *("http://a^b:80", "http://a|b:80", "http://a%zz:80", "http://1.2.3.999:80", "http://-:1"),
        *(
            "http://x:0",
            "http://x:65536",
            "http://x",
            "http://:1",
            "http://[::g]:1",
            "http://[fe80::1%eth0]:1",
            "http://a.0x1f:1",
        ),
        *("http://u%zz@x:1", "http://u%ff@x:1", "http://u@v@x:1", "http://é:1", "http://x:1/\x7f"),
    ],
)
def test_what_no_agent_could_be_made_of_is_no_proxy(proxy):
    with pytest.raises(Invalid):
        Options().changed({"proxy": proxy})
