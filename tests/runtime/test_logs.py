"""Log records: JSON in files, phones masked, records that belong together, rotation."""

import json
import logging
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from runtime import logs
from runtime.logs import correlated, logging_to, mask_phones

DAY = 24 * 3600


def combined(tmp_path):
    return [json.loads(line) for line in (tmp_path / "logs/combined.log").open()]


def test_files_hold_json_with_fields_and_masked_phones(tmp_path):
    with logging_to(tmp_path):
        logging.getLogger("zapvisor.test").info(
            "closed", extra={"connection": "loja", "phone": "5511987654321"}
        )
        logging.getLogger("zapvisor.test").error("broken")
    combined = [json.loads(line) for line in (tmp_path / "logs/combined.log").open()]
    assert [line["event"] for line in combined] == ["closed", "broken"]
    assert combined[0]["connection"] == "loja"
    assert "987654321" not in (tmp_path / "logs/combined.log").read_text()
    errors = [json.loads(line) for line in (tmp_path / "logs/error.log").open()]
    assert [line["event"] for line in errors] == ["broken"]
    assert "closed connection=loja" in (tmp_path / "server.log").read_text()


def test_an_exception_keeps_its_stack(tmp_path):
    with logging_to(tmp_path):
        try:
            raise ValueError("por quê")
        except ValueError:
            logging.getLogger("zapvisor.test").exception("failed")
    [line] = [json.loads(line) for line in (tmp_path / "logs/error.log").open()]
    assert "ValueError: por quê" in line["exception"]


STUCK = """
import sys, trio
from pathlib import Path
from runtime.logs import logging_to
from supervisors import ChildSpec, Supervisor, hard_exit, open_supervisor

async def stuck(ctx):
    ctx.ready()
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()

async def main():
    tree = Supervisor([ChildSpec("stuck", stuck, stop_deadline=0.1)])
    async with open_supervisor(tree, stop_limit=0.2, logger=None, overrun=hard_exit):
        pass

with logging_to(Path(sys.argv[1])):
    trio.run(main)
"""


def test_the_last_words_of_a_process_that_ends_on_the_spot_are_written(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", STUCK, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 70
    [line] = [json.loads(line) for line in (tmp_path / "logs/error.log").open()]
    assert "root/stuck" in line["event"]


def test_only_phone_like_numbers_are_masked():
    assert mask_phones("5511987654321@s.whatsapp.net") == "5511…21@s.whatsapp.net"
    assert mask_phones("loja-5511987654321") == "loja-5511…21"
    assert mask_phones("3EB0123456789ABCDEF012") == "3EB0123456789ABCDEF012"
    uuid = "12345678-1234-4234-8234-123456789012"
    assert mask_phones(f"owner {uuid} 5511987654321") == f"owner {uuid} 5511…21"
    assert mask_phones("port 54321 seq 1234567") == "port 54321 seq 1234567"


def test_records_of_a_block_and_of_its_tasks_belong_together(tmp_path):
    logger = logging.getLogger("zapvisor.test")

    async def task():
        logger.info("in a task", extra={"message_id": "3EB0A1"})

    async def main():
        with correlated(connection="loja", incarnation=3):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(task)
            with correlated(connection="outra"):
                logger.info("deeper")
        logger.info("outside")

    with logging_to(tmp_path):
        trio.run(main)

    inner, deeper, outside = combined(tmp_path)
    assert (inner["connection"], inner["incarnation"], inner["message_id"]) == ("loja", 3, "3EB0A1")
    assert (deeper["connection"], deeper["incarnation"]) == ("outra", 3)
    assert "connection" not in outside


def test_a_file_ends_at_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MAX_BYTES", 1000)
    monkeypatch.setattr(logs, "KEPT_FILES", 3)
    with logging_to(tmp_path):
        for number in range(100):
            logging.getLogger("zapvisor.test").info("record %d", number)

    files = sorted(path.name for path in (tmp_path / "logs").glob("combined.log*"))
    assert files == ["combined.log", "combined.log.1", "combined.log.2", "combined.log.3"]
    assert all((tmp_path / "logs" / name).stat().st_size <= 1000 for name in files)
    assert combined(tmp_path)[-1]["event"] == "record 99"


def write(tmp_path, text):
    with logging_to(tmp_path):
        logging.getLogger("zapvisor.test").info(text)


def age(path, days):
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))


def test_a_file_ends_with_its_day(tmp_path):
    write(tmp_path, "yesterday")
    age(tmp_path / "logs" / "combined.log", 1)
    write(tmp_path, "today")
    write(tmp_path, "today, later")

    assert [line["event"] for line in combined(tmp_path)] == ["today", "today, later"]
    assert "yesterday" in (tmp_path / "logs" / "combined.log.1").read_text()
    # Nothing was in this one, so there is nothing to put aside.
    assert [path.name for path in (tmp_path / "logs").glob("error.log*")] == ["error.log"]


@pytest.mark.parametrize("days", [13, 15])
def test_old_files_go_by_age(tmp_path, days):
    write(tmp_path, "now")
    old = tmp_path / "logs" / "combined.log.7"
    old.write_text("{}\n")
    age(old, days)
    write(tmp_path, "later")

    assert old.exists() is (days < logs.KEPT_SECONDS / DAY)


def test_a_day_that_passes_while_running_ends_the_file(tmp_path):
    handler = logs._DailyFile(tmp_path / "x.log")
    try:
        for at in (time.time(), time.time() + DAY):
            record = logging.makeLogRecord({"msg": datetime.fromtimestamp(at, UTC).isoformat()})
            record.created = at
            handler.emit(record)
    finally:
        handler.close()

    assert (tmp_path / "x.log.1").exists()
    assert len((tmp_path / "x.log").read_text().splitlines()) == 1
