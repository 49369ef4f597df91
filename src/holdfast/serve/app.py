"""The application: every path of the server, behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from holdfast.serve import description, open_inference, plain_door, watching
from holdfast.serve.endpoints import Endpoint, Routes
from holdfast.serve.guard import Guard
from holdfast.serve.installed import is_whole
from holdfast.serve.service import Service


def build(service: Service, further: Sequence[Routes] = ()) -> Starlette:
    """The application of a service.

    Args:
        service: The models and all that serves them.
        further: Routes beyond those of this package's own modules.
    """
    own = [watching.ROUTES, open_inference.ROUTES, plain_door.ROUTES]
    if is_whole():  # the page shows cards and what tasks read, which holdfast-runtime does not have
        from holdfast.serve import page

        own.append(page.ROUTES)
    routes = list(chain(*own, *further))
    endpoints = [route for route in routes if isinstance(route, Endpoint)]
    described = description.routes(endpoints, service)
    everything = [*routes, *described]
    public = {route.path for route in everything if isinstance(route, Endpoint) and route.public}
    middleware = [Middleware(Guard, service=service, public=frozenset(public))]
    if service.cors:
        headers = ["Authorization", "Content-Type", "X-Request-ID", "Inference-Header-Content-Length"]
        cors = Middleware(
            CORSMiddleware,
            allow_origins=service.cors,
            allow_methods=["GET", "POST"],
            allow_headers=headers,
            expose_headers=["X-Request-ID", "Inference-Header-Content-Length"],
        )
        middleware.insert(0, cors)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for start in service.lifecycle.on_start:
            await start()
        yield
        for stop in service.lifecycle.on_stop:
            await stop()
        service.work.close()

    app = Starlette(
        routes=[route.route() if isinstance(route, Endpoint) else route for route in everything],
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: _raised},
    )
    app.state.service = service
    return app


async def _raised(request: Request, error: Exception) -> Response:
    """Leaves the errors of starlette, such as an unknown path, to the guard, which answers all errors."""
    raise error
