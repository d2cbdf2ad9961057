"""The application: routes, what stands before them, and what lives as long as it does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse

from api import docs_pages, errors, openapi
from api.guard import LOOPBACK, BodyMiddleware, HostMiddleware
from api.identity import IdentityMiddleware
from api.limit_store import SqliteStorage
from api.limits import Policies, RateLimits
from api.metrics import Metrics
from api.observe import ObserveMiddleware
from api.ratelimit import Limiter, RateLimitMiddleware
from api.routes import (
    artifacts,
    files,
    health,
    jobs,
    logs,
    projects,
    reports,
    results,
    stream,
    tokens,
    webhooks,
)
from api.shapes import ROOT
from api.tickets import Streams, Tickets
from openforge import __version__
from openforge.service.health import Doctor
from openforge.service.service import Service
from openforge.service.settings import ServiceSettings

LIMITS_FILE = "limits.db"
_ROUTERS = (projects, files, jobs, logs, stream, results, artifacts, reports, webhooks, tokens)


def create_app(service: Service) -> FastAPI:
    """`service` as an ASGI application, which starts and closes it in its lifespan."""
    settings, metrics = service.settings, Metrics()
    app = FastAPI(
        title="OpenForge",
        version=__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    app.state.service, app.state.metrics = service, metrics
    app.state.policies = Policies.of(settings)
    app.state.limits = SqliteStorage(service.workspace.path / LIMITS_FILE)
    app.state.limiter = Limiter(app.state.limits)
    app.state.doctor, app.state.tickets = Doctor(service), Tickets()
    app.state.streams = Streams(settings.websockets_per_user)
    app.state.followers = Streams(settings.followers_per_user)
    for module in (*_ROUTERS, health):
        app.include_router(module.router, prefix=ROOT)
    app.include_router(jobs.submissions, prefix=ROOT)
    app.include_router(health.metrics_router)
    docs_pages.add_docs(app)
    app.add_api_route("/", _to_docs, include_in_schema=False)
    errors.install(app)
    openapi.install(app)
    _guard(app, settings, metrics)
    return app


def _guard(app: FastAPI, settings: ServiceSettings, metrics: Metrics) -> None:
    """What a request passes, the last one added first: each sees what those before it refuse."""
    limits = RateLimits(app.state.policies)
    app.add_middleware(
        BodyMiddleware,
        upload_bytes=settings.upload_mb << 20,
        idle_s=settings.idle_upload_s,
    )
    hosts = settings.allowed_hosts if settings.auth_enabled else LOOPBACK
    app.add_middleware(HostMiddleware, hosts=hosts)
    app.add_middleware(
        RateLimitMiddleware,
        limiter_of=lambda scope: scope["app"].state.limiter,
        choose=limits.choose,
        refuse=limits.refuse,
    )
    app.add_middleware(IdentityMiddleware, enabled=settings.auth_enabled)
    app.add_middleware(ObserveMiddleware, metrics=metrics)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    try:
        await asyncio.to_thread(service.start)
        threading.Thread(target=app.state.doctor.examine, daemon=True).start()  # finds versions
        courier = asyncio.create_task(service.courier.run())
        try:
            yield
        finally:
            await asyncio.to_thread(service.drain)
            courier.cancel()
            await asyncio.gather(courier, return_exceptions=True)
    finally:
        app.state.limits.close()
        service.close()


def _operation_id(route: APIRoute) -> str:
    """``projects_create``: what a generated client calls its functions."""
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


async def _to_docs() -> RedirectResponse:
    return RedirectResponse("/docs")
