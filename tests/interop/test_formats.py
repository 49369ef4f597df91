"""The registry: a format is told by a file's first bytes, and what is read is what was written."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from holdfast.errors import ConversionError, ModelFileError, OptionError
from holdfast.interop import formats
from holdfast.interop.examples import example_inputs
from holdfast.interop.format_table import FORMATS, detect_format, format_to_write
from holdfast.interop.network import Network, Node


def tagger(**options: Any) -> Network:
    torch.manual_seed(1)
    lstm = {"cell": "lstm", "input_size": 4, "hidden_size": 6, "num_layers": 2, "bidirectional": True, **options}
    return Network(
        ["ids"],
        ["scores"],
        [
            Node("embed", "Embedding", {"num_embeddings": 9, "embedding_dim": 4}, ("ids",), ("x",)),
            Node("rnn", "Recurrent", lstm, ("x",), ("y",)),
            Node("out", "Linear", {"in_features": 12, "out_features": 3}, ("y",), ("scores",)),
        ],
    ).eval()


@pytest.mark.parametrize("name", FORMATS)
def test_every_function_of_a_format_is_there(name: str) -> None:
    one = FORMATS[name]
    for place, arguments in ((one.reads, 1), (one.writes, 2), (one.compares, 2), (one.lists, 1)):
        if place is not None:
            module, _, function = place.partition(":")
            parameters = signature(getattr(import_module(module), function)).parameters.values()
            assert sum(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in parameters) == arguments


@pytest.mark.parametrize("options", [{}, {"init": "torch"}], ids=str)
@pytest.mark.parametrize("ending", [ending for one in FORMATS.values() if one.writes for ending in one.extensions])
def test_what_is_written_is_told_and_read(ending: str, options: dict[str, str], tmp_path: Path) -> None:
    network, path = tagger(**options), tmp_path / f"m{ending}"
    formats.write(path, network)
    told = detect_format(path)
    assert told is format_to_write(path)
    unnamed = tmp_path / "no-ending"
    unnamed.write_bytes(path.read_bytes())
    assert detect_format(unnamed) is told
    ids = torch.randint(9, (2, 5))
    assert torch.equal(formats.read(path)(ids), network(ids))
    assert [p.name for p in tmp_path.iterdir() if p.name not in (path.name, "no-ending")] == []


def test_safetensors_of_others_are_pytorchs(tmp_path: Path) -> None:
    save_file({"weight_ih_l0": torch.zeros(3, 2), "weight_hh_l0": torch.zeros(3, 3)}, tmp_path / "m.safetensors")
    assert detect_format(tmp_path / "m.safetensors").name == "pytorch"
    torch.save({"weight_ih_l0": torch.zeros(3, 2)}, tmp_path / "old", _use_new_zipfile_serialization=False)
    assert detect_format(tmp_path / "old").name == "pytorch"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda path: formats.read(path), ModelFileError, "{path} is not there. Check the path."),
        (
            lambda path: formats.read(path, "pickle"),
            OptionError,
            "There is no format 'pickle': known are {known}.",
        ),
        (
            lambda path: formats.read(path, "pytorchs"),
            OptionError,
            "There is no format 'pytorchs': did you mean 'pytorch'? Known: {known}.",
        ),
        (
            lambda path: formats.read(path, "pytorch", nonlinearty="relu"),
            OptionError,
            "The format 'pytorch' has no option 'nonlinearty': did you mean 'nonlinearity'? Known: head, nonlinearity.",
        ),
        (
            lambda path: formats.read(path, "holdfast", head="last"),
            OptionError,
            "The format 'holdfast' has no option 'head': it has none.",
        ),
    ],
)
def test_what_there_is_not(call, error, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "m"
    with pytest.raises(error) as raised:
        call(path)
    assert str(raised.value) == message.format(path=path, known=", ".join(sorted(FORMATS)))


def test_checkpoints_of_tensorflow(conformance: Callable[[str], Path], tmp_path: Path) -> None:
    """By the folder, by what the files' names begin with, and by one of the files."""
    folder = conformance("tf1-checkpoint")
    places = [folder, folder / "forcaster", folder / "forcaster.index"]
    for place in places:
        assert detect_format(place).name == "tf1"
        assert [line.name for line in formats.list_layers(place).rows] == ["rnn/basic_lstm_cell"]
    one, other = (formats.read(places[1], forget_bias=bias) for bias in (1.0, 0.0))
    x = torch.randn(2, 4, 2)
    assert not torch.equal(one(x), other(x)), "the option reaches the reader"
    with pytest.raises(ConversionError) as error:
        formats.write(tmp_path / "model.ckpt", one)
    assert str(error.value) == "Files of the format 'tf1' are read, not written. Choose another with --to."


