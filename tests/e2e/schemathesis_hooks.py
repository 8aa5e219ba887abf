"""A check for schemathesis: no 5xx, but what the API documents about a connection nobody paired."""

import schemathesis

NEEDS_A_PHONE = {"not_connected", "not_ready"}


@schemathesis.check
def no_server_error(_context, response, _case):
    if response.status_code < 500:
        return
    body = response.json()
    assert response.status_code == 503, response.text
    assert body["code"] in NEEDS_A_PHONE, response.text
    assert response.headers["retry-after"], "a 503 says when to try again"
