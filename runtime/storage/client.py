"""supabase-py on trio: one shared HTTP client, explicit deadlines, errors kept whole."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeVar
from uuid import UUID

import httpx
import trio
from postgrest import AsyncRequestBuilder
from postgrest.base_request_builder import RequestConfig

from supabase import ASupabaseStorageClient, AsyncClient, AsyncClientOptions

from ..distribution import LONG, Distribution
from ..errors import Invalid, NotFound, StorageUnavailable, TooLarge
from ..failpoints import armed, failpoint
from .answers import MAX_BYTES, Bounded, read_rows
from .classify import (
    ANSWER_TOO_LARGE,
    EXPECTED,
    Action,
    ErrorClass,
    Verdict,
    classify,
    error_class,
)
from .errors import SupabaseError, UnexpectedAnswer, is_page, read_refusal
from .rows import Skips, moment_text, unreadable, whole

logger = logging.getLogger("zapvisor.storage")

T = TypeVar("T")

REQUIRED_SCHEMA_VERSION = 3
"""What ``zapvisor_schema_version()`` must at least return."""

CALL_SECONDS = 20.0
"""Deadline of one call; hosted projects end a statement after 8 s themselves."""

MAX_ROWS = 1000
"""Rows per select; Supabase cuts silently there."""

TIMING_WINDOW = 1000

KEPT_SECONDS = 30.0
"""A connection that was used within so many seconds is used again."""

_TIMEOUT = httpx.Timeout(connect=5.0, read=15.0, write=15.0, pool=5.0)
_LIMITS = httpx.Limits(
    max_connections=16, max_keepalive_connections=8, keepalive_expiry=KEPT_SECONDS
)


class Query(Protocol):
    """A query of the builder, complete."""

    @property
    def request(self) -> RequestConfig[httpx.AsyncClient]: ...


@dataclass(frozen=True, slots=True)
class SupabaseStatistics:
    """Of all calls since the start, and response times in ms over the last 1,000 (or None)."""

    calls: int
    failures: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Supabase:
    """A Supabase project, as an async context manager.

    `ingest` and `schema_version` raise what happened as it came (``classify.EXPECTED``), for those
    who decide by it. The other calls raise StorageUnavailable, Invalid, NotFound or
    TooLarge.

    Attributes:
        seconds, errors: of every call since the start: how long, and what went wrong.
        skips: rows that work left out because they cannot be read.

    Args:
        url: of the project, without ``/rest/v1``.
        service_role_key: never logged.
        transport: replaces the network, for tests.

    Raises ValueError for a key that no header can carry: every call would crash its caller.
    """

    def __init__(
        self, url: str, service_role_key: str, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        if not re.fullmatch("[!-~]+", service_role_key):
            raise ValueError("the key has characters that no header can carry")
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            limits=_LIMITS,
            transport=transport,
            follow_redirects=False,
            event_hooks={
                "request": [_watch_sending] if armed() else [],
                "response": [_refuse],
            },
        )
        self._client = AsyncClient(
            url,
            service_role_key,
            AsyncClientOptions(
                # Its own retries sleep on asyncio.
                postgrest_client_retry=False,
                auto_refresh_token=False,
                persist_session=False,
                postgrest_client_timeout=_TIMEOUT,
                httpx_client=self._http,
            ),
        )
        self._timings: deque[float] = deque(maxlen=TIMING_WINDOW)
        self._calls = 0
        self._said: tuple[str, str] | None = None
        self.seconds = Distribution(LONG)
        self.errors: Counter[ErrorClass] = Counter(dict.fromkeys(ErrorClass, 0))
        self.skips = Skips()

    async def __aenter__(self) -> Supabase:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with trio.move_on_after(2, shield=True):
            await self._http.aclose()

    # --- writing

    async def ingest(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Store items in one transaction; one answer per item, in order (see the migrations).

        Each item carries its ``seq``. Idempotent. Raises UnexpectedAnswer when the answers do not
        belong to the items.
        """
        rpc = self._client.rpc("zapvisor_ingest", {"items": items})
        answers = (await self._timed(rpc.execute)).data
        if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
            raise UnexpectedAnswer("zapvisor_ingest returned no list of results")
        if [one.get("seq") for one in answers] != [item.get("seq") for item in items]:
            raise UnexpectedAnswer("zapvisor_ingest returned the results of other items")
        return answers

    async def ingest_checked(self, item: dict[str, Any]) -> dict[str, Any]:
        """Store one item for a caller who waits: Invalid when its content is refused."""
        answers: list[dict[str, Any]] = await self._mapped(lambda: self.ingest([item]))
        return answers[0]

    # --- health

    async def schema_version(self) -> int:
        """What the migrations have brought this project to."""
        version = (await self._timed(self._client.rpc("zapvisor_schema_version", {}).execute)).data
        if not isinstance(version, int):
            raise UnexpectedAnswer("zapvisor_schema_version returned no number")
        return version

    async def ping(self) -> None:
        """One round trip to the database."""
        await self._mapped(self.schema_version)

    async def round_trip(self, nonce: str) -> None:
        """Write a value and read it back (``zapvisor_self_test``).

        Raises StorageUnavailable, also when what is read is not what was written.
        """
        table = self._client.table("zapvisor_self_test")
        await self.fetch(table.upsert({"id": True, "nonce": nonce}))
        rows = await self.fetch(table.select("nonce").eq("nonce", nonce))
        if not rows:
            raise StorageUnavailable(
                "O Supabase não devolveu o que foi gravado.", code="supabase_round_trip_failed"
            )

    def statistics(self) -> SupabaseStatistics:
        """Counters and response times."""
        ordered = sorted(self._timings)

        def percentile(fraction: float) -> float | None:
            if not ordered:
                return None
            return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]

        return SupabaseStatistics(
            self._calls,
            self.errors.total(),
            percentile(0.50),
            percentile(0.95),
            percentile(0.99),
        )

    # --- any table

    def table(self, name: str) -> AsyncRequestBuilder:
        """A query to build, for `fetch`."""
        return self._client.table(name)

    async def fetch(self, query: Query) -> list[dict[str, Any]]:
        """The rows that a query of `table` answers with; errors are mapped.

        They are as strangers wrote them: ``rows`` reads them into types.
        """

        async def read() -> list[dict[str, Any]]:
            # Not the builder's own reading: one row that it cannot read would take all with it.
            answer = await self._timed(lambda: _send(query.request))
            return await read_rows(answer.content)

        rows: list[dict[str, Any]] = await self._mapped(read)
        return rows

    # --- files

    @property
    def buckets(self) -> ASupabaseStorageClient:
        """Supabase Storage; call it inside `mapped`."""
        return self._client.storage

    def stream(
        self, url: str, headers: dict[str, str]
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """A GET whose body is read in pieces; enter it inside `mapped`."""
        return self._http.stream("GET", url, headers=headers)

    async def mapped(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run calls with their own deadlines; raises StorageUnavailable or Invalid."""
        result: T = await self._mapped(call)
        return result

    async def rpc(self, function: str, arguments: dict[str, Any]) -> Any:
        """What a function of the migrations returns; errors are mapped."""
        query = self._client.rpc(function, arguments)
        return (await self._mapped(lambda: self._timed(query.execute))).data

    # --- reading

    async def messages(
        self,
        atendimento_id: UUID,
        owner_id: UUID | None,
        limit: int,
        offset: int,
        after: UUID | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of ``whatsapp_mensagens``, ascending by timestamp; those behind the row ``after``.

        None but those of the atendimento's own owner: others may write rows that name it.

        NotFound when there is no such atendimento, or when it is not this owner's, or when it has
        no such row. UnreadableRow when nothing can come behind the row.
        """
        owner = str(owner_id) if owner_id is not None else await self._owner(atendimento_id)
        query = (
            self._client.table("whatsapp_mensagens")
            .select("*")
            .eq("atendimento_id", str(atendimento_id))
            .eq("owner_id", owner)
        )
        if after is not None:
            last = await self._message(after, atendimento_id, owner)
            # The first condition is implied by the second, and is what the index can use.
            query = query.gte("timestamp", last["timestamp"]).or_(_behind(last))
        query = query.order("timestamp").order("ordem").order("id")
        query = query.range(offset, offset + min(limit, MAX_ROWS) - 1)
        rows = await self.fetch(query)
        if not rows:
            await self._owner(atendimento_id, owner)
        return rows

    async def _message(self, message_id: UUID, atendimento_id: UUID, owner: str) -> dict[str, Any]:
        query = (
            self._client.table("whatsapp_mensagens")
            .select("id,timestamp,ordem")
            .eq("id", str(message_id))
            .eq("atendimento_id", str(atendimento_id))
            .eq("owner_id", owner)
        )
        rows = await self.fetch(query)
        if not rows:
            raise NotFound("Mensagem não encontrada.", code="message_not_found")
        return rows[0]

    async def _owner(self, atendimento_id: UUID, owner: str | None = None) -> str:
        """Whose an atendimento is. NotFound when there is none, or when it is not this owner's."""
        query = (
            self._client.table("whatsapp_atendimentos")
            .select("owner_id")
            .eq("id", str(atendimento_id))
        )
        if owner is not None:
            query = query.eq("owner_id", owner)
        rows = await self.fetch(query.limit(1))
        if not rows:
            raise NotFound("Atendimento não encontrado.", code="atendimento_not_found")
        return str(rows[0]["owner_id"])

    async def active_atendimentos(
        self, owner_id: UUID, company_id: UUID | None = None, limit: int = MAX_ROWS
    ) -> list[dict[str, Any]]:
        """Open rows of ``whatsapp_atendimentos``, newest message first."""
        query = (
            self._client.table("whatsapp_atendimentos")
            .select("*")
            .eq("owner_id", str(owner_id))
            .in_("status", ["AGUARDANDO", "EM_ATENDIMENTO"])
        )
        if company_id is not None:
            query = query.eq("company_id", str(company_id))
        query = query.order("ultima_mensagem", desc=True).limit(min(limit, MAX_ROWS))
        return await self.fetch(query)

    async def sessions(self, owner_id: UUID) -> list[dict[str, Any]]:
        """Rows of ``whatsapp_sessions``, oldest first."""
        query = (
            self._client.table("whatsapp_sessions")
            .select("*")
            .eq("owner_id", str(owner_id))
            .order("created_at")
            .limit(MAX_ROWS)
        )
        return await self.fetch(query)

    # ---

    async def _timed(self, execute: Callable[[], Awaitable[Any]]) -> Any:
        self._calls += 1
        started = time.perf_counter()
        try:
            with trio.fail_after(CALL_SECONDS):
                answer = await execute()
        except EXPECTED as error:
            self.errors[error_class(error)] += 1
            self._keep_words(classify(error))
            raise
        else:
            self._said = None
            return answer
        finally:
            seconds = time.perf_counter() - started
            self._timings.append(seconds * 1000)
            self.seconds.add(seconds)

    def _keep_words(self, verdict: Verdict) -> None:
        """What Supabase said, once, into the log: nobody else is told. Of a row it may quote."""
        said = (verdict.code, verdict.text)
        if verdict.action is not Action.BISECT and said != self._said:
            self._said = said
            logger.warning("a call failed: %s", verdict.code, extra={"text": verdict.text})

    async def _mapped(self, call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await call()
        except EXPECTED as error:
            verdict = classify(error)
            if verdict.code == ANSWER_TOO_LARGE:
                raise TooLarge(
                    "O Supabase tem mais a responder do que cabe em uma resposta; peça menos "
                    "linhas.",
                    code="answer_too_large",
                    details={"maxBytes": MAX_BYTES},
                ) from error
            self._keep_words(verdict)
            if verdict.action is Action.BISECT:
                raise Invalid(
                    "O Supabase recusou os dados enviados.",
                    code="refused_by_supabase",
                    details={"code": verdict.code, "reason": verdict.reason},
                ) from error
            raise StorageUnavailable(
                "O Supabase não está disponível no momento.",
                code="supabase_unavailable",
                details={"code": verdict.code, "reason": verdict.reason},
                retry_after=verdict.retry_after or 5.0,
            ) from error


def _behind(row: dict[str, Any]) -> str:
    """PostgREST's condition for what follows a row by timestamp, ordem (null last) and id.

    Raises UnreadableRow.
    """
    written = moment_text(row["timestamp"])
    if written is None:
        raise unreadable(["timestamp"])
    moment, ordem, identifier = f'"{written}"', whole(row["ordem"]), row["id"]
    if ordem is None:
        ties = f"ordem.is.null,id.gt.{identifier}"
    else:
        ties = f"or(ordem.gt.{ordem},ordem.is.null,and(ordem.eq.{ordem},id.gt.{identifier}))"
    return f"timestamp.gt.{moment},and(timestamp.eq.{moment},{ties})"


async def _watch_sending(request: httpx.Request) -> None:
    async def trace(event: str, _facts: dict[str, Any]) -> None:
        if event == "http11.send_request_body.complete":
            failpoint("rpc-sent")

    if request.url.path.endswith("/zapvisor_ingest"):
        request.extensions = {**request.extensions, "trace": trace}


async def _refuse(response: httpx.Response) -> None:
    """Raise refusals here, where status, headers and body are all at hand; bound the rest."""
    if response.url.path.startswith("/rest/") and isinstance(
        response.stream, httpx.AsyncByteStream
    ):
        response.stream = Bounded(response.stream)
    if not response.is_success:
        await response.aread()
        raise read_refusal(response.status_code, response.headers, response.content)
    if "/rest/v1/" in response.request.url.path and is_page(response.headers):
        raise UnexpectedAnswer("a page for people, not an answer of Supabase")


__all__ = ["REQUIRED_SCHEMA_VERSION", "Supabase", "SupabaseError", "SupabaseStatistics"]


async def _send(request: RequestConfig[httpx.AsyncClient]) -> httpx.Response:
    """The answer. The other side may close a kept connection just as it is used again: a read that
    is lost like that is sent once more."""
    try:
        return await request.send(httpx.Headers())
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        if request.http_method != "GET":
            raise
    return await request.send(httpx.Headers())
