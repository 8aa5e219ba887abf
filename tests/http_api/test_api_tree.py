"""The supervision tree over the API, and the dashboard's files."""

import pytest
from fake_application import PARKED

from http_api.routes.dashboard import CONTENT_SECURITY_POLICY

TREE = "/api/whatsapp-bootstrap/tree"


async def test_the_tree_is_told_with_paths(client):
    answer = await client.get(TREE)
    assert answer.status_code == 200
    assert answer.json()["data"]["path"] == "zapvisor"


async def test_a_parked_child_is_unparked_by_its_path(client, application):
    answer = await client.post(f"{TREE}/unpark", json={"path": PARKED})
    assert answer.status_code == 200
    assert ("unpark", PARKED) in application.calls


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"path": "zapvisor/nobody"}, 404, "child_not_found"),
        ({"path": ""}, 400, "validation_error"),
        ({}, 400, "validation_error"),
    ],
)
async def test_another_path_is_refused(client, body, status, code):
    answer = await client.post(f"{TREE}/unpark", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_tree_needs_a_key_and_the_page_does_not(stranger):
    assert (await stranger.get(TREE)).status_code == 401
    assert (await stranger.post(f"{TREE}/unpark", json={"path": PARKED})).status_code == 401
    page = await stranger.get("/")
    assert page.status_code == 200
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


async def test_every_file_that_the_page_names_is_there(stranger):
    page = (await stranger.get("/")).text
    for name, kind in (("main.js", "text/javascript"), ("style.css", "text/css")):
        assert f"/dashboard/{name}" in page
        answer = await stranger.get(f"/dashboard/{name}")
        assert answer.headers["content-type"].startswith(kind)
    missing = await stranger.get("/dashboard/style.css.bak")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_a_file_that_has_not_changed_is_not_sent_again(stranger):
    tag = (await stranger.get("/")).headers["etag"]
    again = await stranger.get("/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
