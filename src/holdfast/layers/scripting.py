"""What a layer or a cell hands to torch.jit.script in its place.

TorchScript compiles a module's own Python, which for Holdfast's layers chooses an engine and cannot be compiled. What
torch.nn has too becomes torch.nn's module with the same parameters: the program runs wherever torch does. Everything
else, and what has ``engine="native"``, calls Holdfast's operator, and runs where Holdfast was imported.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn

from holdfast.cells import NAMES, CellSpec
from holdfast.cells.parameter_names import layer_suffix
from holdfast.engines.operator_arguments import description
from holdfast.errors import EngineError

_IN_THE_PARAMETERS = ("proj_size", "recurrent_dropout_mode")
_LAYERS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
_CELLS: dict[str, Any] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}


def layer(module: Any) -> nn.Module:
    """The scriptable form of a :class:`~holdfast.layers.recurrent_layer.RecurrentLayer`.

    Raises:
        EngineError: It has none; the message says why.
    """
    specs: Sequence[CellSpec] = module.specs
    uniform = len({spec.hidden_size for spec in specs}) == 1
    if not uniform:
        refuse(module, "its layers have different sizes")
    stacked = module.merge != "concat" or module.residual or module.reverse or module.locked_dropout
    if module.engine != "native" and not stacked and all(map(_is_torchs, specs)):
        options = {"batch_first": module.batch_first, "bidirectional": module.bidirectional}
        made = _torchs(_LAYERS, module, specs[0], num_layers=len(specs), **options)
        made.dropout = module.dropout  # set, not given: torch.nn warns where there is one layer alone
        made._flat_weights = [getattr(made, name) for name in made._flat_weights_names]
        if not _stands_alone():
            return cast(nn.Module, made)
        return (_AloneLSTM if module.kind == "lstm" else _Alone)(made)
    suffixes = [layer_suffix(k, direction) for k in range(len(specs)) for direction in range(module.num_directions)]
    cells = [spec for spec in specs for _ in range(module.num_directions)]
    return (_ScriptedLSTM if module.kind == "lstm" else _Scripted)(module, cells, suffixes)


def cell(module: Any) -> nn.Module:
    """The scriptable form of a :class:`~holdfast.layers.cell_modules.CellModule`.

    Raises:
        EngineError: It has none; the message says why.
    """
    if _is_torchs(module.spec) and not module.spec.proj_size:
        return cast(nn.Module, _torchs(_CELLS, module, module.spec))
    return (_ScriptedLSTMCell if module.kind == "lstm" else _ScriptedCell)(module, [module.spec], [""])


def _stands_alone() -> bool:
    """Whether torch.jit.script was given the layer itself and not a model that holds it.

    torch.nn's layers take tensors and packed sequences, which makes two functions of their ``forward`` in TorchScript:
    within a model the right one is called, and alone there is none to call.
    """
    frame = sys._getframe(3).f_back  # above the layer's __prepare_scriptable__
    return frame is not None and frame.f_code.co_name == "call_prepare_scriptable_func"


def _is_torchs(spec: CellSpec) -> bool:
    relu = spec.kind == "rnn" and spec.activation == "relu"
    return all(name in _IN_THE_PARAMETERS or (relu and name == "activation") for name in spec.computing_options())


def _torchs(classes: dict[str, Any], module: Any, spec: CellSpec, **options: Any) -> Any:
    """torch.nn's module with the parameters and hooks of ours."""
    options |= {"proj_size": spec.proj_size} if spec.proj_size else {}
    options |= {"nonlinearity": spec.activation} if spec.kind == "rnn" else {}
    made = classes[spec.kind](spec.input_size, spec.hidden_size, bias=spec.bias, device="meta", **options)
    own = dict(module.named_parameters())
    if own.keys() != dict(made.named_parameters()).keys():
        refuse(module, "its weights are computed from others (weight_norm, pruning, a parametrisation)")
    for name, parameter in own.items():
        made.register_parameter(name, parameter)
    for name in ("_forward_hooks", "_forward_pre_hooks"):
        getattr(made, name).update(getattr(module, name))
    return made.train(module.training)


def refuse(module: Any, reason: str) -> NoReturn:
    """Says that a layer or a cell has no scriptable form.

    Raises:
        EngineError: Always.
    """
    raise EngineError(
        f"torch.jit.script cannot take Holdfast's {type(module).__name__}: {reason}. Use torch.jit.trace or "
        "torch.export.export, which can."
    )


