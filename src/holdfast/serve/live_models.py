"""What is kept while streams of a model are live: the pool of their rows, and how clients hold their states."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.serve.held_state import HeldStates, key_from_environment
from holdfast.serve.models import ServedModel
from holdfast.serve.pool import Pool
from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service


class LiveModel:
    """The streams of one model.

    Attributes:
        model: The model.
        pool: Its live streams.
        held: The states that its clients hold.
    """

    def __init__(self, model: ServedModel, pool: Pool, held: HeldStates) -> None:
        self.model, self.pool, self.held = model, pool, held


class LiveModels:
    """The streams of all models of a service. A model has a pool from its first stream on.

    Args:
        service: The service. Its ``lifecycle`` ends the pools.

    Raises:
        OptionError: The key in the environment is too short.
    """

    def __init__(self, service: Service) -> None:
        self._service, self._key = service, key_from_environment()
        self._live: dict[tuple[str, str], LiveModel] = {}
        service.lifecycle.on_stop.append(self.close)

    def __iter__(self) -> Iterator[LiveModel]:
        return iter(self._live.values())

    def get(self, model: ServedModel) -> LiveModel:
        """The streams of a model.

        Raises:
            Refusal: 422 where it cannot stream.
        """
        key = model.name, model.version
        if key not in self._live:
            if model.network is None:
                raise Refusal(422, f"The model {model.name!r} cannot be streamed. {model.why_no_stream}".strip())
            limits = self._service.limits
            pool = Pool(model.network, model.name, limits, self._service.metrics, self._service.holding)
            held = HeldStates(pool.network, model.digest, self._key, limits.held_state_seconds)
            self._live[key] = LiveModel(model, pool, held)
        return self._live[key]

    async def close(self) -> None:
        """Ends all pools, when the steps under way are answered."""
        for live in self:
            await live.pool.close()
