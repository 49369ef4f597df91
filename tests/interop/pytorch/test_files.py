"""State dicts of PyTorch, read as torch computes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from holdfast.errors import ConversionError, OptionError
from holdfast.interop.pytorch.files import list_layers, read, write
from holdfast.interop.pytorch.tensors import read_tensors

FORMS = ("zip", "legacy", "safetensors")
RECURRENT: dict[str, Callable[..., Any]] = {
    "LSTM": nn.LSTM,
    "LSTM projected": lambda *sizes, **options: nn.LSTM(*sizes, proj_size=2, **options),
    "GRU": nn.GRU,
    "RNN tanh": nn.RNN,
    "RNN relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
}


class Tagger(nn.Module):
    def __init__(self, recurrent: nn.Module, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(13, 4)
        self.rnn = recurrent
        self.out = nn.Linear(width, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.rnn(self.embed(ids))[0])


def save(tensors: Any, path: Path, form: str = "zip") -> Path:
    if form == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=form == "zip")
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", RECURRENT)
def test_a_chain_is_read_as_torch_computes_it(
    kind: str, layers: int, bidirectional: bool, bias: bool, form: str, tmp_path: Path
) -> None:
    options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, "batch_first": True}
    width = (2 if kind == "LSTM projected" else 5) * (2 if bidirectional else 1)
    model = Tagger(RECURRENT[kind](4, 5, **options), width).double()
    path = save(model.state_dict(), tmp_path / "model", form)
    network = read(path, **({"nonlinearity": "relu"} if kind == "RNN relu" else {}))
    path.unlink()  # the network holds no view of the file
    ids = torch.randint(13, (3, 7))
    torch.testing.assert_close(network(ids), model(ids), rtol=0, atol=1e-12)
    assert [(node.name, node.kind) for node in network.nodes] == [
        ("embed", "Embedding"),
        ("rnn", "Recurrent"),
        ("out", "Linear"),
    ]
    assert not network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", RECURRENT)
def test_what_is_written_is_what_was_read_bit_for_bit(kind: str, form: str, tmp_path: Path) -> None:
    model = Tagger(RECURRENT[kind](4, 5, 2, bidirectional=True), 4 if kind == "LSTM projected" else 10)
    path = save(model.state_dict(), tmp_path / "model", form)
    again = tmp_path / ("again.safetensors" if form == "safetensors" else "again.pt")
    write(again, read(path))
    found = read_tensors(again)
    assert found.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(found[name], tensor), name
    model.load_state_dict(found, strict=True)
    if form != "safetensors":
        assert list(torch.load(again, weights_only=True)) == list(model.state_dict())


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_files_of_others(kind: str, conformance: Callable[[str], Path]) -> None:
    """Three state dicts from the wild, with what torch computed."""
    path = conformance("pytorch") / f"{kind}_state_dict.pt"
    golden = np.load(f"{path}.rnn-golden.npz")
    network = read(path)
    (node,) = (node for node in network.nodes if node.kind == "Recurrent")
    outputs, state = network.module(node.name).layer(torch.from_numpy(golden["x"]))  # type: ignore[operator, union-attr]
    torch.testing.assert_close(outputs, torch.from_numpy(golden["y"]), rtol=0, atol=1e-5)
    for number, part in enumerate(state if isinstance(state, tuple) else (state,)):
        torch.testing.assert_close(part, torch.from_numpy(golden[f"state_{number}"]), rtol=0, atol=1e-5)


def test_the_last_state_instead_of_every_step(tmp_path: Path) -> None:
    rnn, out = nn.GRU(3, 5, 2, batch_first=True, bidirectional=True), nn.Linear(10, 2)
    model = nn.ModuleDict({"rnn": rnn, "out": out})
    network = read(save(model.state_dict(), tmp_path / "m.pt"), head="last")
    x = torch.randn(4, 6, 3)
    _, h = rnn(x)
    torch.testing.assert_close(network(x), out(torch.cat([h[-2], h[-1]], -1)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_layer_or_a_cell_that_was_saved_alone(kind: str, tmp_path: Path) -> None:
    layer = getattr(nn, kind)(3, 5, batch_first=True)
    network = read(save(layer.state_dict(), tmp_path / "layer.pt"))
    x = torch.randn(2, 6, 3)
    torch.testing.assert_close(network(x), layer(x)[0], rtol=0, atol=1e-6)
    cell = getattr(nn, f"{kind}Cell")(3, 5)
    cell.load_state_dict({name.removesuffix("_l0"): tensor for name, tensor in layer.state_dict().items()})
    assert torch.equal(read(save(cell.state_dict(), tmp_path / "cell.pt"))(x), network(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_precision_stays(dtype: torch.dtype, tmp_path: Path) -> None:
    layer = nn.LSTM(3, 5).to(dtype)
    network = read(save(layer.state_dict(), tmp_path / "layer.pt"))
    assert {parameter.dtype for parameter in network.parameters()} == {dtype}


def test_a_state_dict_within_a_checkpoint(tmp_path: Path) -> None:
    model = nn.ModuleDict({"rnn": nn.LSTM(3, 5)})
    optimiser = torch.optim.Adam(model.parameters())
    model["rnn"](torch.randn(2, 1, 3))[0].sum().backward()
    optimiser.step()
    checkpoint = {"epoch": 3, "loss": 0.5, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    network = read(save(checkpoint, tmp_path / "checkpoint.pt"))
    assert torch.equal(network.module("rnn").layer.weight_hh_l0, model["rnn"].weight_hh_l0)  # type: ignore[union-attr]


def test_tensors_that_share_memory(tmp_path: Path) -> None:
    whole = torch.randn(40, 5)
    tensors = {"rnn.weight_ih_l0": whole[:20, :3], "rnn.weight_hh_l0": whole[20:]}
    network = read(save(tensors, tmp_path / "m.pt"))
    layer = network.module("rnn").layer  # type: ignore[union-attr]
    assert torch.equal(layer.weight_ih_l0, whole[:20, :3])
    assert torch.equal(layer.weight_hh_l0, whole[20:])


def test_layers_are_listed_whatever_the_model_is(tmp_path: Path) -> None:
    model = nn.ModuleDict(
        {
            "table": nn.Embedding(11, 4),
            "encoder": nn.GRU(4, 6, 2, bidirectional=True),
            "norm": nn.LayerNorm(12),
            "decoder": nn.LSTMCell(12, 5),
            "projected": nn.LSTM(5, 7, proj_size=3),
            "head": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False)),
        }
    )
    found = list_layers(save(model.state_dict(), tmp_path / "m.pt"))
    assert [(layer.name, layer.kind, layer.input_size, layer.output_size) for layer in found] == [
        ("table", "matrix", 4, 11),
        ("encoder", "gru", 4, 12),
        ("norm", "other", 0, 0),
        ("decoder", "lstm_cell", 12, 5),
        ("projected", "lstm", 5, 3),
        ("head.0", "linear", 3, 4),
        ("head.2", "matrix", 4, 2),
    ]
    assert found[1].options == {"hidden_size": 6, "num_layers": 2, "bias": True, "bidirectional": True}


HINT = (
    " Load the state dict into its PyTorch model, which knows how the layers are connected, and call "
    "holdfast.replace_recurrent(model). Its recurrent layers alone can be read: formats.read_layers(path), or --set "
    "layers='*'."
)
UNCLEAR: dict[str, tuple[Callable[[], dict[str, nn.Module]], str]] = {
    "two linear layers": (
        lambda: {"rnn": nn.GRU(3, 4), "hidden": nn.Linear(4, 4), "out": nn.Linear(4, 2)},
        "has the layer 'out' (linear) besides its recurrent layers, and does not say how the model uses it." + HINT,
    ),
    "a linear layer first": (
        lambda: {"lift": nn.Linear(2, 3), "rnn": nn.GRU(3, 4)},
        "has the layer 'lift' (linear) besides its recurrent layers, and does not say how the model uses it." + HINT,
    ),
    "a layer between": (
        lambda: {"a": nn.GRU(3, 4), "norm": nn.LayerNorm(4), "b": nn.GRU(4, 4)},
        "has the layer 'norm' (other) besides its recurrent layers, and does not say how the model uses it." + HINT,
    ),
    "a convolution": (
        lambda: {"rnn": nn.GRU(3, 4), "conv": nn.Conv1d(4, 4, 3)},
        "has the layer 'conv' (other) besides its recurrent layers, and does not say how the model uses it." + HINT,
    ),
    "two that do not fit": (
        lambda: {"encoder": nn.GRU(3, 4), "decoder": nn.GRU(3, 4)},
        "has 'encoder', which gives 4 values, before 'decoder', which takes 3: they are not a chain." + HINT,
    ),
    "a square without a bias": (
        lambda: {"first": nn.Linear(3, 3, bias=False), "rnn": nn.GRU(3, 4)},
        "has the layer 'first' of 3 by 3 weights, which may be an embedding or a linear layer." + HINT,
    ),
    "nothing recurrent": (
        lambda: {"out": nn.Linear(3, 2)},
        "has no recurrent layer: no tensor in it is called weight_ih_l0 or weight_ih.",
    ),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_leaves_a_doubt_is_refused(case: str, tmp_path: Path) -> None:
    make, message = UNCLEAR[case]
    path = save(nn.ModuleDict(make()).state_dict(), tmp_path / "m.pt")
    with pytest.raises(ConversionError) as error:
        read(path)
    assert str(error.value) == f"{path} {message}"


def test_an_embedding_that_is_square_by_chance(tmp_path: Path) -> None:
    model = Tagger(nn.GRU(4, 4), 4)
    model.embed = nn.Embedding(4, 4)
    assert read(save(model.state_dict(), tmp_path / "m.pt")).nodes[0].kind == "Embedding"


def test_safetensors_keep_no_order(tmp_path: Path) -> None:
    """Layers are put into the one order in which they fit; where there are two, neither is taken."""
    layers = {"z": nn.Embedding(9, 3), "b": nn.GRU(3, 5), "a": nn.LSTM(5, 3), "c": nn.Linear(3, 3, bias=False)}
    network = read(save(nn.ModuleDict(layers).state_dict(), tmp_path / "m", "safetensors"))
    assert [node.name for node in network.nodes] == ["z", "b", "a", "c"]
    layers = {"encoder": nn.GRU(4, 4), "decoder": nn.GRU(4, 4)}
    path = save(nn.ModuleDict(layers).state_dict(), tmp_path / "m", "safetensors")
    with pytest.raises(ConversionError) as error:
        read(path)
    assert str(error.value) == (
        f"{path} has layers that fit one another in 2 ways, and a safetensors file does not keep their order. Give the "
        "file that torch.save wrote." + HINT
    )
    assert [node.name for node in read(save(nn.ModuleDict(layers).state_dict(), tmp_path / "m.pt")).nodes] == [*layers]


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_leaves_a_doubt_is_refused_in_safetensors_too(case: str, tmp_path: Path) -> None:
    path = save(nn.ModuleDict(UNCLEAR[case][0]()).state_dict(), tmp_path / "m", "safetensors")
    with pytest.raises(ConversionError):
        read(path)


@pytest.mark.parametrize(("name", "value"), [("nonlinearity", "selu"), ("head", "first")])
def test_settings_that_are_not_there(name: str, value: str, tmp_path: Path) -> None:
    known = {"nonlinearity": "'tanh' or 'relu'", "head": "'steps' or 'last'"}[name]
    with pytest.raises(OptionError) as error:
        read(tmp_path / "m.pt", **{name: value})  # type: ignore[arg-type]
    assert str(error.value) == f"PyTorch's files are read with {name} {known}; got {value!r}."
