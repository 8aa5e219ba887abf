"""The proxy of a connection: who may choose which address, when it is set and when it is used."""

from __future__ import annotations

import pytest

from runtime.errors import Invalid
from runtime.options import Options
from runtime.whatsapp.proxies import Proxies

PUBLIC = "93.184.215.14"
INNER = [
    "127.0.0.1",
    "10.0.0.5",
    "172.16.3.4",
    "192.168.0.10",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "::ffff:10.0.0.5",
    "64:ff9b::a00:5",
    "2002:7f00:1::",
]


def resolver(*answers: list[str] | OSError):
    """One answer after the other, the last one again and again."""
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    return resolve


def chosen(url: str = "http://proxy.example:3128", *, by_admin: bool = False) -> Options:
    return Options().changed({"proxy": url}, by_admin=by_admin)


async def addresses(options: Options, *answers, exempt=frozenset()):
    return await Proxies(exempt, resolver=resolver(*answers)).addresses(options)


@pytest.mark.parametrize("address", INNER)
async def test_the_inner_network_is_nobodys_but_an_admins(address):
    proxies = Proxies(resolver=resolver([address]))
    with pytest.raises(Invalid) as refused:
        await proxies.check(chosen())
    assert refused.value.code == "proxy_not_allowed"
    assert address not in str(refused.value.message)
    assert await proxies.addresses(chosen()) == []
    assert await proxies.addresses(chosen(by_admin=True)) == [address]


async def test_a_public_one_is_anybodys_and_used_at_the_judged_addresses():
    assert await addresses(chosen(), [PUBLIC]) == [PUBLIC]
    many = [f"93.184.215.{n}" for n in range(1, 9)]
    assert await addresses(chosen(), many) == many[:3]
    assert await addresses(Options(), [PUBLIC]) == []


async def test_one_inner_address_among_others_is_enough_to_refuse():
    assert await addresses(chosen(), [PUBLIC, "10.0.0.1"]) == []


async def test_a_name_that_means_something_else_later_is_judged_again():
    proxies = Proxies(resolver=resolver([PUBLIC], ["169.254.169.254"]))
    await proxies.check(chosen())
    assert await proxies.addresses(chosen()) == []


@pytest.mark.parametrize("answer", [[], OSError("no such name")], ids=["nothing", "error"])
async def test_whether_an_inner_name_exists_is_not_told(answer):
    messages = set()
    for one in (answer, ["10.0.0.1"]):
        with pytest.raises(Invalid) as refused:
            await Proxies(resolver=resolver(one)).check(chosen())
        messages.add((refused.value.code, refused.value.message, refused.value.details))
    assert len(messages) == 1


async def test_what_the_operator_lists_is_allowed_by_host_and_port():
    exempt = frozenset({("proxy.internal", 3128)})
    listed = chosen("http://Proxy.Internal:3128")
    assert await addresses(listed, ["10.0.0.1"], exempt=exempt) == ["10.0.0.1"]
    other = chosen("http://proxy.internal:22")
    assert await addresses(other, ["10.0.0.1"], exempt=exempt) == []


def test_who_chose_it_is_remembered_and_not_shown():
    options = chosen(by_admin=True)
    assert options.changed({"alwaysOnline": True}, by_admin=False).proxy_by_admin
    assert not options.changed(
        {"proxy": "http://proxy.example:3128"}, by_admin=False
    ).proxy_by_admin
    claimed = Options().changed(
        {"proxy": "http://10.0.0.1:1", "proxyByAdmin": True}, by_admin=False
    )
    assert not claimed.proxy_by_admin
    assert not Options().changed({"proxyByAdmin": True}, by_admin=False).proxy_by_admin
    assert "proxyByAdmin" not in options.shown()
    assert Options.model_validate(options.stored()).proxy_by_admin


def test_a_proxy_of_before_nobody_knows_whose_is_judged():
    assert not Options.model_validate({"proxy": "http://10.0.0.1:3128"}).proxy_by_admin


def test_the_password_is_in_nothing_that_is_shown():
    options = chosen("http://user:hidden@proxy.example:3128")
    assert "hidden" not in str(options.shown())
