"""A path of the server with its handler and its description in the OpenAPI document, in one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from holdfast.serve.facts import Facts

Handler = Callable[[Request], Awaitable[Response]]
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """A method and a path.

    Attributes:
        method: ``"GET"`` or ``"POST"``.
        path: As starlette and OpenAPI write it: ``"/predict/{model}"``.
        handler: Answers a request; it raises :class:`~holdfast.serve.refusals.Refusal` where it does not.
        summary: One line for the OpenAPI document.
        description: More, for the OpenAPI document.
        body: The request body of the OpenAPI document: ``{"application/json": {"schema": ...}, ...}``.
        answers: The contents of the answer with status 200, in the same form.
        refusals: The statuses of refusals beyond those of every path.
        public: Answered without a token.
        in_document: Whether the OpenAPI document lists it.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    description: str = ""
    body: Document | None = None
    answers: Document = field(default_factory=dict)
    refusals: Sequence[int] = ()
    public: bool = False
    in_document: bool = True

    def route(self) -> Route:
        """The route of starlette."""

        async def answer(request: Request) -> Response:
            Facts.of(request).path = self.path
            return await self.handler(request)

        return Route(self.path, answer, methods=[self.method])


Routes = Sequence[Endpoint | WebSocketRoute]
"""What a module of the server adds to the application."""
