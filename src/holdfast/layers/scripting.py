"""The modules that torch.jit.script compiles instead of a layer or a cell.

TorchScript compiles a module's Python code, and cannot compile the choice of an engine. A layer or cell that torch.nn
has too becomes torch.nn's module with the same parameters, so the program runs wherever torch does. All others, and
those with ``engine="native"``, call Holdfast's operator; such a program runs where Holdfast is imported.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import nn

from holdfast.cells import CellSpec
from holdfast.cells.parameter_names import layer_suffix
from holdfast.layers.scripted_modules import (
    Scripted,
    ScriptedCell,
    ScriptedLSTM,
    ScriptedLSTMCell,
    TensorsOnly,
    TensorsOnlyLSTM,
    refuse,
)

_IN_THE_PARAMETERS = ("proj_size", "recurrent_dropout_mode")
_LAYERS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
_CELLS: dict[str, Any] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}


def refuse_own_forward(module: Any, forward: Callable[..., Any]) -> None:
    """Refuses a module of a subclass that overrides ``forward``.

    Raises:
        EngineError: It does.
    """
    if type(module).forward is not forward:
        refuse(module, "it has a forward of its own, which calls Holdfast's")


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
    if module.engine != "native" and not stacked and all(map(_is_in_torch, specs)):
        options = {"batch_first": module.batch_first, "bidirectional": module.bidirectional}
        torch_module = _torch_module(_LAYERS, module, specs[0], num_layers=len(specs), **options)
        torch_module.dropout = module.dropout  # set afterwards: the constructor warns if there is only one layer
        torch_module._flat_weights = [getattr(torch_module, name) for name in torch_module._flat_weights_names]
        if not _is_scripted_alone():
            return cast(nn.Module, torch_module)
        return (TensorsOnlyLSTM if module.kind == "lstm" else TensorsOnly)(torch_module)
    suffixes = [layer_suffix(k, direction) for k in range(len(specs)) for direction in range(module.num_directions)]
    cells = [spec for spec in specs for _ in range(module.num_directions)]
    return (ScriptedLSTM if module.kind == "lstm" else Scripted)(module, cells, suffixes)


def cell(module: Any) -> nn.Module:
    """The scriptable form of a :class:`~holdfast.layers.cell_modules.CellModule`.

    Raises:
        EngineError: It has none; the message says why.
    """
    if _is_in_torch(module.spec) and not module.spec.proj_size:
        return cast(nn.Module, _torch_module(_CELLS, module, module.spec))
    return (ScriptedLSTMCell if module.kind == "lstm" else ScriptedCell)(module, [module.spec], [""])


def _is_scripted_alone() -> bool:
    """Whether torch.jit.script got the layer itself and not a model that holds it.

    torch.nn's layers take tensors and packed sequences, so TorchScript makes two functions of their ``forward``. Within
    a model it calls the right one; a layer alone has neither.
    """
    frame = sys._getframe(3).f_back  # above the layer's __prepare_scriptable__
    return frame is not None and frame.f_code.co_name == "call_prepare_scriptable_func"


def _is_in_torch(spec: CellSpec) -> bool:
    relu = spec.kind == "rnn" and spec.activation == "relu"
    return all(name in _IN_THE_PARAMETERS or (relu and name == "activation") for name in spec.computing_options())


def _torch_module(classes: dict[str, Any], module: Any, spec: CellSpec, **options: Any) -> Any:
    """torch.nn's module with the parameters and hooks of Holdfast's ``module``."""
    options |= {"proj_size": spec.proj_size} if spec.proj_size else {}
    options |= {"nonlinearity": spec.activation} if spec.kind == "rnn" else {}
    torch_module = classes[spec.kind](spec.input_size, spec.hidden_size, bias=spec.bias, device="meta", **options)
    named_parameters = dict(module.named_parameters())
    if named_parameters.keys() != dict(torch_module.named_parameters()).keys():
        refuse(module, "its weights are computed from others (weight_norm, pruning, a parametrisation)")
    for name, parameter in named_parameters.items():
        torch_module.register_parameter(name, parameter)
    for name in ("_forward_hooks", "_forward_pre_hooks"):
        getattr(torch_module, name).update(getattr(module, name))
    return torch_module.train(module.training)
