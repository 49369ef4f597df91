"""Replaced subclasses in the rest of a program: processes, whole models, streams, graphs, scripts, quantisation."""

from __future__ import annotations

import copy
import io
import multiprocessing
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.interop.pytorch.subclasses import F64, Gated, Renamed, Shifted, X, assert_same, replaced, run, tensors
from torch import Tensor, nn

import holdfast


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated")
@pytest.mark.parametrize("kind", ["LSTM", "GRUCell", "LSTM, a subclass"])
def test_quantisation_says_that_it_passes_a_replaced_module_over(kind: str) -> None:
    module = Shifted(3, 5) if "subclass" in kind else getattr(nn, kind)(3, 5)
    name = kind.partition(",")[0]
    model = nn.ModuleDict({"rnn": module, "linear": nn.Linear(5, 2)})
    holdfast.replace_recurrent(model)
    with pytest.warns(UserWarning, match="does not quantise") as caught:
        done = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM, nn.Linear, nn.GRUCell}, torch.qint8)
    assert [str(warning.message) for warning in caught if "replace_recurrent" in str(warning.message)] == [
        f"torch.ao.quantization does not quantise this {name}: it looks for the exact class torch.nn.{name}, and "
        "holdfast.replace_recurrent replaced the module. To quantise it, quantise the model first."
    ]
    assert type(done["rnn"]) is type(model["rnn"])
    assert type(done["linear"]) is torch.ao.nn.quantized.dynamic.Linear
    assert not hasattr(model["rnn"], "qconfig")
    run(done["rnn"], X.float())


def _count(module: nn.Module) -> int:
    return len(run(module, X.float()))


def test_a_replaced_model_goes_to_another_process() -> None:
    model = replaced(nn.ModuleList([Shifted(3, 5), nn.LSTM(3, 5)]))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(_count, list(model)) == [3, 3]


def test_whole_models_are_loaded_with_one_call_in_a_fresh_process(tmp_path: Path) -> None:
    """Layers and cells, Holdfast's own and replaced ones, plain, with options, and of a user's subclass."""
    (tmp_path / "program.py").write_text(
        "from torch import nn\n"
        "class Shifted(nn.GRU):\n"
        "    def forward(self, x, hx=None):\n"
        "        return super().forward(x + 1, hx)\n"
    )
    program = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import torch, holdfast, program
from torch import nn
torch.manual_seed(0)
inner = [holdfast.LSTM(3, [4, 5], init="torch", layer_norm=True), holdfast.GRU(3, 5), holdfast.RNN(3, 5)]
cells = [nn.LSTMCell(3, 5), nn.GRUCell(3, 5), nn.RNNCell(3, 5)]
inner += [nn.LSTM(3, 5, 2, bidirectional=True), nn.GRU(3, 5), nn.RNN(3, 5), program.Shifted(3, 5), *cells]
inner += [holdfast.LSTMCell(3, 5, peepholes=True), holdfast.GRUCell(3, 5), holdfast.RNNCell(3, 5)]
model = nn.ModuleList(inner)
holdfast.replace_recurrent(model)
"""
    save = program + f"torch.save(model, {str(tmp_path / 'model.pt')!r})\n"
    load = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import torch, holdfast, program
from torch import nn
with torch.serialization.safe_globals(holdfast.safe_globals(program.Shifted, nn.ModuleList)):
    loaded = torch.load({str(tmp_path / "model.pt")!r}, weights_only=True)
{program}
x = torch.ones(2, 1, 3)
for ours, other in zip(model, loaded, strict=True):
    assert type(ours) is type(other), (ours, other)
    x_ = x[0] if "Cell" in type(ours).__name__ else x
    flat = lambda value: [value] if torch.is_tensor(value) else [t for v in value for t in flat(v)]
    assert all(map(torch.equal, flat(ours(x_)), flat(other(x_))))
print(len(loaded))
"""
    for source in (save, load):
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
    assert done.stdout == "13\n"


