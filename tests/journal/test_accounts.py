"""The accounts against a model: whatever happens, accepted == stored + dead + pending."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from journal_support import NOON, message

from runtime.errors import NotFound
from runtime.journal import dead_letters, inbox, upkeep
from runtime.journal.database import open_database
from runtime.journal.faults import diagnose
from runtime.journal.statistics import totals
from runtime.journal.thread import _Call, commit

KEYS = st.lists(st.integers(0, 60).map(str), min_size=1, max_size=6)


class Accounts(RuleBasedStateMachine):
    """The functions behind the journal, in groups like the thread makes them, with crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "journal.sqlite"
        self.connection = open_database(self.path)
        self.known: dict[str, int] = {}
        self.pending: set[int] = set()
        self.dead: set[int] = set()
        self.stored = self.archived = 0
        self.chats: dict[int, str] = {}

    def teardown(self) -> None:
        self.connection.close()
        self.directory.cleanup()

    def run(self, *jobs):
        group = [_Call.__new__(_Call) for _ in jobs]
        for call, job in zip(group, jobs, strict=True):
            call.job, call.after, call.value, call.error = job, None, None, None
        commit(self.connection, group)
        return [call.value if call.error is None else call.error for call in group]

    def remember(self, key, seq, chat):
        self.known[key] = seq
        self.pending.add(seq)
        self.chats[seq] = chat

    @rule(keys=KEYS, seconds=st.integers(0, 2), chat=st.sampled_from("ab"))
    def accept(self, keys, seconds, chat):
        at = NOON + timedelta(seconds=seconds)
        prepared = [inbox.prepare(message(key, chat=chat, at=at)) for key in keys]
        (answers,) = self.run(lambda c: inbox.accept(c, prepared, 1))
        for key, answer in zip(keys, answers, strict=True):
            assert answer.duplicate == (key in self.known)
            if not answer.duplicate:
                assert answer.seq > max(self.known.values(), default=0)
                self.remember(key, answer.seq, chat)
            assert self.known[key] == answer.seq
        self.check_order()

    @rule(keys=KEYS)
    def accept_beside_a_failing_caller(self, keys):
        """Another job of the group writes and raises: ours is kept, its is undone."""
        prepared = [inbox.prepare(message(key)) for key in keys]
        lost = inbox.prepare(message("never"))

        def fail(connection):
            inbox.accept(connection, [lost], 1)
            raise RuntimeError

        answers, error = self.run(lambda c: inbox.accept(c, prepared, 1), fail)
        assert isinstance(error, RuntimeError)
        for key, answer in zip(keys, answers, strict=True):
            if not answer.duplicate:
                self.remember(key, answer.seq, "chat")
        assert not inbox.is_known(self.connection, "never")

    @rule(data=st.data())
    def settle(self, data):
        seqs = data.draw(st.lists(st.integers(1, 80), max_size=10))
        (settled,) = self.run(lambda c: inbox.settle(c, seqs))
        gone = self.pending & set(seqs)
        assert max(settled, 0) == len(gone)
        self.pending -= gone
        self.stored += len(gone)

    @rule(seq=st.integers(1, 80))
    def bury(self, seq):
        (moved,) = self.run(lambda c: dead_letters.bury(c, seq, "code", "reason", 1))
        assert moved == (seq in self.pending)
        if moved:
            self.pending.remove(seq)
            self.dead.add(seq)

    @rule(seq=st.integers(1, 80))
    def retry(self, seq):
        (answer,) = self.run(lambda c: dead_letters.retry(c, seq, None))
        assert isinstance(answer, NotFound) == (seq not in self.dead)
        if seq in self.dead:
            self.dead.remove(seq)
            self.pending.add(seq)

    @rule(limit=st.integers(1, 5))
    def archive(self, limit):
        file = Path(self.directory.name) / "archive.jsonl"
        (letters,) = self.run(lambda c: dead_letters.archive(c, file, limit))
        assert [letter.seq for letter in letters] == sorted(self.dead)[:limit]
        self.dead -= {letter.seq for letter in letters}
        self.archived += len(letters)

    @rule()
    def reopen(self):
        self.connection.close()
        self.connection = open_database(self.path)

    @rule(keys=KEYS)
    def crash_before_the_commit(self, keys):
        prepared = [inbox.prepare(message(key)) for key in keys]
        with contextlib.suppress(OSError):
            self.connection.execute("BEGIN")
            inbox.accept(self.connection, prepared, 1)
            raise OSError(5, "the disk is gone")
        assert diagnose(OSError(5, "x")).code == "journal_io_error"
        self.reopen()

    def check_order(self):
        """Within a chat and a second, times rise with the seq."""
        rows = self.connection.execute("SELECT seq, happened_at FROM entry ORDER BY seq").fetchall()
        last: dict[tuple[str, int], int] = {}
        for seq, happened_at in rows:
            place = (self.chats[seq], happened_at // 1_000_000)
            assert happened_at > last.get(place, 0)
            last[place] = happened_at

    @invariant()
    def the_accounts_are_right(self):
        kept = totals(self.connection)
        assert kept.accepted == len(self.known)
        assert kept.stored == self.stored
        assert kept.dead == len(self.dead) + self.archived
        assert kept.pending == len(self.pending)
        assert kept.accepted == kept.stored + kept.dead + kept.pending
        rows = inbox.claim(self.connection, 1000, 10**9, ())
        assert [row[0] for row in rows] == sorted(self.pending)
        assert upkeep.audit(self.connection) == []


TestAccounts = Accounts.TestCase
TestAccounts.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)
