"""URLs of clients: nothing but the public internet, whatever is tried (SSRF)."""

import gzip
import ssl
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpcore
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Invalid, TooLarge, Unsendable, ZapvisorError
from runtime.media.addresses import is_public
from runtime.media.fetch import MAX_REDIRECTS, Fetcher, parse_url, resolve
from runtime.media.sniff import sniff

PUBLIC = "93.184.215.14"
TLS = ssl.create_default_context()

PRIVATE = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.8", "192.168.1.1", "198.18.0.1", "203.0.113.9"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:93.184.215.14", "::127.0.0.1"),
    *("fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "100::1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1"),
    *(
        "2001:20::1",
        "5f00::1",
        "",
        "localhost",
        "1.2.3",
        "0x7f.1",
        "2130706433",
        "\uff11\uff12\uff17.0.0.1",
    ),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "2804:14c::1"]
)
def test_public(address):
    assert is_public(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_nothing_that_python_calls_private_is_public(address):
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast
    assert not is_public(f"::ffff:{address}")
    assert not is_public(str(IPv6Address(f"64:ff9b::{address}")))


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_the_same_for_version_6(address):
    if is_public(str(address)):
        assert address.is_global
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None
    assert not is_public(f"{address}%1")


class Sink:
    def __init__(self, limit=1000):
        self.limit = limit
        self.content = b""

    async def write(self, data):
        self.content += data
        if len(self.content) > self.limit:
            raise TooLarge("grande demais", code="media_too_large")


class Network(httpcore.AsyncNetworkBackend):
    """Answers by the address that is connected to; remembers every one."""

    def __init__(self, answers):
        self.answers = answers
        self.connected = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.connected.append((host, port))
        return httpcore.AsyncMockStream(list(self.answers.get(host, [b""])))


def http(body=b"", status="200 OK", **headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join(lines).encode() + b"\r\n\r\n" + body]


def fetcher(names, answers=None):
    """With a resolver that knows ``names``, and gives each of their answers once."""
    network = Network(answers or {})
    queues = {name: list(addresses) for name, addresses in names.items()}

    async def resolver(host, port):
        if host not in queues:
            return await resolve(host, port)  # literal addresses, in all their spellings
        answer = queues[host].pop(0) if len(queues[host]) > 1 else queues[host][0]
        return answer if isinstance(answer, list) else [answer]

    return Fetcher(resolver=resolver, network=network, tls=TLS), network


async def test_a_file_is_fetched_from_the_address_that_was_judged():
    answer = http(b"conteudo", Content_Type="image/png")
    fetching, network = fetcher({"cdn.example": [PUBLIC]}, {PUBLIC: answer})
    sink = Sink()
    fetched = await fetching.fetch("http://cdn.example:8080/a/foto.png?x=1", sink)
    assert sink.content == b"conteudo"
    assert (fetched.mimetype, fetched.file_name) == ("image/png", "foto.png")
    assert network.connected == [(PUBLIC, 8080)]


LITERALS = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::7f00:1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://192.168.0.1:8080/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://0/",
    "http://0.0.0.0:22/",
    "https://127.0.0.1:3001/api",
    "http://localhost/",
    "HTTP://LOCALHOST:3001/",
    "http://\uff11\uff12\uff17.0.0.1/",
]


@pytest.mark.parametrize("url", LITERALS)
async def test_no_spelling_of_an_inner_address_is_connected_to(url):
    fetching, network = fetcher({})
    with pytest.raises(ZapvisorError) as refusal:
        await fetching.fetch(url, Sink())
    assert refusal.value.code in ("media_url_not_allowed", "invalid_media_url")
    assert network.connected == []


@given(
    st.integers(0, 2**32 - 1)
    .map(IPv4Address)
    .filter(lambda address: not is_public(str(address)))
    .flatmap(
        lambda address: st.sampled_from(
            [
                f"http://{address}/",
                f"http://{int(address)}/",
                f"http://{int(address):#x}/",
                f"http://0{int(address):o}/",
                "http://" + ".".join(f"0{byte:o}" for byte in address.packed) + "/",
                "http://" + ".".join(f"{byte:#x}" for byte in address.packed) + "/",
                f"http://[::ffff:{address}]/",
                f"http://[::{address}]/",
                f"http://user@{address}/",
            ]
        )
    )
)
def test_no_spelling_of_any_inner_address(url):
    async def run():
        fetching, network = fetcher({})
        with pytest.raises(ZapvisorError):
            await fetching.fetch(url, Sink())
        assert network.connected == []

    trio.run(run)


async def test_a_name_that_means_an_inner_address_is_refused():
    for address in PRIVATE[:-8]:
        fetching, network = fetcher({"evil.example": [address]})
        with pytest.raises(Invalid) as refusal:
            await fetching.fetch("http://evil.example/", Sink())
        assert refusal.value.code == "media_url_not_allowed"
        assert network.connected == []


async def test_one_inner_address_among_public_ones_is_enough_to_refuse():
    fetching, network = fetcher({"evil.example": [[PUBLIC, "127.0.0.1"]]})
    with pytest.raises(Invalid):
        await fetching.fetch("http://evil.example/", Sink())
    assert network.connected == []


