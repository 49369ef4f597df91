"""Every way of calling a layer that docs/convert.md lists: the numbers of a plain call, by the engine that it names."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import holdfast
from holdfast.cells.calling import foreign
from holdfast.engines import ENGINES, Request, Result, native, onnx_node
from holdfast.errors import EngineError
from holdfast.interop.layouts import ONNX

DOCS = Path(__file__).resolve().parents[2] / "docs" / "convert.md"
CELLS: dict[str, dict[str, Any]] = {"torch.nn's": {}, "others": {"layer_norm": True}}
CLOSE = 1e-6  # of 1, and of the value where that is larger


class Tagger(nn.Module):
    """A model with a layer in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.encoder = holdfast.LSTM(3, 16, batch_first=True, **options)
        self.output = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.encoder(x)[0])  # type: ignore[no-any-return]


X = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
OTHER = torch.randn(3, 7, 3, generator=torch.Generator().manual_seed(2))  # other sizes


@contextmanager
def quiet() -> Iterator[None]:
    """What torch says of tracing: that it is deprecated, and where Python looked at a size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def near(got: Any, expected: Any) -> None:
    torch.testing.assert_close(got, expected, rtol=CLOSE, atol=CLOSE)


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


def in_onnxruntime(path: Path) -> Callable[[Tensor], Tensor]:
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


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


class Called(nn.Module):
    """A layer as a program calls it, for what it gives as a flat tuple."""

    def __init__(self, layer: nn.Module, how: str = "plain") -> None:
        super().__init__()
        self.layer, self.how = layer, how

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        if self.how == "packed":
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            y, state = self.layer(packed)
            y = pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0]
        else:
            y, state = self.layer(x, lengths=lengths)
        return (y, *state) if isinstance(state, tuple) else (y, state)


LENGTHS = torch.tensor([5, 3])
OTHER_LENGTHS = torch.tensor([4, 7, 0])
PADDED = OTHER.clone()
PADDED[0, 4:] = torch.nan
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "two layers, both directions": lambda: holdfast.LSTM(3, 4, 2, batch_first=True, bidirectional=True),
    "gru": lambda: holdfast.GRU(3, 4, batch_first=True),
    "rnn, reversed": lambda: holdfast.RNN(3, 4, nonlinearity="relu", batch_first=True, reverse=True),
    "layer norm": lambda: holdfast.GRU(3, 16, batch_first=True, layer_norm=True),
    "peepholes": lambda: holdfast.LSTM(3, 4, batch_first=True, peepholes=True, bidirectional=True),
    "native": lambda: holdfast.LSTM(3, 4, batch_first=True, engine="native"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_lengths_are_read_anew_in_every_call_of_what_was_recorded(name: str) -> None:
    model = Called(LAYERS[name]())
    expected = model(PADDED, OTHER_LENGTHS)
    with quiet():
        near(torch.jit.trace(model, (X, LENGTHS))(PADDED, OTHER_LENGTHS), expected)
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    program = torch.export.export(model, (X, LENGTHS), dynamic_shapes=({0: batch, 1: time}, {0: batch}))
    near(program.module()(PADDED, OTHER_LENGTHS), expected)


@pytest.mark.parametrize("name", ["two layers, both directions", "gru", "rnn, reversed"])
def test_lengths_in_a_file_of_onnx(name: str, tmp_path: Path) -> None:
    model, path = Called(LAYERS[name]()), tmp_path / "model.onnx"
    axes = {"x": {0: "batch", 1: "time"}, "lengths": {0: "batch"}}
    with quiet():
        torch.onnx.export(
            model, (X, LENGTHS), path, dynamo=False, input_names=["x", "lengths"], dynamic_axes=axes, verbose=False
        )
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    got = session.run(None, {"x": PADDED.numpy(), "lengths": OTHER_LENGTHS.numpy()})
    near(tuple(map(torch.from_numpy, got)), model(PADDED, OTHER_LENGTHS))


def test_packed_sequences_are_traced() -> None:
    model = Called(LAYERS["gru"](), "packed")
    with quiet():
        near(torch.jit.trace(model, (X, LENGTHS), check_trace=False)(X, LENGTHS), model(X, LENGTHS))


@pytest.mark.parametrize("layer", [holdfast.LSTM(3, 4), holdfast.GRU(3, 4), holdfast.RNN(3, 4)], ids=repr)
def test_a_layer_alone_is_exported(layer: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with quiet():
        torch.onnx.export(layer, (X,), path, dynamo=False, input_names=["x"])
        scripted = torch.jit.script(copy.deepcopy(layer))
    near(in_onnxruntime(path)(X), layer(X)[0])
    near(scripted(X), layer(X))


@pytest.mark.parametrize(
    "module",
    [
        holdfast.LSTM(3, 4, 2, bidirectional=True, engine="native"),
        holdfast.LSTM(3, 4, 2, proj_size=2, peepholes=True, merge="sum", bidirectional=True, residual=True),
        holdfast.GRU(3, 4, 2, dropout=0.5, reset_after=False).eval(),
        holdfast.LSTMCell(3, 4),
        holdfast.LSTMCell(3, 4, peepholes=True),
        holdfast.GRUCell(3, 4, layer_norm=True),
        holdfast.RNNCell(3, 4),
    ],
    ids=repr,
)
def test_what_is_scripted_is_saved_and_loaded(module: nn.Module, tmp_path: Path) -> None:
    x = X[:, 0] if "Cell" in type(module).__name__ else X
    with quiet():
        torch.jit.save(torch.jit.script(copy.deepcopy(module)), tmp_path / "model.pt")
        loaded = torch.jit.load(tmp_path / "model.pt")
    near(loaded(x), module(x))
    near(loaded.double()(x.double()), copy.deepcopy(module).double()(x.double()))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (holdfast.LSTM(3, 4, activation=torch.tanh), "an activation is a callable"),
        (holdfast.LSTM(3, [4, 5]), "its layers have different sizes"),
    ],
)
def test_what_cannot_be_scripted_says_what_can(layer: nn.Module, reason: str) -> None:
    with quiet(), pytest.raises(EngineError) as raised:
        torch.jit.script(layer)
    assert str(raised.value) == (
        f"torch.jit.script cannot take Holdfast's LSTM: {reason}. Use torch.jit.trace or torch.export.export, which "
        "can."
    )


def test_a_graph_of_torch_fx_needs_a_model_around_the_layer() -> None:
    with pytest.raises(EngineError) as raised:
        torch.fx.symbolic_trace(holdfast.LSTM(3, 4))
    assert str(raised.value) == (
        "torch.fx.symbolic_trace cannot look into Holdfast's LSTM: it is one node of a graph. Trace a model that holds "
        "it."
    )


def test_explain_says_why_the_kernels_step_aside() -> None:
    layer, found = holdfast.LSTM(3, 4), []

    class Explained(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            found.append(holdfast.explain(layer, x))
            return self.layer(x)[0].sum()  # type: ignore[no-any-return]

    explained = Explained()
    torch.func.grad(explained)(X)
    assert found[0].engine == "reference"
    assert found[0].choices[0].reasons["native"] == (
        "torch.func or forward-mode derivatives transform this call, and kernels cannot be transformed."
    )
    with quiet():
        torch.jit.trace(explained, X, check_trace=False)
    assert found[1].engine == "recorded"
    assert holdfast.explain(layer, X).choices[0].reasons["recorded"] == (
        "it serves traces of torch.jit and files of ONNX, and this call makes neither."
    )


def test_a_program_draws_new_masks_in_every_call() -> None:
    layer = holdfast.LSTM(3, 16, recurrent_dropout=0.5, zoneout_h=0.2)
    with quiet():
        trace = torch.jit.trace(layer, X, check_trace=False)
    assert not torch.equal(trace(X)[0], trace(X)[0])
    program = torch.export.export(layer, (X,)).module()
    assert not torch.equal(program(X)[0], program(X)[0])
    rows = torch.func.vmap(lambda x: layer(x)[0], randomness="different")(
        X[:, :1].expand(2, 4, 3)[None].repeat(2, 1, 1, 1)
    )
    assert not torch.equal(rows[0], rows[1])


def test_the_order_of_the_gates_in_onnx_is_that_of_the_table() -> None:
    assert ONNX.gates == onnx_node.GATES
    assert ONNX.peepholes == onnx_node.PEEPHOLES


def test_a_tensor_with_its_values_elsewhere_goes_to_the_reference() -> None:
    layer = holdfast.GRU(3, 4)
    mode = FakeTensorMode()
    assert holdfast.explain(layer, X).engine == "native"
    assert foreign({"inputs": X, "weight_ih": TwoTensor(X, X)}) == "weight_ih is a TwoTensor"
    assert foreign({"inputs": mode.from_tensor(X)}) is None


def test_a_recorded_backward_pass_without_kernels_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled training step may be loaded where the kernels are not: no gradient is made up."""
    calls: list[Any] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.holdfast.recurrent_backward.default:
                calls.append(args)
            return func(*args, **(kwargs or {}))

    layer = holdfast.GRU(3, 4)
    with Recorder():
        layer(torch.randn(5, 2, 3))[0].sum().backward()
    again = torch.ops.holdfast.recurrent_backward(*calls[0])
    near(again[-1], layer.bias_hh_l0.grad)
    monkeypatch.setattr(native, "_MISSING", "no such file")
    with pytest.raises(EngineError, match=r"recurrent_backward has no kernels here .* \(no such file\)\. Record the"):
        torch.ops.holdfast.recurrent_backward(*calls[0])
