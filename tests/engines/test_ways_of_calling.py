"""Every way of calling a layer that docs/convert.md lists: the numbers of a plain call, by the engine that it names."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.engines.calls import OTHER, X, in_onnxruntime, near, quiet
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import holdfast
from holdfast.engines import ENGINES, Request, Result
from holdfast.engines.native_cell import NativeCell
from holdfast.engines.native_layer import NativeLayer

DOCS = Path(__file__).resolve().parents[2] / "docs" / "convert.md"
CELLS: dict[str, dict[str, Any]] = {"torch.nn's": {}, "others": {"layer_norm": True}}


class Tagger(nn.Module):
    """A model with a layer in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.encoder = holdfast.LSTM(3, 16, batch_first=True, **options)
        self.output = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.encoder(x)[0])  # type: ignore[no-any-return]


def same_function(found: Callable[[Tensor], Tensor], model: nn.Module, x: Tensor = OTHER) -> None:
    """A function gives what the model gives, and for another input another answer."""
    for inputs in (x, x.flip(1)):
        near(found(inputs), model(inputs))
    assert not torch.allclose(found(x), found(x.flip(1)))


def traced(model: Tagger) -> None:
    with quiet(), torch.no_grad():
        same_function(torch.jit.trace(model, X), model)
    with quiet():
        recorded = torch.jit.trace(model, X)
    recorded(OTHER).sum().backward()
    got = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    model(OTHER).sum().backward()
    near(got, {name: p.grad for name, p in model.named_parameters()})


def onnx_of_trace(model: Tagger, path: Path) -> None:
    with quiet():
        axes = {"x": {0: "batch", 1: "time"}}
        torch.onnx.export(model, (X,), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
    same_function(in_onnxruntime(path), model, OTHER if "LSTM" in operators(path) else X)


def onnx_of_export(model: Tagger, path: Path) -> None:
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    plain = not model.encoder.specs[0].layer_norm
    with quiet():
        torch.onnx.export(
            model,
            (X,),
            path,
            dynamo=True,
            input_names=["x"],
            dynamic_shapes=({0: batch, 1: time} if plain else {0: batch},),
            verbose=False,
        )
    assert operators(path).count("LSTM") == plain
    same_function(in_onnxruntime(path), model, OTHER if plain else OTHER[:, :5])


def operators(path: Path) -> list[str]:
    onnx = pytest.importorskip("onnx")
    return [node.op_type for node in onnx.load(path).graph.node]


def scripted(model: Tagger) -> None:
    with quiet():
        same_function(torch.jit.script(copy.deepcopy(model)), model)


def exported(model: Tagger) -> None:
    sizes = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("time")},)
    same_function(torch.export.export(model, (X,)).module(), model, X)
    same_function(torch.export.export(model, (X,), dynamic_shapes=sizes).module(), model)
    same_function(torch.export.export(model, (X,), dynamic_shapes=sizes, strict=True).module(), model)


def compiled(model: Tagger) -> None:
    torch._dynamo.reset()
    function = torch.compile(model, backend="aot_eager", fullgraph=True)
    same_function(function, model)
    near(of_input(function, OTHER), of_input(model, OTHER))


def symbolic(model: Tagger) -> None:
    graph = torch.fx.symbolic_trace(model)
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["encoder", "output"]
    same_function(graph, model)