def test_an_ending_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as error:
        formats.write(tmp_path / "m.txt", tagger())
    assert str(error.value).startswith(f"{tmp_path / 'm.txt'} has the ending of no format; expected .safetensors (hold")
    assert str(error.value).endswith(", or name the format with --to.")


def test_files_of_no_format(tmp_path: Path) -> None:
    path = tmp_path / "m"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("readme.txt", "words")
    for content in (b"", b"words", zipped.getvalue(), bytes(20), b"\x7fELF" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(ModelFileError) as error:
            formats.read(path)
        assert str(error.value) == (
            f"{path} does not begin like a file of any known format: {', '.join(FORMATS)}. If it is of one of them, "
            "convert it by `holdfast convert --from FORMAT`."
        )


def test_layers_of_what_is_a_network_and_of_what_is_none(tmp_path: Path) -> None:
    formats.write(tmp_path / "m.pt", tagger())
    assert str(formats.list_layers(tmp_path / "m.pt")).splitlines() == [
        "Layer  Kind       Sizes                               Parameters",
        "----------------------------------------------------------------",
        "embed  Embedding  9 -> 4                                      36",
        "rnn    LSTM       4 -> 12, 2 layers, both directions       1,536",
        "out    Linear     12 -> 3                                     39",
        "----------------------------------------------------------------",
        "Total parameters: 1,611",
    ]
    model = nn.ModuleDict({"a": nn.GRUCell(2, 3), "norm": nn.LayerNorm(3), "b": nn.Linear(3, 2)})
    torch.save(model.state_dict(), tmp_path / "m.pt")
    found = formats.list_layers(tmp_path / "m.pt")
    assert [(line.name, line.kind, line.sizes, line.parameters) for line in found.rows] == [
        ("a", "gru cell", "2 -> 3", 63),
        ("norm", "other", "", 6),
        ("b", "linear", "3 -> 2", 8),
    ]
    assert "has the layer 'norm' (other) besides its recurrent layers" in found.note
    assert str(found).endswith(f"Total parameters: 77\n{found.note}")


def test_a_network_whose_input_nobody_takes_is_not_made_up() -> None:
    network = Network(["x", "spare"], ["x"], [])
    with pytest.raises(ConversionError) as error:
        example_inputs(network)
    assert str(error.value) == "Nothing in the network takes its input 'x', so none can be made up."


def test_an_input_that_says_nothing_of_itself_is_not_made_up() -> None:
    network = Network(["x"], ["y"], [Node("both", "Merge", {"mode": "sum"}, ("x", "x"), ("y",))])
    with pytest.raises(ConversionError) as error:
        example_inputs(network)
    assert str(error.value) == (
        "The input 'x' goes into 'both' (Merge) first, which does not say what it is, so none can be made up."
    )


def test_inputs_are_made_up_as_they_are_used() -> None:
    gru = {"cell": "gru", "input_size": 4, "hidden_size": 3}
    nodes = [
        Node("mask", "Masking", {}, ("x",), ("z", "m")),
        Node("rnn", "Recurrent", gru, ("z", "lengths", "h"), ("y",)),
    ]
    x, lengths, h = example_inputs(Network(["x", "lengths", "h"], ["y"], nodes))
    assert x is not None
    assert lengths is not None
    assert (x.shape, x.dtype, lengths.tolist(), h) == ((3, 11, 4), torch.float32, [11, 1, 5], None)
