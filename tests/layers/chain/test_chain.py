"""The description of a model: widths, tensors, and documents that come back as they were."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import holdfast
from holdfast.cells import CellSpec
from holdfast.errors import OptionError
from holdfast.layers.attention import ATTENTIONS, make_attention
from holdfast.layers.chain import Chain
from holdfast.layers.chain.document import PARTS
from holdfast.layers.chain.own import Own, OwnTensor
from holdfast.layers.chain.parts import Embedding, Head, Linear, LogSoftmax, Part, Recurrent, Restored, Scaled
from holdfast.layers.chain.special import (
    Attention,
    Decoder,
    Horizon,
    KnownAhead,
    Repeated,
    WindowScaling,
    WordVectors,
)
from holdfast.layers.summary import of_chain
from holdfast.runtime.scaling import Scaling


def cell(inputs: int, units: int, **options: Any) -> CellSpec:
    return CellSpec(kind="lstm", input_size=inputs, hidden_size=units, **options)


LAYERS = Recurrent("recurrent", (cell(4, 5, peepholes=True, activation="elu(0.5)"),))
SCALING = Scaling("standard", (0.5, 1.0), (2.0, 1.0))
SPELLING = Recurrent("words.spelling", (cell(2, 3),), bidirectional=True)
CHAINS = {
    "classifier": Chain(
        (
            Scaled(Scaling("standard", (0.5, 1.0), (2.0, 1.0))),
            Linear("input", 2, 4),
            LAYERS,
            Head("mean"),
            LogSoftmax(),
        ),
        tuple("abcde"),
    ),
    "regressor": Chain((LAYERS, Linear("output", 5, 6), Restored(SCALING, 3)), tuple("abcdef")),
    "decoder": Chain(
        (
            LAYERS,
            Head("last_state"),
            Repeated(),
            Recurrent("decoder", (cell(5, 6),)),
            Linear("output", 6, 2),
        )
    ),
    "words": Chain((WordVectors(Embedding("words.words", 9, 2)), Recurrent("r", (cell(2, 5),)))),
    "spelling": Chain(
        (
            WordVectors(Embedding("words.words", 9, 2), Embedding("words.characters", 7, 2), SPELLING),
            Recurrent("r", (cell(8, 5),), residual=True, merge="sum", bidirectional=True),
        )
    ),
    "own": Chain((Own("cell", "mine", 4, 5, (OwnTensor("recurrent.weight", (4, 5)),)), Linear("output", 5, 2))),
    "forecast": Chain(
        (
            WindowScaling("last", 1),
            LAYERS,
            Head("last_state"),
            KnownAhead(Linear("c", 5, 12), Linear("h", 6, 3), Linear("o", 3, 2), 2),
            Horizon(3, 1, 2),
        )
    ),
    "translate": Chain(
        (
            Embedding("source", 9, 4, mask_zero=True),
            LAYERS,
            Decoder(
                Embedding("target", 8, 3),
                Recurrent("decoder", (cell(3, 6),)),
                (Linear("bridge.h0", 5, 6), Linear("bridge.c0", 5, 6)),
                Attention("attention", "additive", 6, 5, Linear("combine", 11, 4)),
                Linear("output", 4, 8, bias=False),
            ),
        )
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_comes_back_from_its_document(name: str) -> None:
    chain = CHAINS[name]
    assert Chain.from_document(json.loads(json.dumps(chain.to_document()))) == chain


def test_every_part_is_in_one_of_these_chains() -> None:
    inside = {
        key for chain in CHAINS.values() for key in re.findall(r'"part": "(\w+)"', json.dumps(chain.to_document()))
    }
    assert inside == PARTS.keys()


def test_sizes() -> None:
    sizes = {name: (chain.input_size, chain.output_size) for name, chain in CHAINS.items()}
    assert sizes == {
        "classifier": (2, 5),
        "regressor": (4, 6),
        "decoder": (4, 2),
        "words": (None, 5),
        "spelling": (None, 5),
        "own": (4, 2),
        "forecast": (4, 6),
        "translate": (None, 8),
    }


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "options",
    [
        {"hidden_size": [3, 5]},
        {"hidden_size": 3, "num_layers": 2, "bidirectional": True},
        {"hidden_size": 3, "num_layers": 3, "bidirectional": True, "merge": "sum", "residual": True},
        {"hidden_size": 3, "single_bias": True, "layer_norm": True, "reverse": True},
    ],
    ids=str,
)
def test_a_layer_says_its_tensors_and_sizes(kind: str, options: Any) -> None:
    layer = getattr(holdfast, kind)(4, **options)
    chain = layer.chain()
    assert chain.tensor_shapes() == {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()}
    assert (chain.input_size, chain.output_size) == (4, layer.output_size)
    assert chain == Chain.from_document(json.loads(json.dumps(chain.to_document())))
    assert {name.removeprefix("in.it.") for name in layer.part("in.it").tensor_shapes()} == layer.state_dict().keys()


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_attention_says_its_tensors(kind: Any) -> None:
    attention = make_attention(kind, 5, 5)
    part = Attention("a", kind, 5, 5, Linear("c", 10, 3))
    ours = {name: shape for name, shape in part.tensor_shapes().items() if name.startswith("a.")}
    assert ours == {f"a.{name}": tuple(tensor.shape) for name, tensor in attention.state_dict().items()}


def test_a_module_of_ones_own_streams_by_its_chain() -> None:
    class Scorer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.keys = nn.Linear(3, 4), holdfast.GRU(4, 5, num_layers=2, batch_first=True)
            self.up = nn.Linear(5, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = self.up(self.keys(self.down(x))[0])
            return scores

        def chain(self) -> Chain:
            return Chain((Linear.of("down", self.down), self.keys.part("keys"), Linear.of("up", self.up)))

    model, x = Scorer(), torch.randn(6, 3)
    with torch.no_grad():
        torch.testing.assert_close(holdfast.Stream(model).run(x), model(x[None])[0])
    network = holdfast.Stream(model).network
    assert isinstance(network, holdfast.runtime.Network)
    assert str(network) == "Linear(3, 4) -> GRU(4, 5) -> GRU(5, 5) -> Linear(5, 2)"


def test_a_module_whose_layer_has_a_forward_of_its_own_does_not_stream() -> None:
    class Own(holdfast.GRU):
        def forward(self, *arguments: Any) -> Any:
            return super().forward(*arguments)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.keys = Own(4, 5)

        def chain(self) -> Chain:
            return Chain((self.keys.part("keys"),))

    for model in (Model(), Own(4, 5)):
        with pytest.raises(OptionError, match=r"Own, which has a forward of its own; a stream would run the GRU under"):
            holdfast.Stream(model)


def test_a_module_that_is_called_chain_is_no_description() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.chain = nn.Sequential(nn.Linear(2, 2))

    with pytest.raises(OptionError, match=r"Model; expected a layer or a cell of Holdfast, a classifier, or the path"):
        holdfast.Stream(Model())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((), "A chain has no part with a size; expected one at least."),
        ((Head("max"),), "A chain has no part with a size; expected one at least."),
        ((LAYERS, Linear("o", 4, 2)), "Linear takes 4 values; the part before it gives 5."),
        ((LAYERS, Head("max"), Linear("o", 4, 2)), "Linear takes 4 values; the part before it gives 5."),
        ((LAYERS, Embedding("e", 3, 4)), "Embedding reads ids; expected it as the first part."),
        ((Linear("o", 4, 4), Linear("o", 4, 2)), "Two parts of a chain have a tensor of one name."),
        ((LAYERS, Linear("o", 5, 5), Restored(SCALING, 2)), "Restored takes 4 values; the part before it gives 5."),
        ((LAYERS, Linear("o", 5, 5), Horizon(2, 2)), "Horizon takes 4 values; the part before it gives 5."),
    ],
    ids=str,
)
def test_parts_that_do_not_fit(parts: tuple[Part, ...], message: str) -> None:
    with pytest.raises(OptionError) as error:
        Chain(parts)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recurrent("r", (cell(2, 3), cell(4, 3))), "Layer 1 has 4 inputs; the one below has 3 outputs."),
        (lambda: Recurrent("r", (cell(2, 3), cell(3, 4)), residual=True), "Layer 1 has 3 inputs; the one below has 3"),
        (
            lambda: Recurrent("r", (cell(2, 3), CellSpec(kind="gru", input_size=3, hidden_size=3))),
            "Recurrent layers have GRU, LSTM; expected cells of one kind.",
        ),
        (lambda: Attention("a", "dot", 5, 5, Linear("c", 9, 3)), "c takes 9 values; attention gives 10."),
        (
            lambda: KnownAhead(Linear("c", 5, 12), Linear("h", 7, 3), Linear("o", 3, 2), 2),
            "The layers that read what is known ahead do not fit one another.",
        ),
        (
            lambda: Restored(Scaling("unit")),
            "Outputs with the scaling 'unit' and 1 quantiles; expected 'standard', with a mean and a deviation for",
        ),
        (
            lambda: Restored(SCALING, 0),
            "Outputs with the scaling 'standard' and 0 quantiles; expected 'standard', with",
        ),
        (lambda: Chain((LAYERS,), ("a",)), "There are 1 labels for 5 scores."),
        (
            lambda: holdfast.LSTM(2, 3, activation=torch.sin).chain().to_document(),
            "An activation is a callable, which no file can hold: use one that has a name.",
        ),
    ],
)
def test_descriptions_that_are_refused(make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
        make()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_restored_values_are_in_the_units_of_the_targets_and_ascend(dtype: Any) -> None:
    values = np.array([[[3, 1, 2, 0, -1, 1], [0, 0, 1, 2, 2, 0]]], dtype)
    restored = Restored(SCALING, 3).apply(values)  # the targets: 2 x + 0.5 and x + 1
    assert restored.dtype == dtype
    assert restored.tolist() == [[[2.5, 4.5, 6.5, 0, 1, 2], [0.5, 0.5, 2.5, 1, 3, 3]]]
    assert Restored(SCALING).apply(values[..., :2]).tolist() == [[[6.5, 2], [0.5, 1]]]


@pytest.mark.parametrize("scaling", [SCALING, Scaling("unit"), Scaling()])
def test_restoring_undoes_scaling(scaling: Scaling) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 2)) * 100
    np.testing.assert_allclose(scaling.restore(scaling.apply(values)), values, rtol=1e-5)


def test_the_summary_of_a_chain() -> None:
    assert str(of_chain(CHAINS["classifier"])).splitlines() == [
        "Layer      Kind    Sizes   Parameters",
        "-------------------------------------",
        "input      Linear  2 -> 4          12",
        "recurrent  LSTM    4 -> 5         235",
        "-------------------------------------",
        "Total parameters: 247",
    ]
    rows = [(row.name, row.kind, row.sizes, row.parameters) for row in of_chain(CHAINS["translate"]).rows]
    assert rows[2:] == [
        ("target", "Embedding", "8 -> 3", 24),
        ("decoder", "LSTM", "3 -> 6", 264),
        ("bridge.h0", "Linear", "5 -> 6", 36),
        ("bridge.c0", "Linear", "5 -> 6", 36),
        ("attention", "Attention", "6 -> 4", 6 * 5 + 6 + 6 * 6 + 6),
        ("combine", "Linear", "11 -> 4", 48),
        ("output", "Linear", "4 -> 8", 32),
    ]
