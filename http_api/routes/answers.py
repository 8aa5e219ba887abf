"""What the routes have in common: the runtime behind them and the answers they document."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, Request

from ..facade import Application
from ..schemas import FailureBody, Success

_FAILURES = {
    400: "A requisição está malformada; `details` nomeia cada campo inválido.",
    401: "Falta a credencial, ou ela não é válida ou expirou.",
    403: "A credencial não dá acesso a isto.",
    404: "O identificador não existe.",
    408: "O corpo da requisição demorou demais para chegar.",
    409: "Já existe, ou o estado atual não permite.",
    413: "O corpo da requisição é grande demais.",
    414: "O endereço é longo demais.",
    415: "O corpo não é JSON.",
    422: "Não pode ser enviado: o número não está no WhatsApp, ou o tipo não é suportado.",
    429: "Chamadas demais com esta credencial; tente de novo após `Retry-After` segundos.",
    431: "Os cabeçalhos são grandes demais.",
    503: "Uma parte está fora do ar ou sobrecarregada; tente de novo após `Retry-After` segundos.",
    504: "A operação demorou demais.",
}
_EVERYWHERE = (400, 401, 403, 414, 429, 431, 503, 504)
_WITH_BODY = (408, 413, 415)


def answers(model: Any, *extra: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route: ``model`` as ``data`` on success, failures otherwise.

    Args:
        model: type of ``data`` (200).
        extra: failure statuses that this route has besides the common ones.
        body: whether the route reads a request body.
    """
    statuses = sorted({*_EVERYWHERE, *extra, *(_WITH_BODY if body else ())})
    documented: dict[int | str, dict[str, Any]] = {
        200: {"model": Success[model], "description": "Feito."}
    }
    documented.update(
        {code: {"model": FailureBody, "description": _FAILURES[code]} for code in statuses}
    )
    documented["default"] = {"model": FailureBody, "description": "Qualquer outra falha."}
    return documented


async def application(request: Request) -> Application:
    """The runtime that this API controls."""
    return cast("Application", request.app.state.application)


Runtime = Annotated[Application, Depends(application)]
