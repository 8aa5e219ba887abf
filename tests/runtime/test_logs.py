"""Log records: JSON in files, phones masked."""

import json
import logging

from runtime.logs import logging_to, mask_phones


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


def test_only_phone_like_numbers_are_masked():
    assert mask_phones("5511987654321@s.whatsapp.net") == "5511…21@s.whatsapp.net"
    assert mask_phones("3EB0123456789ABCDEF012") == "3EB0123456789ABCDEF012"
    assert mask_phones("port 54321 seq 1234567") == "port 54321 seq 1234567"
