"""Health, metrics and documentation: no key needed, no secret and no phone number inside."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from ..control import Alive, Ready
from ..docs import CONTENT_SECURITY_POLICY, page
from ..envelope import Failure, success
from ..errors import retry_after
from ..parsed import Route
from ..schemas import Success
from .answers import Runtime, failures

router = APIRouter(route_class=Route, tags=["Saúde"])


@router.get(
    "/health/live",
    summary="O processo está vivo",
    responses={200: {"model": Success[Alive], "description": "Está."}, **failures("not_alive")},
)
async def live(runtime: Runtime) -> Response:
    """503 quando a supervisão desistiu e o processo deve ser reiniciado."""
    if runtime.live():
        return success({"status": "alive"})
    return Failure(503, "not_alive", "O sistema não está vivo.").response()


@router.get(
    "/health/ready",
    summary="O sistema está pronto",
    responses={200: {"model": Success[Ready], "description": "Está."}, **failures("not_ready")},
)
async def ready(runtime: Runtime) -> Response:
    """200 quando mensagens podem ser recebidas e enviadas; cada parte com o seu estado."""
    is_ready, parts = await runtime.ready()
    if is_ready:
        return success(parts)
    return Failure(
        503, "not_ready", "O sistema ainda não está pronto.", parts, (retry_after(5),)
    ).response()


@router.get(
    "/metrics",
    summary="Métricas para o Prometheus",
    response_class=Response,
    responses={
        200: {
            "content": {
                kind: {"schema": {"type": "string"}}
                for kind in ("text/plain", "application/openmetrics-text")
            }
        }
    },
)
async def metrics(request: Request, runtime: Runtime) -> Response:
    """Formato de texto do Prometheus, ou OpenMetrics para quem o pede em `Accept`."""
    accept = request.headers.get("accept", "")
    body, content_type = await request.app.state.metrics.exposition(runtime, accept)
    return Response(body, headers={"Content-Type": content_type, "Vary": "Accept"})


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The documentation as one page, rendered from the OpenAPI document."""
    return HTMLResponse(
        page(request.app.openapi()), headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    )