OWN: list[Callable[[], Any]] = [
    lambda: holdfast.LSTM(3, [5, 4], init="torch", peepholes=True, dtype=F64),
    lambda: holdfast.GRU(3, 5, dtype=F64),
    lambda: holdfast.RNN(3, 5, dtype=F64),
    lambda: holdfast.LSTMCell(3, 5, dtype=F64),
    lambda: holdfast.GRUCell(3, 5, dtype=F64),
    lambda: holdfast.RNNCell(3, 5, dtype=F64),
]


def test_whole_models_that_name_the_former_modules_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.ModuleList([make() for make in OWN])
    file = io.BytesIO()
    with monkeypatch.context() as former:
        for kind in map(type, model):
            module = "holdfast.cell_modules" if kind.__name__.endswith("Cell") else "holdfast.layers"
            former.setattr(kind, "__module__", module)
            former.setitem(sys.modules, module, sys.modules.get(module) or types.ModuleType(module))
            former.setattr(sys.modules[module], kind.__name__, kind, raising=False)
        torch.save(model, file)
    file.seek(0)
    names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    assert {"holdfast.layers.LSTM", "holdfast.cell_modules.LSTMCell"} < {*names}
    file.seek(0)
    with torch.serialization.safe_globals(holdfast.safe_globals(nn.ModuleList)):
        loaded = torch.load(file, weights_only=True)
    for ours, other in zip(model, loaded, strict=True):
        assert type(ours) is type(other)
        x = X if hasattr(ours, "num_layers") else X[0]
        assert all(map(torch.equal, tensors(ours(x)), tensors(other(x))))


def test_a_stream_does_not_pass_over_the_code_of_a_subclass() -> None:
    holdfast.Stream(replaced(nn.LSTM(3, 5)))
    holdfast.Stream(replaced(Renamed(3, 5)))
    for module in (replaced(Shifted(3, 5)), replaced(Gated(3, 5))):
        name, kind = type(module).__name__, "LSTM" if isinstance(module, nn.LSTM) else "GRU"
        with pytest.raises(holdfast.HoldfastError) as error:
            holdfast.Stream(module)
        assert str(error.value) == (
            f"Stream got a {Shifted.__module__}.{name}, which has a forward of its own; a stream would run "
            f"the {kind} under it alone. Call the module step by step instead, with its state."
        )


class Holder(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x * 2)[0]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_graph_or_a_script_does_not_lose_or_double_the_code_of_a_subclass() -> None:
    model = Holder(replaced(Shifted(3, 5, dtype=F64)))
    with pytest.raises(holdfast.HoldfastError) as error:
        torch.fx.symbolic_trace(model)
    assert str(error.value) == (
        "torch.fx.symbolic_trace cannot look into Shifted, whose forward calls Holdfast's: make it one node of the "
        "graph, by a torch.fx.Tracer whose is_leaf_module returns True for it."
    )
    with pytest.raises(holdfast.HoldfastError) as error:
        torch.jit.script(model)
    assert str(error.value) == (
        "torch.jit.script cannot take Holdfast's Shifted: it has a forward of its own, which calls Holdfast's. Use "
        "torch.jit.trace or torch.export.export, which can."
    )

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, nn.LSTM)

    graph = torch.fx.GraphModule(model, Tracer().trace(model))
    traced = torch.jit.trace(model, X, check_trace=False)
    exported = torch.export.export(model, (X,)).module()
    for made in (graph, traced, exported):
        assert_same([made(X)], [model(X)])


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_plain_replaced_module_is_scripted_as_torchs() -> None:
    theirs = Holder(nn.LSTM(3, 5, dtype=F64))
    scripted = torch.jit.script(replaced(copy.deepcopy(theirs)))
    assert_same([scripted(X)], [theirs(X)])
    assert "holdfast" not in str(scripted.inlined_graph)


def test_explain_and_lengths_of_a_replaced_subclass() -> None:
    ours = replaced(Renamed(3, 5, dtype=F64))
    assert str(holdfast.explain(ours, X)).startswith("layer 0: ")
    output, _ = ours(X, lengths=[4, 2])
    assert not output[2:, 1].any()


def test_replacing_does_not_warn_again_about_dropout() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = Shifted(3, 5, dropout=0.5)
    holdfast.replace_recurrent(module)
    assert module.dropout == 0.5
