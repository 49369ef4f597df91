"""A cell tied to its parameters and masks, so that it can be run over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from holdfast.cells import gru, lstm, rnn
from holdfast.cells.noise import Noise
from holdfast.cells.products import Parameters, input_product
from holdfast.cells.spec import CellSpec, Kind

_STEP: dict[Kind, Any] = {"rnn": rnn.step, "lstm": lstm.step, "gru": gru.step}
_NO_NOISE = Noise()


@dataclass(frozen=True)
class BoundCell:
    """A cell with its parameters and the masks of one batch of sequences: ready to be run over time.

    Attributes:
        spec: The cell.
        parameters: As :meth:`CellSpec.parameter_shapes` names and shapes them.
        noise: The masks; None while evaluating, or for a cell without a random part.
    """

    spec: CellSpec
    parameters: Parameters
    noise: Noise | None = None

    @property
    def is_closed(self) -> bool:
        """Whether a step depends on nothing beyond what is here; an activation of one's own may bring anything."""
        return all(isinstance(name, str) for name in self.spec.activations)

    def prepare(self, inputs: Tensor) -> Tensor:
        """The part of every step that needs no state, for all steps at once: [T, B, I] -> [T, B, gates * H]."""
        return input_product(self.spec, self.parameters, inputs)

    def step(self, t: int, prepared: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Step ``t`` of the sequence: what :meth:`prepare` gave for it and the state -> output and new state."""
        noise = _NO_NOISE if self.noise is None else self.noise.at(t)
        return _STEP[self.spec.kind](self.spec, self.parameters, prepared, state, noise)  # type: ignore[no-any-return]
