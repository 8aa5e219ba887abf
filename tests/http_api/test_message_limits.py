"""What the API accepts of a message, the bridge takes: the same limits in the same unit."""

import json
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from http_api.conversation import EditMessage, ReactToMessage
from http_api.routes.conversation import plain_request
from http_api.sending import SendFile, SendMessage
from runtime import limits
from runtime.errors import Invalid
from runtime.identity import recipient_jid
from runtime.journal import Connection
from runtime.media import desk
from runtime.media.names import safe_name
from runtime.node_parts import node_executable
from runtime.outbound.media_message import compose_media
from runtime.outbound.plain_message import change_content, compose_plain

ROOT = Path(__file__).resolve().parents[2]
LOJA = Connection("loja", "Loja", "owner", None, datetime(2026, 1, 1, tzinfo=UTC))
TO = "5511987654321@s.whatsapp.net"
KEY = {"id": "3EB0", "fromMe": True, "participant": None}
ALPHABETS = ["a", "é", "日", "😀", "e\u0301"]

_READ = """
import { parseFrame } from "./bridge/src/protocol.ts";
let text = "";
for await (const chunk of process.stdin) text += chunk;
const answers = text.trim().split("\\n").map((line) => {
  try { parseFrame(line); return null; } catch (error) { return error.message; }
});
console.log(JSON.stringify(answers));
"""


def bridge_refuses(contents):
    """Why the bridge's own parser refuses each content; None for those that it takes."""
    frames = [
        {"v": 1, "type": "send", "requestId": "1", "messageId": "3EB0", "to": TO, "content": one}
        for one in contents
    ]
    done = subprocess.run(
        [str(node_executable()), "--input-type=module", "-e", _READ],
        input="\n".join(map(json.dumps, frames)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return json.loads(done.stdout)


def test_both_sides_have_the_same_numbers():
    text = (ROOT / "bridge" / "src" / "limits.ts").read_text()
    theirs = {
        name: int(value.replace("_", "")) for name, value in re.findall(r"(\w+): ([\d_]+)", text)
    }
    ours = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert theirs == ours


def filled(alphabet, longest):
    """As long as fits."""
    text = alphabet * (longest // limits.units(alphabet))
    return text + "x" * (longest - limits.units(text))


def bodies(fill):
    """One message of each kind with every text of it as long as ``fill`` makes it."""
    place = {"latitude": -90, "longitude": 180}
    places = {name: fill(limits.PLACE) for name in ("name", "address")}
    link = fill(limits.LINK_URL - 20).replace(" ", "")
    url = f"https://l.example/{link}"
    card = {"name": fill(limits.CONTACT_NAME), "phones": ["11987654321"] * 10}
    options = [fill(limits.POLL_OPTION - 2) + f"{number:02}" for number in range(12)]
    preview = {
        "url": url,
        "title": fill(limits.LINK_TITLE),
        "description": fill(limits.LINK_DESCRIPTION),
    }
    mentions = [f"55119{80_000_000 + number}" for number in range(limits.MENTIONS)]
    return {
        "text": {"content": fill(limits.TEXT)},
        "mentions": {"content": fill(limits.TEXT), "mentions": mentions},
        "location": {"type": "location", "location": place | places},
        "contact": {"type": "contact", "contacts": [card] * limits.CONTACTS},
        "poll": {"type": "poll", "poll": {"name": fill(limits.POLL_NAME), "options": options}},
        "link": {"content": f"veja {url}", "linkPreview": preview},
    }


def message(fields):
    return SendMessage.model_validate({"connectionId": "loja", "to": TO, **fields})


def content_of(fields):
    asked = plain_request(message(fields), None)
    request = replace(asked, mentions=[recipient_jid(one) for one in asked.mentions])
    command, _ = compose_plain(
        LOJA, request, asked=TO, address=TO, quoted=None, now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    return command.content


def media_content(caption, name):
    command, _ = compose_media(
        LOJA,
        address=TO,
        kind="document",
        caption=caption,
        file_name=safe_name(name),
        mimetype="application/pdf",
        size=1,
        sha256="",
        voice=False,
        view_once=False,
        seconds=None,
        quoted=None,
        mentions=(),
        idempotency_key=None,
        request_hash="",
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return {"document": {"upload": "AAAA", **command.content["media"]}}


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_the_bridge_takes_the_longest_that_the_api_accepts(alphabet):
    def fill(longest):
        return filled(alphabet, longest)

    contents = {kind: content_of(fields) for kind, fields in bodies(fill).items()}
    emoji = ReactToMessage(emoji=fill(limits.REACTION)).emoji
    edited = EditMessage(content=fill(limits.TEXT)).content
    contents["reaction"] = change_content("reacao", KEY, emoji)
    contents["edit"] = change_content("edicao", KEY, edited)
    file_name = SendFile(connectionId="loja", to=TO, type="document", fileName=fill(1000)).file_name
    contents["document"] = media_content(fill(limits.CAPTION), file_name)
    answers = dict(zip(contents, bridge_refuses(contents.values()), strict=True))
    assert answers == dict.fromkeys(contents)


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize(
    "field",
    [
        "text",
        "location.name",
        "contacts.0.name",
        "poll.name",
        "poll.options.0",
        "linkPreview.title",
    ],
)
def test_one_unit_more_is_refused_by_name(alphabet, field):
    fields = {
        "text": ("text", "content"),
        "location.name": ("location", "location.name"),
        "contacts.0.name": ("contact", "contacts.0.name"),
        "poll.name": ("poll", "poll.name"),
        "poll.options.0": ("poll", "poll.options.0"),
        "linkPreview.title": ("link", "linkPreview.title"),
    }
    kind, path = fields[field]
    body = bodies(lambda longest: filled(alphabet, longest))[kind]
    *parents, last = path.split(".")
    place = body
    for name in parents:
        place = place[int(name) if name.isdecimal() else name]
    place[int(last) if last.isdecimal() else last] += "xxx"
    with pytest.raises(ValidationError) as refused:
        message(body)
    error = refused.value.errors()[0]
    assert error["type"] == "string_too_long"
    assert ".".join(map(str, error["loc"])) == path


def test_a_caption_is_measured_in_the_same_unit():
    request = desk.MediaRequest(
        to=TO, kind="image", caption="😀" * (limits.CAPTION // 2), file_name=None
    )
    desk._check(request)
    longer = desk.MediaRequest(
        to=TO, kind="image", caption="😀" * (limits.CAPTION // 2 + 1), file_name=None
    )
    with pytest.raises(Invalid) as refused:
        desk._check(longer)
    assert refused.value.code == "content_too_long"
