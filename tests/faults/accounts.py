"""The accounts after the dust has settled: what the simulator saw against what the product kept.

The simulator's ledger is independent of the product: what each customer wrote, was told delivered
and was shown. The product's side is the tables, the dead letters and the journal's own figures.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from http_api.cli.doctor import Accounts
from tests.e2e.harness import until

from .figures import note_settled
from .rig import Accepted, Phone, in_background, tables_of

SENT_STATES = frozenset({"sent", "delivered", "read", "played"})


class Answers:
    """What attendants write over the API, each under its own idempotency key until it is taken."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self.receipt_ms: list[float] = []
        self._stop = threading.Event()

    def send(self, customer: str, text: str, seconds: float = 120.0) -> Accepted:
        """Ask until it is accepted; a repetition cannot become a second message."""
        deadline = time.monotonic() + seconds
        last: Any = None
        while time.monotonic() < deadline:
            started = time.monotonic()
            try:
                answer = self.phone.runtime.post_message(
                    self.phone.name, customer, text, key=f"{self.phone.name}/{text}", seconds=10
                )
            except httpx.TransportError as error:
                last = error
            else:
                last = answer.text
                if answer.is_success:
                    self.receipt_ms.append((time.monotonic() - started) * 1000)
                    taken = Accepted(customer, text, answer.json()["data"]["messageId"])
                    self.phone.accepted.append(taken)
                    return taken
                assert answer.status_code in (429, 503), f"{answer.status_code} {answer.text}"
            time.sleep(0.05)
        raise AssertionError(f"not accepted within {seconds} s: {text!r}: {last!r}")

    def send_many(self, texts: list[str], interval: float = 0.0) -> None:
        """To the customers in turn, until all are accepted or `stop`."""
        for index, text in enumerate(texts):
            if self._stop.is_set():
                return
            self.send(self.phone.customers[index % len(self.phone.customers)], text)
            self._stop.wait(interval)

    def stop(self) -> None:
        self._stop.set()


@dataclass
class Books:
    """Both sides at one moment."""

    wrote: list[dict[str, Any]]  # by customers to the phone, in their order
    written: set[str]  # ids of all that anybody wrote to the phone
    shown: list[dict[str, Any]]  # to customers from the phone, in the order of each
    stored: list[tuple[str, str, str]]  # CLIENTE rows: customer, id, text, in table order
    answers: dict[str, tuple[str, str | None]]  # ATENDENTE rows: id → text, status

    @staticmethod
    def open(phone: Phone) -> Books:
        ledger = phone.simulator.get("/ledger", phone=phone.number)
        customers = set(phone.customers)
        return Books(
            wrote=[one for one in ledger["sent"] if one["from"] in customers],
            written={one["id"] for one in ledger["sent"]},
            shown=[
                one
                for one in ledger["received"]
                if one["to"] in customers and one["from"] == phone.number
            ],
            stored=phone.rows(),
            answers={
                message_id: (text, status)
                for message_id, text, status in phone.runtime.backend.query(
                    "select whatsapp_id, conteudo, status from whatsapp_mensagens"
                    " where owner_id = %s and remetente = 'ATENDENTE'",
                    phone.owner,
                )
            },
        )

    def is_settled(self, accepted: list[Accepted], dead: int) -> bool:
        """Everything written is told delivered and stored (or dead), every answer is sent."""
        return (
            all(one["delivered"] for one in self.wrote)
            and len(self.stored) + dead >= len(self.written)
            and all(
                self.answers.get(one.message_id, ("", None))[1] in (*SENT_STATES, "failed")
                for one in accepted
            )
        )


def wait_settled(phone: Phone, seconds: float = 120.0) -> Books:
    """Wait until nothing is under way any more; the runtime has to be up."""
    books: list[Books] = []

    def settled() -> bool:
        queue = phone.runtime.queue()
        if not queue or queue["pending"] or queue["outbox"].get("queued"):
            return False
        books[:] = [Books.open(phone)]
        return books[0].is_settled(phone.accepted, queue["deadLetters"] + queue["archived"])

    until(settled, seconds=seconds, what=f"everything has arrived ({_state(phone)})")
    return books[0]


def _state(phone: Phone) -> str:
    return f"runtime pid {phone.runtime.pid}, data in {phone.runtime.data_dir}"


def findings(
    books: Books,
    accepted: list[Accepted],
    letters: list[tuple[dict[str, Any], dict[str, Any] | None, str]] = (),  # type: ignore[assignment]
) -> list[str]:
    """Everything that breaks the promise, as sentences; empty when it was kept."""
    return [*_incoming(books, letters), *_outgoing(books, accepted)]


