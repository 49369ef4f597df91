"""Modules in TorchScript's part of Python: for each kind of layer and cell, one that calls Holdfast's operator."""

# No "from __future__ import annotations": TorchScript reads the types.
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from holdfast.cells import NAMES, CellSpec
from holdfast.engines.operator_arguments import description
from holdfast.errors import EngineError


def refuse(module: Any, reason: str) -> NoReturn:
    """Says that a layer or a cell has no scriptable form.

    Raises:
        EngineError: Always.
    """
    raise EngineError(
        f"torch.jit.script cannot take Holdfast's {type(module).__name__}: {reason}. Use torch.jit.trace or "
        "torch.export.export, which can."
    )


class TensorsOnly(nn.Module):
    """A GRU or an RNN of torch.nn that does not take packed sequences."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, input: Tensor, hx: torch.Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Runs the layers, as :meth:`torch.nn.GRU.forward`."""
        return self.layer(input, hx)  # type: ignore[no-any-return]


class TensorsOnlyLSTM(TensorsOnly):
    """An LSTM of torch.nn that does not take packed sequences."""

    def forward(  # type: ignore[override]
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Runs the layers, as :meth:`torch.nn.LSTM.forward`."""
        return self.layer(input, hx)  # type: ignore[no-any-return]


class CallsOperator(nn.Module):
    """The base of the modules that call the operator; TorchScript compiles :meth:`_run` and the methods it calls."""

    cells: list[str]
    weights: list[list[Tensor]]
    sizes: list[int]

    def __init__(self, module: Any, specs: Sequence[CellSpec], suffixes: Iterable[str]) -> None:
        super().__init__()
        for spec in specs:
            if not all(isinstance(name, str) for name in spec.activations):
                refuse(module, "an activation is a callable")
        names = [[name + suffix for name in spec.parameter_names] for spec, suffix in zip(specs, suffixes, strict=True)]
        named_parameters = dict(module.named_parameters())
        if named_parameters.keys() != {name for cell_names in names for name in cell_names}:
            refuse(module, "its weights are computed from others (weight_norm, pruning, a parametrisation)")
        for name, parameter in named_parameters.items():
            self.register_parameter(name, parameter)
        self.weights = [[named_parameters[name] for name in cell_names] for cell_names in names]
        self.cells = [description(spec) for spec in specs]
        self.name = NAMES[module.kind]
        self.input_size = module.input_size
        self.sizes = list(specs[0].state_sizes.values())
        self.random = specs[0].is_random
        self.weight_dropout = specs[0].weight_dropout
        self.batch_first = getattr(module, "batch_first", True)
        self.num_layers = getattr(module, "num_layers", 1)
        self.num_directions = getattr(module, "num_directions", 1)
        self.merge = getattr(module, "merge", "concat")
        self.residual = getattr(module, "residual", False)
        self.reverse = getattr(module, "reverse", False)
        self.dropout = getattr(module, "dropout", 0.0)
        self.locked_dropout = getattr(module, "locked_dropout", False)
        self.train(module.training)

    def _run(
        self, input: Tensor, initial: list[Tensor], lengths: torch.Tensor | None
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """Runs all layers: input [T, B, I] or [B, T, I], state parts [layers * directions, B, size]."""
        self._check(input)
        x = input if self.batch_first else input.transpose(0, 1)
        finals: list[list[Tensor]] = [[] for _ in self.sizes]
        for number in range(self.num_layers):
            outputs: list[Tensor] = []
            for direction in range(self.num_directions):
                k = number * self.num_directions + direction
                state = [part[k] for part in initial]
                if len(state) == 0:
                    state = [x.new_zeros([x.size(0), size]) for size in self.sizes]
                results = self._run_cell(k, x, state, lengths, self.reverse or direction == 1)
                outputs.append(results[0])
                for part in range(len(self.sizes)):
                    finals[part].append(results[1 + part])
            y = self._merged(outputs)
            if self.residual and number > 0:
                y = y + x
            if self.dropout > 0.0 and number < self.num_layers - 1:
                y = self._dropped(y)
            x = y
        return x if self.batch_first else x.transpose(0, 1), finals

    def _check(self, input: Tensor) -> None:
        if input.dim() not in (2, 3) or input.size(-1) != self.input_size:
            raise ValueError(
                f"{self.name} input has shape {input.shape}; expected (time, batch, input_size), with batch_first "
                f"(batch, time, input_size), or (time, input_size), with input_size = {self.input_size}."
            )
        if self.random and self.training:
            raise ValueError(
                f"A scripted {self.name} of Holdfast does not draw the masks of recurrent dropout and zoneout: call "
                "eval(), or train the model before torch.jit.script."
            )

    def _run_cell(
        self, k: int, x: Tensor, state: list[Tensor], lengths: torch.Tensor | None, reverse: bool
    ) -> list[Tensor]:
        """Runs one layer in one direction; ``k`` counts both."""
        weights = self.weights[k]
        if self.weight_dropout > 0.0:
            dropped = nn.functional.dropout(weights[1], self.weight_dropout, self.training)
            weights = [weights[0], dropped] + weights[2:]  # noqa: RUF005 (TorchScript cannot unpack)
        rounded, keep = x.dtype == torch.bfloat16, torch.is_grad_enabled()
        return torch.ops.holdfast.recurrent(  # type: ignore[no-any-return]
            x,
            state,
            weights,
            lengths,
            None,
            None,
            None,
            None,
            self.cells[k],
            reverse,
            False,
            "keep",
            None,
            rounded,
            keep,
        )

    def _merged(self, outputs: list[Tensor]) -> Tensor:
        """As :meth:`holdfast.layers.recurrent_layer.RecurrentLayer.merged`."""
        y = outputs[0]
        if len(outputs) == 2:
            if self.merge == "concat":
                y = torch.cat(outputs, -1)
            elif self.merge == "product":
                y = outputs[0] * outputs[1]
            else:
                y = outputs[0] + outputs[1]
                if self.merge == "mean":
                    y = y / 2
        return y

    def _dropped(self, y: Tensor) -> Tensor:
        """Dropout between two layers."""
        if self.locked_dropout:
            return y * nn.functional.dropout(torch.ones_like(y[:, :1]), self.dropout, self.training)
        return nn.functional.dropout(y, self.dropout, self.training)


class Scripted(CallsOperator):
    """A GRU or an RNN."""

    def forward(
        self, input: Tensor, hx: torch.Tensor | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Runs the layers, as :class:`holdfast.GRU`."""
        batched = input.dim() == 3
        x = input if batched else input.unsqueeze(0 if self.batch_first else 1)
        initial: list[Tensor] = []
        if hx is not None:
            initial = [hx if batched else hx.unsqueeze(1)]
        y, finals = self._run(x, initial, lengths)
        h = torch.stack(finals[0])
        return (y, h) if batched else (y.squeeze(0 if self.batch_first else 1), h.squeeze(1))


class ScriptedLSTM(CallsOperator):
    """An LSTM."""

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Runs the layers, as :class:`holdfast.LSTM`."""
        batched = input.dim() == 3
        x = input if batched else input.unsqueeze(0 if self.batch_first else 1)
        initial: list[Tensor] = []
        if hx is not None:
            initial = [part if batched else part.unsqueeze(1) for part in hx]
        y, finals = self._run(x, initial, lengths)
        h, c = torch.stack(finals[0]), torch.stack(finals[1])
        if batched:
            return y, (h, c)
        return y.squeeze(0 if self.batch_first else 1), (h.squeeze(1), c.squeeze(1))


class ScriptedCell(CallsOperator):
    """A GRUCell or an RNNCell."""

    def forward(self, input: Tensor, hx: torch.Tensor | None = None) -> Tensor:
        """Runs one step, as :class:`holdfast.GRUCell`."""
        batched = input.dim() == 2
        x = input.unsqueeze(1) if batched else input.unsqueeze(0).unsqueeze(0)
        initial: list[Tensor] = []
        if hx is not None:
            initial = [hx.unsqueeze(0) if batched else hx.unsqueeze(0).unsqueeze(0)]
        _, finals = self._run(x, initial, None)
        return finals[0][0] if batched else finals[0][0].squeeze(0)


class ScriptedLSTMCell(CallsOperator):
    """An LSTMCell."""

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Runs one step, as :class:`holdfast.LSTMCell`."""
        batched = input.dim() == 2
        x = input.unsqueeze(1) if batched else input.unsqueeze(0).unsqueeze(0)
        initial: list[Tensor] = []
        if hx is not None:
            initial = [part.unsqueeze(0) if batched else part.unsqueeze(0).unsqueeze(0) for part in hx]
        _, finals = self._run(x, initial, None)
        h, c = finals[0][0], finals[1][0]
        return (h, c) if batched else (h.squeeze(0), c.squeeze(0))
