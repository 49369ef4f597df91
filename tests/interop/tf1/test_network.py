"""The cells of a checkpoint by the names of their variables: layers that compute what TensorFlow 1's equations say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.interop.tf1.cells import GRU_SHAPES, LSTM_SHAPES, H, I, X, close, gru, lstm, outputs, own, rnn, under, wide

import tf1_writer as tf
from holdfast.errors import ConversionError, OptionError
from holdfast.interop.network import load, save
from holdfast.interop.tf1.names import modern, parse_name, place_of
from holdfast.interop.tf1.network import read, read_cells, read_layers


@pytest.mark.parametrize("cell", ["basic_lstm_cell", "lstm_cell", "lstm_fused_cell", "cudnn_compatible_lstm_cell"])
@pytest.mark.parametrize("forget_bias", [1.0, 0.0, 2.5])
def test_an_lstm_with_its_forget_bias(cell: str, forget_bias: float, tmp_path: Path) -> None:
    arrays = under(f"rnn/{cell}", LSTM_SHAPES)
    tf.write_v2(tmp_path / "m", {**arrays, "dense/kernel": np.ones((H, 2)), f"rnn/{cell}/kernel/Adam": np.ones(1)})
    network = read(tmp_path / "m", forget_bias=forget_bias)
    close(outputs(network), lstm(own(arrays, f"rnn/{cell}"), X, 0 if "cudnn" in cell else forget_bias))
    assert [node.name for node in network.nodes] == [f"rnn/{cell}"]
    assert not network.training


def test_peepholes_projection_and_a_clip(tmp_path: Path) -> None:
    shapes = {"kernel": (I + 2, 4 * H), "bias": (4 * H,), "projection/kernel": (H, 2)}
    arrays = under("rnn/lstm_cell", {**shapes, **{f"w_{gate}_diag": (H,) for gate in "fio"}})
    tf.write_v1(tmp_path / "m", arrays)
    expected = lstm(own(arrays, "rnn/lstm_cell"), X, 1.0, 0.3)
    close(outputs(read(tmp_path / "m", cell_clip=0.3)), expected)
    assert abs(lstm(own(arrays, "rnn/lstm_cell"), X, 1.0) - expected).max() > 0.01


def test_a_gru_and_the_one_of_cudnn(tmp_path: Path) -> None:
    arrays = under("rnn/gru_cell", GRU_SHAPES)
    tf.write_v2(tmp_path / "m", arrays)
    close(outputs(read(tmp_path / "m")), gru(own(arrays, "rnn/gru_cell"), X))
    shapes = {name: shape for name, shape in GRU_SHAPES.items() if "gates" in name}
    for part, rows in (("input", I), ("hidden", H)):
        shapes |= {f"candidate/{part}_projection/kernel": (rows, H), f"candidate/{part}_projection/bias": (H,)}
    arrays = under("rnn/cudnn_compatible_gru_cell", shapes)
    tf.write_v2(tmp_path / "m", arrays)
    close(outputs(read(tmp_path / "m")), gru(own(arrays, "rnn/cudnn_compatible_gru_cell"), X))


def test_two_directions(tmp_path: Path) -> None:
    ways = ("bidirectional_rnn/fw/basic_lstm_cell", "bidirectional_rnn/bw/basic_lstm_cell")
    arrays = {k: v for seed, way in enumerate(ways) for k, v in under(way, LSTM_SHAPES, seed).items()}
    tf.write_v2(tmp_path / "m", arrays)
    network = read(tmp_path / "m")
    both = [lstm(own(arrays, ways[0]), X, 1), lstm(own(arrays, ways[1]), X[:, ::-1], 1)[:, ::-1]]
    close(outputs(network), np.concatenate(both, 2))
    assert [node.options["bidirectional"] for node in network.nodes] == [True]
    layers = read_layers(tmp_path / "m")
    assert [layer.reverse for layer in layers.values()] == [True, False]  # bw, fw
    with torch.no_grad():
        close(layers[ways[1]](torch.from_numpy(X))[0].numpy(), both[1])


def test_two_directions_of_different_stacks(tmp_path: Path) -> None:
    """Each direction runs through all its cells before they meet."""
    fw, bw = "enc/bidirectional_rnn/fw/multi_rnn_cell", "enc/bidirectional_rnn/bw/multi_rnn_cell"
    arrays = {
        **under(f"{fw}/cell_0/gru_cell", GRU_SHAPES, 1),
        **under(f"{fw}/cell_1/basic_lstm_cell", wide(H, 2), 2),
        **under(f"{bw}/cell_0/basic_rnn_cell", {"kernel": (I + 6, 6), "bias": (6,)}, 3),
    }
    tf.write_v2(tmp_path / "m", arrays)
    network = read(tmp_path / "m")
    forwards = lstm(own(arrays, f"{fw}/cell_1/basic_lstm_cell"), gru(own(arrays, f"{fw}/cell_0/gru_cell"), X), 1)
    backwards = rnn(own(arrays, f"{bw}/cell_0/basic_rnn_cell"), X[:, ::-1])[:, ::-1]
    close(outputs(network), np.concatenate([forwards, backwards], 2))
    save(tmp_path / "m.safetensors", network)
    close(outputs(load(tmp_path / "m.safetensors")), outputs(network))


@pytest.mark.parametrize("between", ["/bidirectional_rnn", ""])
def test_a_stack_of_two_directions(between: str, tmp_path: Path) -> None:
    arrays, expected = {}, X
    for stage, depth in ((0, I), (1, 2 * H)):
        halves = []
        for seed, way in enumerate(("fw", "bw")):
            scope = f"stack_bidirectional_rnn/cell_{stage}{between}/{way}/basic_lstm_cell"
            arrays |= under(scope, wide(depth, H), 2 * stage + seed)
            x = expected if way == "fw" else expected[:, ::-1]
            y = lstm(own(arrays, scope), x, 1)
            halves.append(y if way == "fw" else y[:, ::-1])
        expected = np.concatenate(halves, 2)
    tf.write_v2(tmp_path / "m", arrays)
    close(outputs(read(tmp_path / "m")), expected)


def test_eleven_layers_in_their_order(tmp_path: Path) -> None:
    """cell_10 comes after cell_9, not after cell_1."""
    arrays, expected = {}, X
    for number in range(11):
        scope = f"rnn/multi_rnn_cell/cell_{number}/basic_lstm_cell"
        arrays |= under(scope, wide(expected.shape[2], 2 + number % 3), number)
        expected = lstm(own(arrays, scope), expected, 1)
    tf.write_v2(tmp_path / "m", arrays)
    close(outputs(read(tmp_path / "m")), expected)


OLD = {
    "RNN/BasicLSTMCell": {"kernel": "Linear/Matrix", "bias": "Linear/Bias"},
    "RNN/LSTMCell": {"kernel": "W_0", "bias": "B"},
    "rnn/basic_lstm_cell": {"kernel": "weights", "bias": "biases"},
}


@pytest.mark.parametrize("scope", OLD)
def test_older_names(scope: str, tmp_path: Path) -> None:
    arrays = under("x", LSTM_SHAPES)
    tf.write_v1(tmp_path / "m", {f"{scope}/{old}": arrays[f"x/{new}"] for new, old in OLD[scope].items()})
    close(outputs(read(tmp_path / "m")), lstm(own(arrays, "x"), X, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RNN/MultiRNNCell/Cell0/BasicLSTMCell/Linear/Matrix", "rnn/multi_rnn_cell/cell_0/basic_lstm_cell/kernel"),
        ("BiRNN/FW/LSTMCell/W_0", "bidirectional_rnn/fw/lstm_cell/kernel"),
        ("BiRNN/BW/LSTMCell/W_F_diag", "bidirectional_rnn/bw/lstm_cell/w_f_diag"),
        ("RNN/LSTMCell/W_P_0", "rnn/lstm_cell/projection/kernel"),
        ("RNN/GRUCell/Gates/Linear/Bias", "rnn/gru_cell/gates/bias"),
        ("RNN/GRUCell/Candidate/Linear/Matrix", "rnn/gru_cell/candidate/kernel"),
        ("rnn/gru_cell_1/gates/weights", "rnn/gru_cell_1/gates/kernel"),
        ("rnn/lstm_cell/projection/weights", "rnn/lstm_cell/projection/kernel"),
        ("rnn/gru_cell/w_ru", "rnn/gru_cell/gates/kernel"),
        ("rnn/basic_lstm_cell/kernel", "rnn/basic_lstm_cell/kernel"),
        ("rnn/basic_lstm_cell/kernel/Adam", "rnn/basic_lstm_cell/kernel/Adam"),
        ("rnn/basic_lstm_cell/biases/RMSProp_1", "rnn/basic_lstm_cell/bias/RMSProp_1"),
        ("RNN/GRUCell/Gates/Linear/Matrix/Adam", "rnn/gru_cell/gates/kernel/Adam"),
        ("dense/weights", "dense/weights"),
        ("dense/weights/Adam", "dense/weights/Adam"),
    ],
)
def test_modern_names(old: str, new: str) -> None:
    assert modern(old) == new


def test_where_cells_stand() -> None:
    found = parse_name(
        "a/stack_bidirectional_rnn/cell_1/bidirectional_rnn/bw/multi_rnn_cell/cell_2/gru_cell/gates/bias"
    )
    assert found is not None
    assert found[1:] == ("gru_cell", "gates/bias")
    place = place_of(*found[:2])
    assert place[2:] == ("a/stack_bidirectional_rnn", 1, "bw", 2)


def test_several_networks_and_none(tmp_path: Path) -> None:
    path = tmp_path / "m"
    tf.write_v2(path, {**under("enc/rnn/basic_lstm_cell", LSTM_SHAPES), **under("dec/rnn/gru_cell", GRU_SHAPES)})
    with pytest.raises(ConversionError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path} has 2 recurrent networks, 'dec/rnn', 'enc/rnn' in it; expected one. Give the scope of one, or "
        "read its layers."
    )
    assert [node.name for node in read(path, "dec").nodes] == ["dec/rnn/gru_cell"]
    assert set(read_layers(path)) == {"dec/rnn/gru_cell", "enc/rnn/basic_lstm_cell"}
    with pytest.raises(ConversionError, match=re.escape("has no recurrent cells under 'other'; expected one.")):
        read(path, "other")


def test_a_cell_within_another_is_not_taken_for_its_own(tmp_path: Path) -> None:
    tf.write_v2(tmp_path / "m", under("rnn/attention_cell_wrapper/basic_lstm_cell", LSTM_SHAPES))
    with pytest.raises(ConversionError, match="of attention_cell_wrapper, which no layer of Holdfast describes"):
        read(tmp_path / "m")


def test_a_cell_without_a_layer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m"
    tf.write_v2(path, under("rnn/layer_norm_basic_lstm_cell", {"kernel": (I + H, 4 * H)}))
    with pytest.raises(ConversionError) as caught:
        read_cells(path)
    assert str(caught.value) == (
        f"{path} has variable rnn/layer_norm_basic_lstm_cell/kernel of layer_norm_basic_lstm_cell, which no layer of "
        "Holdfast describes. Give a scope without it; holdfast.tf1 has some of these cells, and its store restores "
        "them."
    )


SCOPE = "rnn/basic_lstm_cell"
EXPECTED = "; expected (inputs + units, gates * units)."


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        ({"kernel": (7, 12)}, "has no variable bias; expected one, as every such LSTM has one."),
        ({**LSTM_SHAPES, "w_f_diag": (H,)}, "has no variable w_i_diag; expected one, as every such LSTM has one."),
        ({"kernel": (3, 12), "bias": (12,)}, f"has a kernel of shape (3, 12){EXPECTED}"),
        ({"kernel": (7, 3), "bias": (3,)}, f"has a kernel of shape (7, 3){EXPECTED}"),
        ({"kernel": (84,), "bias": (12,)}, "has variable kernel of shape (84,); expected 2 dimensions."),
        ({"kernel": (), "bias": (12,)}, "has variable kernel of shape (); expected 2 dimensions."),
        ({"kernel": (7, 12), "bias": (3, 4)}, "has variable bias of shape (3, 4); expected 1 dimensions."),
        ({"kernel": (7, 12), "bias": (3,)}, "has (3,) as bias weights; expected (12,) for the LSTM"),
        ({"kernel": (7, 13), "bias": (12,)}, "has (4, 13) as input weights; expected (4, 12) for the LSTM"),
    ],
)
def test_variables_that_are_no_cell(shapes: dict[str, tuple[int, ...]], text: str, tmp_path: Path) -> None:
    tf.write_v2(tmp_path / "m", under(SCOPE, shapes))
    with pytest.raises(ConversionError) as caught:
        read(tmp_path / "m")
    assert str(caught.value).startswith(f"{tmp_path / 'm'}: {SCOPE} {text}")


@pytest.mark.parametrize(
    ("kernel", "bias", "text"),
    [("int64", "int64", "torch.int64"), ("float32", "float64", "torch.float32, torch.float64")],
)
def test_dtypes_that_are_no_cell(kernel: str, bias: str, text: str, tmp_path: Path) -> None:
    arrays = under(SCOPE, LSTM_SHAPES)
    for name, dtype in (("kernel", kernel), ("bias", bias)):
        arrays[f"{SCOPE}/{name}"] = arrays[f"{SCOPE}/{name}"].astype(dtype)
    tf.write_v2(tmp_path / "m", arrays)
    with pytest.raises(ConversionError) as caught:
        read(tmp_path / "m")
    assert str(caught.value) == (
        f"{tmp_path / 'm'}: {SCOPE} has variables of {text}; expected one floating-point dtype."
    )


def test_layers_that_do_not_fit_on_one_another(tmp_path: Path) -> None:
    arrays = under("rnn/multi_rnn_cell/cell_0/basic_lstm_cell", LSTM_SHAPES)
    tf.write_v2(tmp_path / "m", {**arrays, **under("rnn/multi_rnn_cell/cell_1/basic_lstm_cell", wide(5, 2))})
    with pytest.raises(ConversionError) as caught:
        read(tmp_path / "m")
    assert str(caught.value) == (
        "rnn/multi_rnn_cell/cell_1/basic_lstm_cell takes 5 values and the layer below gives 3; expected the same "
        "number. Read the layers one by one."
    )


def test_options_are_those_of_a_cell(tmp_path: Path) -> None:
    tf.write_v2(tmp_path / "m", under(SCOPE, LSTM_SHAPES))
    assert read_cells(tmp_path / "m", activation="relu")[0].spec.activation == "relu"
    with pytest.raises(OptionError, match="did you mean 'activation'"):
        read_cells(tmp_path / "m", activatoin="relu")