class _Alone(nn.Module):
    """A GRU or an RNN of torch.nn for tensors alone."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, input: Tensor, hx: torch.Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.layer(input, hx)  # type: ignore[no-any-return]


class _AloneLSTM(_Alone):
    """An LSTM of torch.nn for tensors alone."""

    def forward(  # type: ignore[override]
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return self.layer(input, hx)  # type: ignore[no-any-return]


class _OfOperator(nn.Module):
    """What the forms that call the operator have in common; TorchScript reads the code of :meth:`_run`."""

    cells: list[str]
    weights: list[list[Tensor]]
    sizes: list[int]

    def __init__(self, module: Any, specs: Sequence[CellSpec], suffixes: Iterable[str]) -> None:
        super().__init__()
        for spec in specs:
            if not all(isinstance(name, str) for name in spec.activations):
                refuse(module, "an activation is a callable")
        names = [[name + suffix for name in spec.parameter_names] for spec, suffix in zip(specs, suffixes, strict=True)]
        own = dict(module.named_parameters())
        if own.keys() != {name for of_one in names for name in of_one}:
            refuse(module, "its weights are computed from others (weight_norm, pruning, a parametrisation)")
        for name, parameter in own.items():
            self.register_parameter(name, parameter)
        self.weights = [[own[name] for name in of_one] for of_one in names]
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
        self, input: Tensor, given: list[Tensor], lengths: torch.Tensor | None
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """Runs all layers: input [T, B, I] or [B, T, I], state parts [layers * directions, B, size]."""
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
        x = input if self.batch_first else input.transpose(0, 1)
        finals: list[list[Tensor]] = [[] for _ in self.sizes]
        for number in range(self.num_layers):
            outputs: list[Tensor] = []
            for direction in range(self.num_directions):
                k = number * self.num_directions + direction
                state = [part[k] for part in given]
                if len(state) == 0:
                    state = [x.new_zeros([x.size(0), size]) for size in self.sizes]
                weights = self.weights[k]
                if self.weight_dropout > 0.0:
                    dropped = nn.functional.dropout(weights[1], self.weight_dropout, self.training)
                    weights = [weights[0], dropped] + weights[2:]  # noqa: RUF005 (TorchScript has no other way)
                found = torch.ops.holdfast.recurrent(
                    x,
                    state,
                    weights,
                    lengths,
                    None,
                    None,
                    None,
                    None,
                    self.cells[k],
                    self.reverse or direction == 1,
                    False,
                    "keep",
                    None,
                    x.dtype == torch.bfloat16,
                    torch.is_grad_enabled(),
                )
                outputs.append(found[0])
                for part in range(len(self.sizes)):
                    finals[part].append(found[1 + part])
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
            if self.residual and number > 0:
                y = y + x
            if self.dropout > 0.0 and number < self.num_layers - 1:
                if self.locked_dropout:
                    kept = nn.functional.dropout(torch.ones_like(y[:, :1]), self.dropout, self.training)
                    y = y * kept
                else:
                    y = nn.functional.dropout(y, self.dropout, self.training)
            x = y
        return x if self.batch_first else x.transpose(0, 1), finals


class _Scripted(_OfOperator):
    """A GRU or an RNN."""

    def forward(
        self, input: Tensor, hx: torch.Tensor | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        batched = input.dim() == 3
        x = input if batched else input.unsqueeze(0 if self.batch_first else 1)
        given: list[Tensor] = []
        if hx is not None:
            given = [hx if batched else hx.unsqueeze(1)]
        y, finals = self._run(x, given, lengths)
        h = torch.stack(finals[0])
        return (y, h) if batched else (y.squeeze(0 if self.batch_first else 1), h.squeeze(1))


class _ScriptedLSTM(_OfOperator):
    """An LSTM."""

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        batched = input.dim() == 3
        x = input if batched else input.unsqueeze(0 if self.batch_first else 1)
        given: list[Tensor] = []
        if hx is not None:
            given = [part if batched else part.unsqueeze(1) for part in hx]
        y, finals = self._run(x, given, lengths)
        h, c = torch.stack(finals[0]), torch.stack(finals[1])
        if batched:
            return y, (h, c)
        return y.squeeze(0 if self.batch_first else 1), (h.squeeze(1), c.squeeze(1))


class _ScriptedCell(_OfOperator):
    """A GRUCell or an RNNCell."""

    def forward(self, input: Tensor, hx: torch.Tensor | None = None) -> Tensor:
        batched = input.dim() == 2
        x = input.unsqueeze(1) if batched else input.unsqueeze(0).unsqueeze(0)
        given: list[Tensor] = []
        if hx is not None:
            given = [hx.unsqueeze(0) if batched else hx.unsqueeze(0).unsqueeze(0)]
        _, finals = self._run(x, given, None)
        return finals[0][0] if batched else finals[0][0].squeeze(0)


class _ScriptedLSTMCell(_OfOperator):
    """An LSTMCell."""

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        batched = input.dim() == 2
        x = input.unsqueeze(1) if batched else input.unsqueeze(0).unsqueeze(0)
        given: list[Tensor] = []
        if hx is not None:
            given = [part.unsqueeze(0) if batched else part.unsqueeze(0).unsqueeze(0) for part in hx]
        _, finals = self._run(x, given, None)
        h, c = finals[0][0], finals[1][0]
        return (h, c) if batched else (h.squeeze(0), c.squeeze(0))
