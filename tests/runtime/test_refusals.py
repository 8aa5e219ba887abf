"""What is told of a send that failed."""

import re

import pytest

from runtime.errors import ZapvisorError
from runtime.refusals import all_refusals, refusal_of

GROUP = "120363000000000000@g.us"


@pytest.mark.parametrize("chat", ["5511987654321@s.whatsapp.net", "100@lid", GROUP, ""])
def test_every_word_becomes_one_of_the_codes_with_a_sentence(chat):
    known = {one.code for one in all_refusals()}
    for word in [None, "", "upload_failed", "²", *map(str, range(1000))]:
        refusal = refusal_of(word, chat)
        assert refusal.code in known
        assert re.fullmatch(r"[a-z_]+", refusal.code)
        assert re.fullmatch(r"[A-ZÀ-Ý][^\d]{20,}\.", refusal.sentence)
        error = refusal.failure({"id": "1"})
        assert isinstance(error, ZapvisorError)
        assert error.code == refusal.code


def test_a_number_that_is_not_known_is_told_as_it_came():
    refusal = refusal_of("777")
    assert (refusal.code, refusal.facts) == ("refused_by_whatsapp", {"whatsappCode": 777})


def test_in_a_group_a_refusal_is_about_the_group():
    assert refusal_of("403", GROUP).code == "not_in_group"
    assert refusal_of("403", "100@lid").code == "not_allowed"
    assert refusal_of("463", GROUP).code == "new_contacts_blocked"


def test_a_word_that_is_not_known_is_told_beside_the_code():
    refusal = refusal_of("upload_failed")
    assert (refusal.code, refusal.facts) == ("send_failed", {"reason": "upload_failed"})
