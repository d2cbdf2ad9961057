"""Health and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api import schemas
from api.deps import TheService, permit
from api.metrics import Metrics, Work
from api.routing import Route
from openforge import __version__
from openforge.control import jobs as queue
from openforge.control.tokens import Scope
from openforge.service.health import Doctor, Health

router = APIRouter(tags=["health"], route_class=Route)
metrics_router = APIRouter(tags=["health"], route_class=Route)

_METRIC = """# HELP openforge_websockets WebSocket connections open
# TYPE openforge_websockets gauge
openforge_websockets 0.0
"""


@router.get(
    "/health",
    name="get",
    summary="Health",
    response_description="Jobs can run",
    responses={503: {"model": schemas.Health, "description": "No job can run"}},
)
def health(request: Request, response: Response, service: TheService) -> schemas.Health:
    """How the service is. `200` while jobs can run, `503` when none can. Needs no token."""
    doctor: Doctor = request.app.state.doctor
    found = doctor.examine()
    if found.serious:
        response.status_code = 503
        response.headers["Retry-After"] = "10"
    return _shape(found, service.settings.queue_capacity, service.settings.jobs_at_a_time)


@metrics_router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus' text format",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _METRIC}},
        }
    },
)
def metrics(request: Request, service: TheService) -> Response:
    """Counters and gauges for Prometheus. Needs a token where tokens are switched on."""
    permit(request.state.caller, Scope.READ)
    found: Metrics = request.app.state.metrics
    with service.control.read() as connection:
        jobs = queue.by_status(connection)
    text, kind = found.render(Work(jobs, service.courier.outcomes))
    return Response(text, media_type=kind)


def _shape(found: Health, capacity: int, width: int) -> schemas.Health:
    queue_ = None
    if found.queued is not None and found.running is not None:
        queue_ = schemas.Queue(
            queued=found.queued, running=found.running, capacity=capacity, jobs_at_a_time=width
        )
    return schemas.Health(
        status="unavailable" if found.serious else "degraded" if found.problems else "ok",
        version=__version__,
        problems=list(found.problems),
        tools={
            tool.name: schemas.ToolState(
                available=tool.version is not None, version=tool.version, required=tool.required
            )
            for tool in found.tools
        },
        queue=queue_,
        disk_free_mb=found.disk_free_mb,
        database="ok" if found.database_ok else "error",
        sandbox=found.sandbox,
    )