def of_input(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of a plain backward pass."""
    x = x.clone().requires_grad_()
    model(x).square().sum().backward()
    assert x.grad is not None
    return x.grad


def jacobian(model: Tagger, x: Tensor) -> Tensor:
    """Row by row."""
    x = x.clone().requires_grad_()
    y = model(x)
    rows = [torch.autograd.grad(one, x, retain_graph=True)[0] for one in y.flatten()]
    return torch.stack(rows).reshape(*y.shape, *x.shape)


def transformed(model: Tagger) -> None:
    model, x, other = model.double(), X.double(), OTHER.double()

    def total(x: Tensor) -> Tensor:
        return model(x).square().sum()

    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def of_row(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return torch.func.functional_call(model, parameters, (row[None],)).square().sum()  # type: ignore[no-any-return]

    func, rows = torch.func, jacobian(model, x)
    near(func.grad(total)(x), of_input(model, x))
    near(func.vjp(total, x)[1](x.new_tensor(1.0))[0], of_input(model, x))
    near(func.jacrev(model)(x), rows)
    near(func.vmap(model, in_dims=1, out_dims=1)(other[:, None]), model(other)[:, None])
    each = func.vmap(func.grad(of_row), (None, 0))(parameters, x)
    near(
        {name: g.sum(0) for name, g in each.items()}, func.grad(lambda p: sum(of_row(p, row) for row in x))(parameters)
    )
    with quiet():  # torch's forward mode scripts some of its own
        near(func.jvp(model, (x,), (x,))[1], torch.tensordot(rows, x, 3))
        near(func.jacfwd(model)(x), rows)
        near(func.hessian(total)(x[:1, :2]), torch.autograd.functional.hessian(total, x[:1, :2]))


def forward_mode(model: Tagger) -> None:
    model, x = model.double(), X.double()
    with quiet(), forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(model(forward_ad.make_dual(x, x))).tangent
    near(tangent, torch.tensordot(jacobian(model, x), x, 3))


def batched(model: Tagger) -> None:
    model, x = model.double(), X.double().requires_grad_()
    y = model(x)
    each = torch.eye(y.numel(), dtype=y.dtype).reshape(-1, *y.shape)
    rows = jacobian(model, x.detach())
    (got,) = torch.autograd.grad(y, x, each, is_grads_batched=True, retain_graph=True)
    near(got.reshape(rows.shape), rows)
    got = torch.func.vmap(lambda g: torch.autograd.grad(y, x, g, retain_graph=True)[0])(each)
    near(got.reshape(rows.shape), rows)
    near(torch.autograd.functional.jacobian(model, x.detach(), vectorize=True), rows)


def second_derivative(model: Tagger) -> None:
    reference = copy.deepcopy(model.double())
    reference.encoder.engine = "reference"
    found = []
    for one in (model, reference):
        x = X.double().requires_grad_()
        (gradient,) = torch.autograd.grad(one(x).square().sum(), x, create_graph=True)
        gradient.square().sum().backward()
        found.append([x.grad, *(p.grad for p in one.parameters())])
    near(*found)


def checkpointed(model: Tagger) -> None:
    for reentrant in (False, True):
        near(of_input(lambda x, r=reentrant: checkpoint(model, x, use_reentrant=r), X), of_input(model, X))


def counted(model: Tagger) -> None:
    with FlopCounterMode(display=False) as counter:
        near(model(X).sum().item(), model(X).sum().item())
    assert counter.get_total_flops() == 2 * 2 * X.shape[0] * X.shape[1] * (4 * 16 * (3 + 16) + 16 * 2)  # twice


def faked(model: Tagger) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        y = model(mode.from_tensor(X))
    assert (y.shape, y.dtype, y.stride()) == (model(X).shape, torch.float32, model(X).stride())


def on_meta(model: Tagger) -> None:
    assert copy.deepcopy(model).to("meta")(X.to("meta")).shape == (2, 5, 2)


def functional(model: Tagger) -> None:
    parameters = {name: 2 * p.detach() for name, p in model.named_parameters()}
    doubled = copy.deepcopy(model)
    doubled.load_state_dict(parameters)
    near(torch.func.functional_call(model, parameters, (OTHER,)), doubled(OTHER))
    same_function(copy.deepcopy(model), model)


WAYS: dict[str, Callable[..., None]] = {
    "torch.jit.trace": traced,
    "torch.onnx.export, dynamo=False": onnx_of_trace,
    "torch.onnx.export, dynamo=True": onnx_of_export,
    "torch.jit.script": scripted,
    "torch.export.export": exported,
    "torch.compile": compiled,
    "torch.fx.symbolic_trace": symbolic,
    "torch.func.grad, vjp, jvp, jacrev, jacfwd, hessian, vmap": transformed,
    "torch.autograd.forward_ad": forward_mode,
    "torch.autograd.grad(is_grads_batched=True)": batched,
    "torch.autograd.grad(create_graph=True)": second_derivative,
    "torch.utils.checkpoint": checkpointed,
    "FlopCounterMode and other dispatch modes": counted,
    "FakeTensorMode": faked,
    "tensors on meta": on_meta,
    "torch.func.functional_call, copy.deepcopy": functional,
}


def documented() -> dict[str, tuple[str, str]]:
    """The rows of the table: for each way the engine of torch.nn's cells and that of all others."""
    table = DOCS.read_text("utf-8").partition("| way of calling |")[2].partition("\n\n")[0]
    rows = [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return {row[0]: (row[1], row[2]) for row in rows}


def test_the_table_has_every_way() -> None:
    assert documented().keys() == WAYS.keys()


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the engines that were chosen, in their order."""
    names: list[str] = []
    for engine in ENGINES.values():

        def run(request: Request, name: str = engine.name, of: Any = engine.run) -> Result:
            if not torch.compiler.is_dynamo_compiling():
                names.append(name)
            return of(request)  # type: ignore[no-any-return]

        monkeypatch.setattr(engine, "run", run)

    def run_cell(cell: NativeCell, *arguments: Any, of: Any = NativeCell.run) -> tuple[Tensor, ...]:
        names.append("native")
        return of(cell, *arguments)  # type: ignore[no-any-return]

    def run_layer(layer: NativeLayer, *arguments: Any, of: Any = NativeLayer.run) -> tuple[Any, Any] | None:
        names.append("native")
        return of(layer, *arguments)  # type: ignore[no-any-return]

    monkeypatch.setattr(NativeCell, "run", run_cell)
    monkeypatch.setattr(NativeLayer, "run", run_layer)
    return names


@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize("way", WAYS)
def test_a_way_of_calling(way: str, cells: str, ran: list[str], tmp_path: Path) -> None:
    model = Tagger(**CELLS[cells])
    path = [tmp_path / "model.onnx"] if "onnx" in way else []
    if path:
        pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'holdfast[onnx]'")
    WAYS[way](model, *path)
    engine = documented()[way][list(CELLS).index(cells)]
    expected = re.match(r"\w+", engine)
    assert expected is not None
    assert expected[0] in (*ran, "torch"), f"docs/convert.md says {engine!r}, and {set(ran)} ran"
