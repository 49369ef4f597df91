"""The parts of a network that only ONNX files bring: operators, constants, recurrent nodes without own weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holdfast.engines import Request, select
from holdfast.engines.lengths import check_lengths
from holdfast.errors import OptionError, ShapeError, did_you_mean
from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.operators import OPERATORS

Outputs = tuple[Tensor | None, ...]


class Operator(nn.Module):
    """An operator of ONNX.

    Inputs and outputs are the operator's, but those that the file holds as numbers are attributes.
    """

    def __init__(self, op: str, **attributes: Any) -> None:
        """Keeps what is asked.

        Args:
            op: A name of :data:`holdfast.interop.onnx.operators.OPERATORS`.
            **attributes: The keyword arguments of its function.
        """
        super().__init__()
        if op not in OPERATORS:
            raise OptionError(f"There is no operator {op!r}: {did_you_mean(str(op), OPERATORS)}")
        self.op, self.attributes = op, attributes

    def forward(self, *inputs: Tensor | None) -> Outputs:
        """As the class says."""
        found = OPERATORS[self.op](*inputs, **self.attributes)
        return found if isinstance(found, tuple) else (found,)

    def extra_repr(self) -> str:
        """The operator and its attributes."""
        return ", ".join([self.op, *(f"{name}={value}" for name, value in self.attributes.items())])


class Constant(nn.Module):
    """A value that the file holds: a parameter, or where it is none of floating point, a buffer."""

    value: Tensor

    def __init__(self, shape: list[int], dtype: str) -> None:
        """Makes room for the value.

        Args:
            shape: Its sizes.
            dtype: Its element type, as torch calls it.
        """
        super().__init__()
        kind = getattr(torch, dtype, None)
        if not isinstance(kind, torch.dtype):
            raise OptionError(f"There is no element type {dtype!r}; expected one of torch's, such as 'float32'.")
        empty = torch.empty(shape, dtype=kind)
        if kind.is_floating_point:
            self.value = nn.Parameter(empty)
        else:
            self.register_buffer("value", empty)

    def forward(self) -> Outputs:
        """The value."""
        return (self.value,)


class RecurrentOperator(nn.Module):
    """A node LSTM, GRU or RNN of ONNX whose weights are inputs, or computed by other nodes.

    Inputs and outputs are the operator's, in ONNX's layout.
    """

    def __init__(self, op: str, inputs: list[str], outputs: int, attributes: dict[str, Any]) -> None:
        """Reads the attributes.

        Args:
            op: ``"LSTM"``, ``"GRU"`` or ``"RNN"``.
            inputs: Which inputs are given, ``""`` for one left out.
            outputs: How many outputs there are.
            attributes: The node's.
        """
        super().__init__()
        if op not in onnx_recurrent.KINDS:
            raise OptionError(f"There is no recurrent operator {op!r}: {did_you_mean(str(op), onnx_recurrent.KINDS)}")
        self.node = OnnxNode(op, op, tuple(inputs), ("Y", "Y_h", "Y_c")[:outputs], attributes)
        self.settings = onnx_recurrent.settings(self.node)

    def forward(self, *inputs: Tensor | None) -> Outputs:
        """As the class says."""
        found = self.settings
        names = onnx_recurrent.INPUTS[found.kind]
        given = {name: value for name, value in zip(names, inputs, strict=False) if value is not None}
        weights = {name: given[name] for name in onnx_recurrent.WEIGHTS if name in given}
        x = given["X"] if found.batch_first else given["X"].transpose(0, 1)
        specs = onnx_recurrent.specs(self.node, found, weights)
        if x.ndim != 3 or x.shape[2] != specs[0].input_size:
            raise ShapeError(
                f"{self.node.op} got X of shape {tuple(given['X'].shape)} and W of shape {tuple(weights['W'].shape)}; "
                "expected X with three dimensions, the last as wide as W's."
            )
        lengths = check_lengths(given.get("sequence_lens"), x.shape[0], x.shape[1], x.device)
        every, final = [], []
        for number, spec in enumerate(specs):
            state = tuple(
                self._initial(given.get(f"initial_{letter}"), x, size, number)
                for letter, size in spec.state_sizes.items()
            )
            parameters = onnx_recurrent.parameters(self.node, spec, weights, number)
            request = Request(spec, x, state, parameters, lengths, reverse=found.directions[number])
            result = select("auto", request).run(request)
            every.append(result.outputs)
            final.append(result.state)
        outputs = torch.stack(every, 2)  # [B, T, directions, H]
        states = [torch.stack(parts, 1) for parts in zip(*final, strict=True)]  # [B, directions, H]
        if found.batch_first:
            return (outputs, *states)
        return (outputs.permute(1, 2, 0, 3), *(part.transpose(0, 1) for part in states))

    def _initial(self, given: Tensor | None, x: Tensor, size: int, direction: int) -> Tensor:
        """The part of the initial state of one direction, [B, size]."""
        if given is None:
            return x.new_zeros(x.shape[0], size)
        count = len(self.settings.directions)
        expected = (x.shape[0], count, size) if self.settings.batch_first else (count, x.shape[0], size)
        if given.shape != expected:
            raise ShapeError(f"{self.node.op} got an initial state of shape {tuple(given.shape)}; expected {expected}.")
        return given[:, direction] if self.settings.batch_first else given[direction]
