"""The modules that only ONNX files need: operators, constants, and recurrent nodes whose weights are inputs."""

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

    Inputs and outputs are those of the operator, but inputs that the file holds as a few numbers are attributes.
    """

    def __init__(self, op: str, **attributes: Any) -> None:
        """Looks up the operator; the attributes are the keyword arguments of its function."""
        super().__init__()
        if op not in OPERATORS:
            raise OptionError(f"There is no operator {op!r}: {did_you_mean(str(op), OPERATORS)}")
        self.op, self.attributes = op, attributes

    def forward(self, *inputs: Tensor | None) -> Outputs:
        """Applies the operator."""
        outputs = OPERATORS[self.op](*inputs, **self.attributes)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def extra_repr(self) -> str:
        """The operator and its attributes."""
        return ", ".join([self.op, *(f"{name}={value}" for name, value in self.attributes.items())])


class Constant(nn.Module):
    """A value of the file: a parameter if it is of floating point, else a buffer."""

    value: Tensor

    def __init__(self, shape: list[int], dtype: str) -> None:
        """Allocates the value; ``dtype`` is torch's name of its element type."""
        super().__init__()
        element_type = getattr(torch, dtype, None)
        if not isinstance(element_type, torch.dtype):
            raise OptionError(f"There is no element type {dtype!r}; expected one of torch's, such as 'float32'.")
        empty = torch.empty(shape, dtype=element_type)
        if element_type.is_floating_point:
            self.value = nn.Parameter(empty)
        else:
            self.register_buffer("value", empty)

    def forward(self) -> Outputs:
        """The value."""
        return (self.value,)


class RecurrentOperator(nn.Module):
    """A node LSTM, GRU or RNN of ONNX whose weights are inputs of the graph, or computed by other nodes.

    Inputs and outputs are those of the operator, in ONNX's layout.
    """

    def __init__(self, op: str, inputs: list[str], outputs: int, attributes: dict[str, Any]) -> None:
        """Reads the attributes.

        Args:
            op: ``"LSTM"``, ``"GRU"`` or ``"RNN"``.
            inputs: A name for each input; ``""`` for one that is left out.
            outputs: The number of outputs.
            attributes: The attributes of the node.
        """
        super().__init__()
        if op not in onnx_recurrent.KINDS:
            raise OptionError(f"There is no recurrent operator {op!r}: {did_you_mean(str(op), onnx_recurrent.KINDS)}")
        self.node = OnnxNode(op, op, tuple(inputs), ("Y", "Y_h", "Y_c")[:outputs], attributes)
        self.settings = onnx_recurrent.settings(self.node)

    def forward(self, *inputs: Tensor | None) -> Outputs:
        """Runs the layer."""
        settings = self.settings
        names = onnx_recurrent.INPUTS[settings.kind]
        tensors = {name: tensor for name, tensor in zip(names, inputs, strict=False) if tensor is not None}
        weights = {name: tensors[name] for name in onnx_recurrent.WEIGHTS if name in tensors}
        x = tensors["X"] if settings.batch_first else tensors["X"].transpose(0, 1)
        specs = onnx_recurrent.specs(self.node, settings, weights)
        if x.ndim != 3 or x.shape[2] != specs[0].input_size:
            raise ShapeError(
                f"{self.node.op} got X of shape {tuple(tensors['X'].shape)} and W of shape "
                f"{tuple(weights['W'].shape)}; expected X with three dimensions, the last as wide as W's."
            )
        lengths = check_lengths(tensors.get("sequence_lens"), x.shape[0], x.shape[1], x.device)
        outputs, finals = [], []
        for number, spec in enumerate(specs):
            state = tuple(
                self._initial_state(tensors.get(f"initial_{letter}"), x, size, number)
                for letter, size in spec.state_sizes.items()
            )
            parameters = onnx_recurrent.parameters(self.node, spec, weights, number)
            request = Request(spec, x, state, parameters, lengths, reverse=settings.directions[number])
            result = select("auto", request).run(request)
            outputs.append(result.outputs)
            finals.append(result.state)
        y = torch.stack(outputs, 2)  # [B, T, directions, H]
        states = [torch.stack(parts, 1) for parts in zip(*finals, strict=True)]  # [B, directions, H]
        if settings.batch_first:
            return (y, *states)
        return (y.permute(1, 2, 0, 3), *(part.transpose(0, 1) for part in states))

    def _initial_state(self, part: Tensor | None, x: Tensor, size: int, direction: int) -> Tensor:
        """A part of the initial state of one direction, [B, size]; zeros if it is left out."""
        if part is None:
            return x.new_zeros(x.shape[0], size)
        count, batch_first = len(self.settings.directions), self.settings.batch_first
        expected = (x.shape[0], count, size) if batch_first else (count, x.shape[0], size)
        if part.shape != expected:
            raise ShapeError(f"{self.node.op} got an initial state of shape {tuple(part.shape)}; expected {expected}.")
        return part[:, direction] if batch_first else part[direction]
