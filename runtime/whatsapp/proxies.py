"""Which addresses the proxy of a connection may be reached at.

It is somebody else's choice, as the address of a webhook is, and judged by the same guard: to the
public internet only, unless an admin chose it or the operator listed it. It is judged when it is
set and each time it is used; the bridge connects to the addresses that were judged, whatever the
name means by then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import trio

from ..errors import Invalid
from ..media.addresses import is_public
from ..options import Options
from ..outgoing_http import CONNECT_SECONDS, AddressRefused, Resolve, judged, resolve

logger = logging.getLogger("zapvisor.proxies")


class Proxies:
    """The judge of proxies.

    Args:
        exempt: hosts and ports that anybody may use, whatever they mean.
        resolver: asked each time.
        allows: which addresses may be connected to.
    """

    def __init__(
        self,
        exempt: frozenset[tuple[str, int]] = frozenset(),
        *,
        resolver: Resolve = resolve,
        allows: Callable[[str], bool] = is_public,
    ) -> None:
        self._exempt = exempt
        self._resolver = resolver
        self._allows = allows

    async def check(self, options: Options) -> None:
        """Raises Invalid for a proxy that is not allowed, and for a name that means nothing.

        These are one answer: whether a name exists in the inner network is nobody's business.
        """
        if options.proxy is not None and not await self.addresses(options):
            raise Invalid(
                "O proxy não leva a um endereço público da internet.", code="proxy_not_allowed"
            )

    async def addresses(self, options: Options) -> list[str]:
        """Where the proxy may be reached now; none without a proxy, or when it may not."""
        if options.proxy is None:
            return []
        parts = urlsplit(options.proxy)
        host, port = parts.hostname or "", parts.port or 0
        try:
            with trio.fail_after(CONNECT_SECONDS):
                found = await self._resolver(host, port)
            return list(judged(found, self._judge(options, host, port)))
        except (OSError, UnicodeError, trio.TooSlowError, AddressRefused) as error:
            logger.warning("proxy not usable", extra={"kind": type(error).__name__})
            return []

    def _judge(self, options: Options, host: str, port: int) -> Callable[[str], bool]:
        trusted = options.proxy_by_admin or (host.lower(), port) in self._exempt
        return (lambda _: True) if trusted else self._allows
