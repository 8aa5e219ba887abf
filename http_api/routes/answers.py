"""What the routes have in common: the runtime behind them and the answers they document."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, Request
from starlette.responses import Response

from runtime.refusals import all_refusals

from ..codes import CODES
from ..envelope import success
from ..facade import Application
from ..schemas import FailureBody, Success

_FAILURES = {
    400: "A requisição está malformada; `details` nomeia cada campo inválido.",
    401: "Falta a credencial, ou ela não é válida ou expirou.",
    403: "A credencial não dá acesso a isto.",
    404: "O identificador não existe.",
    408: "O corpo da requisição demorou demais para chegar.",
    409: "Já existe, ou o estado atual não permite.",
    413: "O corpo da requisição, ou o que haveria a responder, é grande demais.",
    414: "O endereço é longo demais.",
    415: "O corpo, ou o arquivo, não é do tipo esperado.",
    416: "O arquivo não tem a parte pedida.",
    422: "Não pode ser enviado: o WhatsApp não o entregaria.",
    429: "Rápido demais, para nós ou para o WhatsApp; tente de novo após `Retry-After` segundos.",
    431: "Os cabeçalhos são grandes demais.",
    503: "Uma parte está fora do ar ou sobrecarregada; tente de novo após `Retry-After` segundos.",
    504: "A operação demorou demais.",
}
_EVERYWHERE = (
    "validation_error",
    "missing_credential",
    "invalid_credential",
    "expired_credential",
    "forbidden",
    "forbidden_owner",
    "missing_permission",
    "url_too_long",
    "rate_limited",
    "quota_calls",
    "headers_too_large",
    "auth_unavailable",
    "overloaded",
    "runtime_stopped",
    "starting",
    "start_failed",
    "journal_unavailable",
    "journal_stopped",
    "journal_disk_full",
    "journal_io_error",
    "journal_corrupt",
    "supabase_unavailable",
    "refused_by_supabase",
    "answer_too_large",
    "deadline_exceeded",
)
_WITH_BODY = (
    "unsupported_field",
    "malformed_json",
    "invalid_text",
    "request_timeout",
    "body_too_large",
    "body_too_complex",
    "conflicting_headers",
    "unsupported_media_type",
)

# Codes of routes that have something in common.
ONE_CONNECTION = ("invalid_connection_id", "connection_not_found")
LIVE = ("not_connected", "not_ready", "timeout", "query_failed", "interrupted")
REFUSED = tuple(one.code for one in all_refusals())
"""Of sends that WhatsApp, or the bridge for it, does not take."""
SENDING = (
    *REFUSED,
    "quota_sends",
    *ONE_CONNECTION,
    "invalid_phone",
    "ambiguous_number",
    "invalid_recipient",
    "invalid_idempotency_key",
    "invalid_text",
    "empty_content",
    "content_too_long",
    "missing_location",
    "missing_contacts",
    "missing_poll",
    "invalid_contacts",
    "invalid_poll",
    "invalid_link_preview",
    "message_not_found",
    "not_a_whatsapp_message",
    "unreadable_row",
    "idempotency_conflict",
    "message_exists",
    "unsupported_type",
)
FILES = (
    "invalid_request",
    "missing_media_url",
    "invalid_media_url",
    "media_url_not_allowed",
    "invalid_data_url",
    "caption_not_possible",
    "empty_file",
    "storage_refused",
    "media_too_large",
    "media_type_mismatch",
    "voice_needs_opus",
    "media_url_timeout",
    "media_url_unreachable",
    "media_url_failed",
    "disk_full",
)


def sent_answer(sent: dict[str, Any]) -> Response:
    """200 for a message that WhatsApp has; 202 while that is not known."""
    return success(sent, status=202 if sent["status"] in ("queued", "unknown") else 200)


def answers(model: Any, *codes: str, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route: ``model`` as ``data`` on success, failures otherwise.

    Args:
        model: type of ``data`` (200).
        codes: of the failures that this route has besides the common ones; see ``codes``.
        body: whether a request may have a body, wanted or not.
    """
    return {
        200: {"model": Success[model], "description": "Feito."},
        **failures(*_EVERYWHERE, *(_WITH_BODY if body else ()), *codes),
        "default": {
            "model": FailureBody,
            "description": "Qualquer outra falha.",
            "content": _examples(["internal_error"]),
        },
    }


def failures(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The failures with these codes, by status, with an example of each."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(CODES[code].status, []).append(code)
    return {
        status: {
            "model": FailureBody,
            "description": _FAILURES[status],
            "content": _examples(several),
        }
        for status, several in sorted(by_status.items())
    }


def _examples(codes: list[str]) -> dict[str, Any]:
    return {"application/json": {"examples": {code: {"value": _example(code)} for code in codes}}}


def _example(code: str) -> dict[str, Any]:
    known = CODES[code]
    failure: dict[str, Any] = {"success": False, "error": known.sentence, "code": code}
    return failure if known.details is None else {**failure, "details": known.details}


async def application(request: Request) -> Application:
    """The runtime that this API controls."""
    return cast("Application", request.app.state.application)


Runtime = Annotated[Application, Depends(application)]
