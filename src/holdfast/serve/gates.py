"""The gates and states of a live stream, for clients that ask for them: ``WS /stream/MODEL?inside=true``."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from holdfast.runtime.network import StreamNetwork
from holdfast.serve.limits import Limits
from holdfast.serve.refusals import Refusal
from holdfast.serve.ticks import StepRequest

_DIGITS = 4


class Gates:
    """Writes the gates and states of answers. They are computed by torch, which the first use imports.

    Args:
        network: What the stream computes.
        limits: ``inside_values`` is used.
    """

    def __init__(self, network: StreamNetwork, limits: Limits) -> None:
        from holdfast.inspect.stream_recording import recorded_values

        self._network, self._most = network, limits.inside_values
        self._values = recorded_values(network)

    def check(self, steps: int) -> None:
        """Refuses steps with too many gates and states for one answer.

        Raises:
            Refusal: 413.
        """
        if steps * self._values > self._most:
            raise Refusal(
                413,
                f"{steps:,} steps have {steps * self._values:,} values of gates and states; at most {self._most:,} are "
                "sent at once (inside_values). Send fewer steps at once.",
            )

    async def of(self, answer: StepRequest) -> list[dict[str, Any]]:
        """The layers of an answer that was recorded: ``name``, ``cell``, ``gates`` and ``states``, [T][units] each."""
        return await asyncio.to_thread(self._layers, answer)

    def _layers(self, answer: StepRequest) -> list[dict[str, Any]]:
        from holdfast.inspect.stream_recording import record_steps

        return [
            {
                "name": name,
                "cell": layer.cell,
                "gates": {gate: _rounded(values[0].numpy()) for gate, values in layer.gates.items()},
                "states": {state: _rounded(values[0].numpy()) for state, values in layer.states.items()},
            }
            for name, layer in record_steps(self._network, answer.x, answer.states).items()
        ]


def _rounded(values: Any) -> list[list[float | None]]:
    """Numbers with a few decimals, as many as a picture shows; None for NaN and infinities."""
    rows: list[list[float | None]] = np.round(values.astype(np.float64), _DIGITS).tolist()
    if np.isfinite(values).all():
        return rows
    return [[value if value is not None and np.isfinite(value) else None for value in row] for row in rows]
