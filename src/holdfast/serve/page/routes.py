"""The paths of the page: its files, and what it asks about the models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from holdfast.errors import HoldfastError, MissingLibraryError, ModelFileError
from holdfast.serve.endpoints import Endpoint
from holdfast.serve.facts import Facts
from holdfast.serve.guard import json_answer
from holdfast.serve.models import ServedModel
from holdfast.serve.open_inference import model_of
from holdfast.serve.page import static
from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service


async def models(request: Request) -> Response:
    """The models, in the order in which the server was given them."""
    service = Service.of(request)
    return json_answer(
        {
            "models": [
                {"name": model.name, "version": model.version, "task": model.task, "streams": model.network is not None}
                for model in service.models
            ]
        }
    )


async def about(request: Request) -> Response:
    """What the page asks a person for, and what it shows, for one model."""
    return json_answer(await _once(request, "about", _about))


def _about(model: ServedModel, service: Service) -> Any:
    from holdfast.serve.page.about import about  # it imports torch for a model of a task

    return about(model, examples=service.examples)


async def card(request: Request) -> Response:
    """The card of a model as HTML, and what it computes."""
    return json_answer(await _once(request, "card", _card))


def _card(model: ServedModel, service: Service) -> Any:
    from holdfast.serve.page.cards import card_of

    return card_of(model)


async def _once(request: Request, path: str, compute: Callable[[ServedModel, Service], Any]) -> Any:
    """A value about the model that a request names, which a thread computes for the first request."""
    service, model = Service.of(request), model_of(request)
    key = model.name, model.version, path
    if key not in service.of_page:
        client = Facts.of(request).client
        service.of_page[key] = await service.work.run(_computed, compute, model, service, client=client)
    return service.of_page[key]


def _computed(compute: Callable[[ServedModel, Service], Any], model: ServedModel, service: Service) -> Any:
    """A value about a model. What is wrong with the files of its run is for the log alone.

    Raises:
        Refusal: The model has no such value.
        MissingLibraryError: A library is not installed.
        ModelFileError: A file of the server cannot be used.
    """
    try:
        return compute(model, service)
    except (Refusal, MissingLibraryError):
        raise
    except HoldfastError as error:
        raise ModelFileError(str(error)) from error


ROUTES = [
    *static.routes(),
    Endpoint("GET", "/page/models", models, "The models, for the page", in_document=False),
    Endpoint("GET", "/page/models/{model}", about, "What the page asks for", in_document=False),
    Endpoint("GET", "/page/models/{model}/card", card, "The card of a model", in_document=False),
]
