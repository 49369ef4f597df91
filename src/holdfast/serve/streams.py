"""Adds what keeps state to a service: sequences, states that clients hold, and websockets."""

from __future__ import annotations

from holdfast.serve.endpoints import Routes
from holdfast.serve.live_models import LiveModels
from holdfast.serve.sequences import Sequences
from holdfast.serve.service import Service
from holdfast.serve.websockets import Connections


def add_streams(service: Service) -> Routes:
    """Lets a service answer requests with a state, and makes the routes of its websockets.

    Args:
        service: Gets ``sequences`` and the extension of that name.

    Returns:
        The routes for :func:`holdfast.serve.app.build`.

    Raises:
        OptionError: The environment has a key for states, and it is too short.
    """
    live = LiveModels(service)
    service.sequences = Sequences(service, live)
    service.extensions.append("sequence")
    return Connections(service, live).routes()
