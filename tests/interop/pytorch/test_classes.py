"""Replaced modules in programs that expect torch.nn's: its classes, its attributes, its subclasses, its files."""

from __future__ import annotations

import copy
import io
import multiprocessing
import pickle
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.rnn import pack_padded_sequence

import holdfast

F64 = torch.float64
X = torch.randn(4, 2, 3, dtype=F64, generator=torch.Generator().manual_seed(1))


class Shifted(nn.LSTM):
    """Changes what goes in and what comes out."""

    def __init__(self, *args: Any, shift: float = 1.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.shift = shift

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        output, state = super().forward(input / 2, hx)
        return output + self.shift, state


class Twice(Shifted):
    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return super().forward(*self.between(input, super().forward(input, hx)[1]))

    def between(self, input: Tensor, state: Any) -> Any:
        return input - 1, state


class WithNorm(nn.GRU):
    """Has a parameter and a child of its own, and returns the output alone."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.norm = nn.LayerNorm(5, dtype=F64)
        self.gain = nn.Parameter(torch.full((5,), 2.0, dtype=F64))

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return self.norm(super().forward(input, hx)[0]) * self.gain


class Renamed(nn.RNN):
    """Overrides nothing."""


class Explicit(nn.GRU):
    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return nn.GRU.forward(self, input * 2, hx)


class Doubled(nn.LSTMCell):
    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return tuple(2 * part for part in super().forward(input, hx))


class Simple(nn.RNNCell):
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return super().forward(input[:, :3], hx)


class Gated(nn.GRUCell):
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return super().forward(input, super().forward(input, hx))


SUBCLASSES: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: Shifted(3, 5, 2, bidirectional=True, dtype=F64, shift=3.0),
    "LSTM, projected": lambda: Shifted(3, 5, proj_size=2, dtype=F64),
    "a subclass of a subclass": lambda: Twice(3, 5, dtype=F64),
    "GRU": lambda: WithNorm(3, 5, dtype=F64),
    "GRU, torch's forward by name": lambda: Explicit(3, 5, dtype=F64),
    "RNN": lambda: Renamed(3, 5, nonlinearity="relu", bias=False, dtype=F64),
    "LSTMCell": lambda: Doubled(3, 5, dtype=F64),
    "RNNCell": lambda: Simple(3, 5, nonlinearity="relu", dtype=F64),
    "GRUCell": lambda: Gated(3, 5, dtype=F64),
}
PLAIN: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: nn.LSTM(3, 5, 2, bidirectional=True, dtype=F64),
    "GRU": lambda: nn.GRU(3, 5, dtype=F64),
    "RNN": lambda: nn.RNN(3, 5, nonlinearity="relu", dtype=F64),
    "LSTMCell": lambda: nn.LSTMCell(3, 5, dtype=F64),
    "GRUCell": lambda: nn.GRUCell(3, 5, bias=False, dtype=F64),
    "RNNCell": lambda: nn.RNNCell(3, 5, nonlinearity="relu", dtype=F64),
}


def tensors(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [tensor for part in value for tensor in tensors(part)]


def run(module: Any, x: Tensor = X) -> list[Tensor]:
    return tensors(module(x if isinstance(module, nn.RNNBase) else x[0]))


def assert_same(got: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def assert_gradients_are_the_same(ours: Any, theirs: Any) -> None:
    for module in (ours, theirs):
        module.zero_grad()
        sum(out.sin().sum() for out in run(module)).backward()
    for (name, a), (other, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-12)


def replaced(module: Any) -> Any:
    assert not holdfast.replace_recurrent(module).left
    return module


@pytest.mark.parametrize("kind", SUBCLASSES)
def test_a_subclass_keeps_its_code_and_computes_with_holdfast(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = SUBCLASSES[kind]()
    ours = copy.deepcopy(theirs)
    cls = type(theirs)
    report = holdfast.replace_recurrent(ours)
    base = next(kind for kind in cls.__mro__ if kind.__module__.startswith("torch.nn")).__name__
    name = f"{cls.__module__}.{cls.__qualname__}"
    assert [(row.before, row.after, row.why_not) for row in report.rows] == [(name, f"{name} on holdfast.{base}", None)]
    assert isinstance(ours, (cls, getattr(nn, base)))
    assert isinstance(ours, getattr(holdfast, base))
    assert repr(ours).startswith(f"{cls.__name__}(")
    assert_same(run(ours), run(theirs))
    assert_gradients_are_the_same(ours, theirs)
    if cls is not Explicit:  # that one asks for torch's own forward
        for forward in (holdfast.LSTM, holdfast.LSTMCell):
            owner = next(cls for cls in forward.__mro__ if "forward" in vars(cls))
            monkeypatch.setattr(owner, "forward", lambda *_: pytest.fail("called"))
        with pytest.raises(pytest.fail.Exception):
            run(ours)


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save", "weights_only"])
@pytest.mark.parametrize("kind", SUBCLASSES)
def test_a_replaced_subclass_is_copied_and_saved(kind: str, way: str) -> None:
    theirs = SUBCLASSES[kind]()
    ours = replaced(copy.deepcopy(theirs))
    ours.circle = [ours]  # as hooks that are methods of the module make one
    if way == "deepcopy":
        other = copy.deepcopy(ours)
    elif way == "pickle":
        other = pickle.loads(pickle.dumps(ours))
    else:
        file = io.BytesIO()
        torch.save(ours, file)
        file.seek(0)
        with torch.serialization.safe_globals(holdfast.safe_globals(type(theirs), nn.LayerNorm)):
            other = torch.load(file, weights_only=way == "weights_only")
    assert type(other) is type(ours)
    assert other is not ours
    assert other.circle[0] is other
    assert_same(run(other), run(theirs))
    run(other)[0].sum().backward()
    if isinstance(other, nn.RNNBase):
        assert other._flat_weights[0] is other.weight_ih_l0


def test_a_subclass_is_replaced_once_and_several_modules_of_it_have_one_class() -> None:
    model = nn.Sequential(Shifted(3, 5), Shifted(3, 4))
    assert len(replaced(model)) == 2
    assert type(model[0]) is type(model[1])
    assert not holdfast.replace_recurrent(model).rows


@pytest.mark.parametrize("kind", [*PLAIN, *(f"subclass: {name}" for name in SUBCLASSES)])
def test_what_is_made_anew_of_the_class_is_initialised_as_torch_does(kind: str) -> None:
    theirs = SUBCLASSES[kind.removeprefix("subclass: ")]() if kind.startswith("sub") else PLAIN[kind]()
    ours = replaced(copy.deepcopy(theirs))
    for module in (ours, theirs):
        torch.manual_seed(3)
        module.reset_parameters()
    assert_same(list(ours.parameters()), list(theirs.parameters()))
    made = []
    for module in (ours, theirs):
        torch.manual_seed(4)
        made.append(type(module)(3, 5, dtype=F64))
    assert isinstance(made[0], holdfast.LSTM | holdfast.GRU | holdfast.RNN | type(made[0]))
    assert_same(run(made[0]), run(made[1]))


def test_an_initialiser_that_asks_for_the_class_acts_on_a_replaced_module() -> None:
    def initialise(module: nn.Module) -> None:
        if isinstance(module, nn.LSTM):
            for names in module._all_weights:
                for name in names:
                    if name.startswith("bias_ih"):
                        bias = getattr(module, name)
                        bias.data[len(bias) // 4 : len(bias) // 2].fill_(1.0)
            for weight in module.all_weights[0][:2]:
                nn.init.orthogonal_(weight)
        elif isinstance(module, nn.RNNCellBase):
            nn.init.zeros_(module.bias_hh)

    theirs = nn.ModuleList([nn.LSTM(3, 5, 2, dtype=F64), nn.GRUCell(3, 5, dtype=F64)])
    ours = replaced(copy.deepcopy(theirs))
    for model in (ours, theirs):
        torch.manual_seed(5)
        model.apply(initialise)
    assert (ours[0].bias_ih_l1[5:10] == 1).all()
    for a, b in zip(ours, theirs, strict=True):
        assert_same(run(a), run(b))


def test_the_attributes_and_checks_of_torch() -> None:
    module = replaced(nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2))
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
    every = [[f"{name}{suffix}" for name in names] for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse")]
    assert (module.mode, module.proj_size, module._all_weights) == ("LSTM", 2, every)
    assert module._flat_weights_names == [name for names in every for name in names]
    assert [a is b for a, b in zip(module._flat_weights, module.parameters(), strict=True)] == [True] * 20
    x, h, c = torch.zeros(7, 4, 3), torch.zeros(4, 4, 2), torch.zeros(4, 4, 5)
    assert module.get_expected_hidden_size(x, None) == (4, 4, 2)
    assert module.get_expected_cell_size(x, None) == (4, 4, 5)
    module.check_forward_args(x, (h, c), None)
    module.check_input(x, None)
    with pytest.raises(RuntimeError, match=r"Expected hidden\[1\] size \(4, 4, 5\), got \[4, 4, 2\]"):
        module.check_forward_args(x, (h, h), None)
    order = torch.tensor([3, 1, 0, 2])
    h = torch.randn(4, 4, 2)
    assert torch.equal(module.permute_hidden((h, c), order)[0], h[:, order])
    module.flatten_parameters()
    rnn, cell = replaced(nn.RNN(3, 5, nonlinearity="relu")), replaced(nn.RNNCell(3, 5, nonlinearity="relu"))
    assert (rnn.mode, rnn.nonlinearity, cell.nonlinearity) == ("RNN_RELU", "relu", "relu")
    assert replaced(nn.GRU(3, 5)).mode == "GRU"


def test_a_program_that_asks_for_the_class_in_its_forward() -> None:
    class Encoder(nn.Module):
        def __init__(self, rnn: nn.RNNBase) -> None:
            super().__init__()
            self.rnn = rnn

        def forward(self, x: Tensor) -> Tensor:
            state = self.rnn(pack_padded_sequence(x, torch.tensor([4, 2]), enforce_sorted=True))[1]
            return state[0] if isinstance(self.rnn, nn.LSTM) else state

    for rnn in (nn.LSTM(3, 5, dtype=F64), nn.GRU(3, 5, dtype=F64)):
        ours = Encoder(copy.deepcopy(rnn))
        holdfast.replace_recurrent(ours)
        assert_same([ours(X)], [Encoder(rnn)(X)])


def _set(module: Any) -> None:
    module.weight_ih_l0 = nn.Parameter(module.weight_ih_l0.detach() * 3)


def _in_the_list(module: Any) -> None:
    module._flat_weights[1] = module._flat_weights[1] * 2


def _the_whole_list(module: Any) -> None:
    module._flat_weights = [weight * 0.5 for weight in module._flat_weights]


def _in_parameters(module: Any) -> None:
    module._parameters["weight_hh_l0"] = nn.Parameter(module.weight_hh_l0.detach() * 3)


def _dropped(module: Any) -> None:
    raw = module.weight_hh_l0
    del module._parameters["weight_hh_l0"]
    module.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))
    module.weight_hh_l0 = module.weight_hh_l0_raw * 0.7
    module.flatten_parameters = lambda: None


def _by_name(module: Any) -> None:
    names = module._flat_weights_names
    module.weight_ih_l0.data = module.weight_ih_l0.data * 2
    module._flat_weights = [getattr(module, name) if hasattr(module, name) else None for name in names]


def _loaded(module: Any) -> None:
    state = {name: value * 2 for name, value in module.state_dict().items()}
    module.load_state_dict(state, assign=True)


def _moved(module: Any) -> None:
    module.to(torch.float32).double()


def _emptied(module: Any) -> None:
    state = module.state_dict()
    module.to("meta").to_empty(device="cpu").load_state_dict(state)


def _shared(module: Any) -> None:
    module.share_memory()


@pytest.mark.parametrize(
    "change",
    [_set, _in_the_list, _the_whole_list, _in_parameters, _dropped, _by_name, _loaded, _moved, _emptied, _shared],
)
@pytest.mark.parametrize("kind", ["plain", "subclass"])
def test_weights_that_a_program_writes_are_those_that_count(change: Callable[[Any], None], kind: str) -> None:
    theirs = nn.GRU(3, 5, dtype=F64) if kind == "plain" else Shifted(3, 5, dtype=F64)
    ours = replaced(copy.deepcopy(theirs))
    for module in (ours, theirs):
        run(module)
        change(module)
    for _ in range(2):
        assert_same(run(ours), run(theirs))
        assert list(ours.state_dict()) == list(theirs.state_dict())
    if all(weight.grad_fn is None for weight in ours._flat_weights):
        assert_gradients_are_the_same(ours, theirs)


def test_functional_call_uses_the_weights_it_was_given_and_leaves_no_trace() -> None:
    theirs = nn.LSTM(3, 5, 2, dtype=F64)
    ours = replaced(copy.deepcopy(theirs))
    other = {name: value.detach() * 2 for name, value in theirs.named_parameters()}
    got = [tensors(torch.func.functional_call(module, other, (X,))) for module in (ours, theirs)]
    assert_same(*got)
    assert_same(run(ours), run(theirs))
    holdfast.Stream(ours)  # after the call, the weights in use are the module's again
    assert ours.named_weights()["weight_ih_l0"] is ours.weight_ih_l0


PARAMETRISED: dict[str, tuple[Callable[..., Any], Callable[[], Any], str]] = {
    "weight norm": (parametrizations.weight_norm, lambda: nn.LSTM(3, 5, dtype=F64), "weight_hh_l0"),
    "spectral norm": (parametrizations.spectral_norm, lambda: nn.GRU(3, 5, 2, dtype=F64), "weight_hh_l1"),
    "orthogonal": (parametrizations.orthogonal, lambda: nn.RNN(3, 5, dtype=F64), "weight_hh_l0"),
    "of a subclass": (parametrizations.weight_norm, lambda: Shifted(3, 5, dtype=F64), "weight_ih_l0"),
    "of a cell": (parametrizations.spectral_norm, lambda: nn.LSTMCell(3, 5, dtype=F64), "weight_hh"),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", PARAMETRISED)
def test_parametrised_weights(kind: str, when: str) -> None:
    register, make, name = PARAMETRISED[kind]
    ours, theirs = make(), make()
    ours.load_state_dict(theirs.state_dict())
    if when == "after":
        replaced(ours)
    for module in (ours, theirs):
        torch.manual_seed(6)
        register(module, name)
    if when == "before":
        report = holdfast.replace_recurrent(ours)
        assert not report.left
        assert "Parametrized" not in str(report)
    copies = [copy.deepcopy(module).eval() for module in (ours, theirs)]
    assert_same(*map(run, copies))
    for _ in range(3):  # while training, the spectral norm is another after each call
        assert_same(run(ours), run(theirs))
    assert_gradients_are_the_same(ours, theirs)
    for module in (ours, theirs):
        parametrize.remove_parametrizations(module, name)
    assert_same(run(ours), run(theirs))
    assert isinstance(ours, holdfast.LSTM | holdfast.GRU | holdfast.RNN | holdfast.LSTMCell)
    assert_same(run(copy.deepcopy(ours)), run(theirs))


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


class WeightDrop(nn.Module):
    """As programs for AWD-LSTM write it: the weight of the module is deleted, and set before each call."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module
        raw = module.weight_hh_l0
        del module._parameters["weight_hh_l0"]
        module.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))
        module.flatten_parameters = lambda *_: None

    def forward(self, x: Tensor) -> Any:
        raw = self.module.weight_hh_l0_raw
        self.module.weight_hh_l0 = nn.functional.dropout(raw, 0.5, self.training) * 1
        return self.module.forward(x)


@pytest.mark.parametrize("when", ["before", "after", "after a call"])
def test_weight_drop(when: str) -> None:
    theirs = nn.LSTM(3, 5, dtype=F64)
    ours = copy.deepcopy(theirs)
    if when == "before":
        replaced(ours)
    wrapped = [WeightDrop(module) for module in (ours, theirs)]
    if when == "after a call":
        wrapped[0](X)
    replaced(wrapped[0])
    outputs = []
    for module in wrapped:
        torch.manual_seed(7)
        outputs.append(tensors(module(X)))
        outputs[-1][0].sum().backward()
    assert_same(*outputs)
    for (name, a), (other, b) in zip(*(module.named_parameters() for module in wrapped), strict=True):
        assert name == other
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-12)


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
            f"Stream got a {__name__}.{name}, which has a forward of its own; a stream would run the {kind} under it "
            "alone. Call the module step by step instead, with its state."
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
