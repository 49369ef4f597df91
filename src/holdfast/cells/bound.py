"""A cell with its parameters and masks, ready to run over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from holdfast.cells import gru, lstm, rnn
from holdfast.cells.noise import Noise
from holdfast.cells.options import Kind
from holdfast.cells.products import Parameters, input_product
from holdfast.cells.spec import CellSpec

_STEP: dict[Kind, Any] = {"rnn": rnn.step, "lstm": lstm.step, "gru": gru.step}
_NO_NOISE = Noise()


@dataclass(frozen=True)
class BoundCell:
    """A cell with its parameters and the masks of one batch of sequences, ready to run over time.

    Attributes:
        spec: The cell.
        parameters: As :meth:`CellSpec.parameter_shapes` names and shapes them.
        noise: The masks; None while evaluating, or for a cell without a random part.

    Example:
        >>> import torch
        >>> spec = CellSpec(kind="gru", input_size=3, hidden_size=4)
        >>> cell = BoundCell(spec, {name: torch.ones(shape) for name, shape in spec.parameter_shapes().items()})
        >>> prepared = cell.prepare(torch.zeros(5, 2, 3))
        >>> state = (torch.zeros(2, 4),)
        >>> for t in range(5):
        ...     output, state = cell.step(t, prepared[t], state)
        >>> output.shape
        torch.Size([2, 4])
    """

    spec: CellSpec
    parameters: Parameters
    noise: Noise | None = None

    @property
    def is_closed(self) -> bool:
        """Whether a step depends only on these attributes; an activation that is a callable may use other tensors."""
        return all(isinstance(name, str) for name in self.spec.activations)

    def prepare(self, inputs: Tensor) -> Tensor:
        """The input product of all steps at once, which needs no state: [T, B, I] -> [T, B, gates * H].

        Args:
            inputs: The inputs of all steps, [T, B, I].
        """
        return input_product(self.spec, self.parameters, inputs)

    def step(self, t: int, prepared: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Step ``t`` of the sequence.

        Args:
            t: The number of the step, which selects the masks.
            prepared: The part of this step in the result of :meth:`prepare`, [B, gates * H].
            state: The state before the step: h, or (h, c) for the LSTM, each [B, H].

        Returns:
            The output [B, H] and the new state.
        """
        noise = _NO_NOISE if self.noise is None else self.noise.at(t)
        return _STEP[self.spec.kind](self.spec, self.parameters, prepared, state, noise)  # type: ignore[no-any-return]

    def gates(self, prepared: Tensor, state: Any) -> dict[str, Tensor]:
        """The gates and the candidate of steps without masks, by their letters in the equations.

        Args:
            prepared: The result of :meth:`prepare` for N steps, in any order and of any rows, [N, gates * H].
            state: The state before each of these steps, [N, size] each.

        Returns:
            [N, H] each: i, f, g, o of the LSTM (f also with coupled gates); r, z, n of the GRU; h of the RNN, before
            its zoneout.
        """
        gates: dict[str, Tensor] = {}
        _STEP[self.spec.kind](self.spec, self.parameters, prepared, state, _NO_NOISE, gates)
        return gates