def _incoming(
    books: Books, letters: list[tuple[dict[str, Any], dict[str, Any] | None, str]]
) -> list[str]:
    found: list[str] = []
    stored = Counter(message_id for _, message_id, _ in books.stored)
    dead = Counter(_letter_id(payload, raw) for payload, raw, _ in letters)
    texts = {message_id: text for _, message_id, text in books.stored}
    for one in books.wrote:
        message_id = one["id"]
        copies = stored[message_id] + dead[message_id]
        told = "told delivered" if one["delivered"] else "not told delivered"
        if copies == 0:
            found.append(f"lost: {one['text']!r} of {one['from']} ({told})")
        elif copies > 1:
            found.append(f"{copies} times: {one['text']!r} of {one['from']}")
        elif stored[message_id] and texts[message_id] != one["text"]:
            found.append(f"changed: {one['text']!r} became {texts[message_id]!r}")
        if not one["delivered"]:
            found.append(f"never told delivered: {one['text']!r} of {one['from']}")
        if one["nacks"]:
            found.append(f"refused with {one['nacks']}: {one['text']!r} of {one['from']}")
    found += [
        f"invented: {text!r}"
        for _, identifier, text in books.stored
        if identifier not in books.written
    ]
    wrote: defaultdict[str, list[str]] = defaultdict(list)
    for one in books.wrote:
        if stored[one["id"]]:
            wrote[one["from"]].append(one["id"])
    kept: defaultdict[str, list[str]] = defaultdict(list)
    for customer, message_id, _ in books.stored:
        kept[customer].append(message_id)
    for customer, ids in wrote.items():
        if kept[customer] != ids:
            place = next(
                (
                    n
                    for n, pair in enumerate(zip(ids, kept[customer], strict=False))
                    if pair[0] != pair[1]
                ),
                len(ids),
            )
            found.append(f"order of {customer} broken at message {place} of {len(ids)}")
    return found


def _outgoing(books: Books, accepted: list[Accepted]) -> list[str]:
    found: list[str] = []
    shown = Counter((one["to"], one["text"]) for one in books.shown)
    for one in accepted:
        times = shown[(one.customer, one.text)]
        text, status = books.answers.get(one.message_id, (None, None))
        if times != 1:
            found.append(f"shown {times} times: {one.text!r} to {one.customer} (status {status})")
        if text is None:
            found.append(f"accepted but no row: {one.text!r}")
        elif text != one.text or status not in SENT_STATES:
            found.append(f"row of {one.text!r} says {text!r}, {status}")
    ids = {one.message_id for one in accepted}
    found += [
        f"shown but never accepted: {one['text']!r}" for one in books.shown if one["id"] not in ids
    ]
    order: defaultdict[str, list[str]] = defaultdict(list)
    for one in accepted:
        order[one.customer].append(one.text)
    for customer, texts in order.items():
        seen = [one["text"] for one in books.shown if one["to"] == customer]
        if seen != texts:
            found.append(f"order of the answers to {customer} broken")
    return found


def _letter_id(payload: dict[str, Any], raw: dict[str, Any] | None) -> str | None:
    if payload.get("whatsapp_id"):
        return str(payload["whatsapp_id"])
    key = (raw or {}).get("key") or (raw or {}).get("data", {}).get("key") or {}
    return key.get("id")


def _complain(found: list[str]) -> None:
    assert not found, "\n".join([f"{len(found)} findings", *found[:20]])


def check_running(phone: Phone, seconds: float = 120.0) -> Books:
    """Wait for the dust to settle, then compare; the runtime goes on."""
    begun = time.monotonic()
    books = wait_settled(phone, seconds)
    note_settled(time.monotonic() - begun)
    _check_metrics(phone)
    _complain(findings(books, phone.accepted))
    return books


def _check_metrics(phone: Phone) -> None:
    """accepted = stored + dead + pending, as an operator's Prometheus sees it."""
    text = phone.runtime.client.get("/metrics").text
    of = {
        line.split()[0]: float(line.split()[1])
        for line in text.splitlines()
        if line.startswith("zapvisor_journal_")
    }
    assert of["zapvisor_journal_accepted_total"] == (
        of["zapvisor_journal_stored_total"]
        + of["zapvisor_journal_dead_letters"]
        + of["zapvisor_journal_archived"]
        + of["zapvisor_journal_pending"]
    )


def check(phone: Phone, seconds: float = 120.0) -> dict[str, Any]:
    """As `check_running`, then stop the runtime and audit its journal file; returns the figures."""
    begun = time.monotonic()
    books = wait_settled(phone, seconds)
    note_settled(time.monotonic() - begun)
    assert phone.runtime.stop() == 0, phone.runtime.output()
    journal = tables_of(phone.runtime.data_dir / "journal.sqlite")
    assert journal["damage"] == ["ok"]
    accounts = (journal[name] for name in ("accepted", "stored", "dead", "pending"))
    Accounts(*accounts).balance()  # what `zapvisor doctor` says of it
    assert (journal["pending"], journal["entries"]) == (0, 0)
    assert len(journal["letters"]) + journal["archived"] == journal["dead"]
    accepted = phone.accepted
    _complain(findings(books, accepted, journal["letters"]))
    assert all(journal["commands"][one.message_id] in SENT_STATES for one in accepted)
    return {**journal, "incoming": len(books.wrote), "outgoing": len(accepted)}


class Traffic:
    """Numbered messages both ways, under way while a fault strikes."""

    def __init__(self, phone: Phone, label: str) -> None:
        self.phone = phone
        self.label = label
        self.answers = Answers(phone)
        self.written: list[str] = []

    @contextlib.contextmanager
    def flowing(self, incoming: int, outgoing: int, interval_ms: int = 15) -> Iterator[Traffic]:
        """Start; at the end of the block wait until all is written and accepted."""
        customers = self.phone.customers
        for index, customer in enumerate(customers):
            texts = [f"{self.label} {n}" for n in range(index, incoming, len(customers))]
            if texts:
                self.written += self.phone.write(
                    customer, *texts, interval_ms=interval_ms * len(customers)
                )
        texts = [f"{self.label} resposta {n}" for n in range(outgoing)]
        with in_background(self.answers.send_many, texts, interval_ms / 1000):
            yield self
        until(self._is_written, seconds=60, what="the customers have written everything")

    def _is_written(self) -> bool:
        ledger = self.phone.simulator.get("/ledger", phone=self.phone.number)
        return set(self.written) <= {one["id"] for one in ledger["sent"]}
