"""Networks: values by name, nodes in order, and a file that comes back as it was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from holdfast.errors import ConversionError, ModelFileError, ShapeError
from holdfast.interop import nodes
from holdfast.interop.network import Network, Node, load, save

LSTM = {"cell": "lstm", "input_size": 4, "hidden_size": 3, "single_bias": True}
EMBEDDING = {"num_embeddings": 9, "embedding_dim": 4}


def tagger() -> Network:
    """An embedding with a mask, two directions that are merged, and a linear layer."""
    torch.manual_seed(0)
    return Network(
        ["ids"],
        ["scores", "last"],
        [
            Node(
                "embed", "Embedding", {"num_embeddings": 9, "embedding_dim": 4, "mask_zero": True}, ("ids",), ("x", "m")
            ),
            Node("keys", "Recurrent", LSTM, ("x", "m"), ("there", "last")),
            Node("back/1", "Recurrent", {**LSTM, "reverse": True}, ("x", "m"), ("again",)),
            Node("merge", "Merge", {"mode": "concat"}, ("there", "again"), ("both",)),
            Node("back.1", "Linear", {"in_features": 6, "out_features": 2}, ("both",), ("y",)),
            Node("softmax", "Activation", {"name": "softmax"}, ("y",), ("scores",)),
        ],
    )


def test_it_computes_what_its_nodes_say() -> None:
    network = tagger()
    ids = torch.tensor([[1, 2, 3, 0], [4, 5, 0, 0]])
    scores, last = network(ids)
    x, lengths = network.module("embed").weight[ids], torch.tensor([3, 2])
    there, (h, _) = network.module("keys").layer(x, lengths=lengths)
    again, _ = network.module("back/1").layer(x, lengths=lengths)
    linear = network.module("back.1")
    expected = torch.softmax(torch.cat([there, again], -1) @ linear.weight.T + linear.bias, -1)
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(last, h[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_saved_network_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    network = tagger().to(dtype).eval()
    save(tmp_path / "tagger.safetensors", network)
    again = load(tmp_path / "tagger.safetensors")
    assert again.to_document() == network.to_document()
    ids = torch.randint(9, (5, 7))
    for one, other in zip(network(ids), again(ids), strict=True):
        assert torch.equal(one, other)
    assert not again.training
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_a_stateful_layer_goes_on_where_it_ended() -> None:
    network = Network(["x"], ["y"], [Node("lstm", "Recurrent", {**LSTM, "stateful": True}, ("x",), ("y",))])
    x = torch.randn(2, 6, 4)
    whole = network(x)
    part = network.module("lstm")
    part.reset_state()
    torch.testing.assert_close(torch.cat([network(x[:, :2]), network(x[:, 2:])], 1), whole)
    part.reset_state()
    torch.testing.assert_close(network(x), whole)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([Node("a", "Flip", {}, ("z",), ("y",))], "a takes 'z', which no node before it gives."),
        (
            [Node("a", "Flip", {}, ("x",), ("y",)), Node("a", "Flip", {}, ("x",), ("z",))],
            "Two nodes are called 'a'; expected a unique name for each.",
        ),
        ([Node("a", "Flip", {}, ("x",), ("x",))], "a gives ['x'], and one of these is given already."),
        ([Node("a", "Flip", {}, ("x",), ("z",))], "The network gives 'y', which is not one of its values."),
        (
            [Node("a", "Flap", {}, ("x",), ("y",))],
            f"a is a 'Flap': did you mean 'Flip'? Known: {', '.join(sorted(nodes.KINDS))}.",
        ),
        (
            [Node("a", "Recurrent", {**LSTM, "peephole": True}, ("x",), ("y",))],
            "a (Recurrent) cannot be built: LSTM has no option 'peephole': did you mean 'peepholes'?",
        ),
    ],
)
def test_a_network_that_is_none_is_refused(nodes: list[Node], message: str) -> None:
    with pytest.raises(ConversionError, match=f"^{re.escape(message)}"):
        Network(["x"], ["y"], nodes)


def test_the_number_of_inputs_is_checked() -> None:
    with pytest.raises(ShapeError, match=r"^The network got 2 inputs; expected 1: ids\.$"):
        tagger()(torch.zeros(1, 2), torch.zeros(1))


def test_a_damaged_document_is_refused(tmp_path: Path) -> None:
    from holdfast.files import storage

    path = tmp_path / "no.safetensors"
    storage.write(path, {}, {"inputs": ["x"], "outputs": ["y"], "nodes": [{"name": "a"}]}, "network")
    message = f"{path} is damaged: The document of the network is incomplete ('kind'). Take another copy of it."
    with pytest.raises(ModelFileError, match=f"^{re.escape(message)}$"):
        load(path)


def test_a_claimed_size_takes_no_memory(tmp_path: Path) -> None:
    from holdfast.files import storage

    node = {"name": "a", "kind": "Linear", "options": {"in_features": 2**20, "out_features": 2**20}}
    document = {"inputs": ["x"], "outputs": ["y"], "nodes": [{**node, "inputs": ["x"], "outputs": ["y"]}]}
    path = tmp_path / "huge.safetensors"
    storage.write(path, {}, document, "network")
    with pytest.raises(ModelFileError, match=r"has no tensor 'parts\.a\.weight'; the model has one of shape"):
        load(path)


@pytest.mark.parametrize("layers", [10**9, 2**64])
def test_claimed_layers_take_no_memory(tmp_path: Path, layers: int) -> None:
    from holdfast.files import storage

    options = {"cell": "lstm", "input_size": 1, "hidden_size": 1, "num_layers": layers}
    node = {"name": "a", "kind": "Recurrent", "options": options, "inputs": ["x"], "outputs": ["y"]}
    path = tmp_path / "huge.safetensors"
    storage.write(path, {}, {"inputs": ["x"], "outputs": ["y"], "nodes": [node]}, "network")
    message = f"{path} is damaged: it describes {layers:,} layers and holds 0 tensors. Take another copy of it."
    with pytest.raises(ModelFileError, match=f"^{re.escape(message)}$"):
        load(path)


def test_a_module_that_runs_twice_is_stored_once(tmp_path: Path) -> None:
    line = {"in_features": 3, "out_features": 3}
    parts = [Node("a", "Linear", line, ("x",), ("y",)), Node("b", "Linear", line, ("y",), ("z",), shares="a")]
    network = Network(["x"], ["z"], parts).eval()
    assert network.module("b") is network.module("a")
    assert len(list(network.parameters())) == 2
    save(tmp_path / "m.safetensors", network)
    again, x = load(tmp_path / "m.safetensors"), torch.randn(2, 3)
    once = network.module("a")
    assert torch.equal(again(x), once(once(x)[0])[0])
    with pytest.raises(ConversionError) as error:
        Network(["x"], ["z"], [Node("b", "Linear", line, ("x",), ("z",), shares="a")])
    assert str(error.value) == "b shares the module of 'a', which is no node before it."