async def test_a_name_that_changes_between_check_and_connect_changes_nothing():
    """DNS rebinding: the second answer would be inside, but nobody asks twice."""
    fetching, network = fetcher({"rebind.example": [PUBLIC, "127.0.0.1"]}, {PUBLIC: http(b"aqui")})
    sink = Sink()
    await fetching.fetch("http://rebind.example/x", sink)
    assert sink.content == b"aqui"
    assert network.connected == [(PUBLIC, 80)]
    with pytest.raises(Invalid):
        await fetching.fetch("http://rebind.example/x", Sink())
    assert network.connected == [(PUBLIC, 80)]


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "//127.0.0.1/x",
        "http://[::ffff:127.0.0.1]/",
        "http://inner.example/",
        "http://2130706433/",
    ],
)
async def test_every_redirect_is_judged(location):
    answers = {PUBLIC: http(status="302 Found", Location=location)}
    fetching, network = fetcher({"a.example": [PUBLIC], "inner.example": ["10.1.2.3"]}, answers)
    with pytest.raises(Invalid) as refusal:
        await fetching.fetch("http://a.example/", Sink())
    assert refusal.value.code == "media_url_not_allowed"
    assert network.connected == [(PUBLIC, 80)]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a.example/", "gopher://x/"])
async def test_a_redirect_stays_with_http(location):
    answers = {PUBLIC: http(status="301 Moved", Location=location)}
    fetching, _ = fetcher({"a.example": [PUBLIC]}, answers)
    with pytest.raises(Invalid) as refusal:
        await fetching.fetch("http://a.example/", Sink())
    assert refusal.value.code == "invalid_media_url"


async def test_redirects_end():
    answers = {PUBLIC: http(status="302 Found", Location="/again")}
    fetching, network = fetcher({"a.example": [PUBLIC]}, answers)
    with pytest.raises(Unsendable):
        await fetching.fetch("http://a.example/", Sink())
    assert len(network.connected) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://a.example/x",
        "http://user:secret@a.example/",
        "http:///x",
        "//a.example/x",
        "javascript:alert(1)",
        "http://a.example:99999/",
        "http://a b/",
        "http://[::1/",
        "",
        "http://" + "a" * 3000,
        "http://a.example/\r\nHost: b",
    ],
)
def test_what_is_no_address_of_a_file(url):
    with pytest.raises(Invalid) as refusal:
        parse_url(url)
    assert refusal.value.code == "invalid_media_url"


async def test_size_and_status():
    answers = {PUBLIC: http(b"x" * 2000)}
    fetching, _ = fetcher({"a.example": [PUBLIC]}, answers)
    with pytest.raises(TooLarge):
        await fetching.fetch("http://a.example/", Sink(1000))
    unannounced = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x" * 700, b"x" * 700, b""]
    fetching, _ = fetcher({"a.example": [PUBLIC]}, {PUBLIC: unannounced})
    with pytest.raises(TooLarge):
        await fetching.fetch("http://a.example/", Sink(1000))
    for answer, code in (
        (http(b"nao", "404 Not Found"), "media_url_failed"),
        ([b"garbage\r\n\r\n"], "media_url_unreachable"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b""], "media_url_unreachable"),
    ):
        fetching, _ = fetcher({"a.example": [PUBLIC]}, {PUBLIC: answer})
        with pytest.raises(Unsendable) as refusal:
            await fetching.fetch("http://a.example/", Sink())
        assert refusal.value.code == code


async def test_what_was_packed_for_the_way_is_not_unpacked():
    """A bomb of a gigabyte as Content-Encoding, which nobody asked for."""
    packed = gzip.compress(bytes(2**20)) * 1024
    answer = http(packed, Content_Encoding="gzip", Content_Type="image/png")
    fetching, _ = fetcher({"a.example": [PUBLIC]}, {PUBLIC: answer})
    sink = Sink(limit=len(packed))
    await fetching.fetch("http://a.example/", sink)
    assert sink.content == packed
    assert sniff(sink.content) == "application/gzip"


async def test_unknown_names_and_servers_that_never_end(autojump_clock):
    async def nowhere(host, port):
        raise OSError("no such host")

    with pytest.raises(Unsendable) as refusal:
        await Fetcher(resolver=nowhere, network=Network({})).fetch("http://x.example/", Sink())
    assert refusal.value.code == "media_url_unreachable"

    async def slowly(host, port):
        await trio.sleep_forever()

    with pytest.raises(Unsendable):
        await Fetcher(resolver=slowly, network=Network({})).fetch("http://x.example/", Sink())


async def test_a_server_that_trickles_is_given_up(autojump_clock):
    class Trickle(httpcore.AsyncMockStream):
        async def read(self, max_bytes, timeout=None):
            await trio.sleep(19)
            return await super().read(max_bytes, timeout) or b"x"

    class Slow(Network):
        async def connect_tcp(self, host, port, *_, **__):
            return Trickle([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"])

    async def resolver(host, port):
        return [PUBLIC]

    with pytest.raises(Unsendable) as refusal:
        await Fetcher(resolver=resolver, network=Slow({})).fetch("http://x.example/", Sink())
    assert refusal.value.code == "media_url_timeout"


def test_the_table_of_private_addresses_is_of_addresses():
    for address in PRIVATE[:-8]:
        ip_address(address)
