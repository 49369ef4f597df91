"""The JavaScript of the page beside the cells, layers and networks in torch, in a real browser."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from tests.layers.stream_models import made
from tests.variants import PARAMETRISED, VARIANTS

from holdfast.cells import ACTIVATIONS
from holdfast.cells.activations import activation
from holdfast.data.vocabulary import Vocabulary
from holdfast.data.vocabulary_rules import rules
from holdfast.decoding.sampling import Sampling, draw, uniform
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Head
from holdfast.tasks.head_network import pooled

STEPS, INPUTS = 6, 3
CLOSE = 1e-5
STACKS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "two directions": ("lstm", 4, {"bidirectional": True}),
    "two directions, summed": ("gru", 4, {"bidirectional": True, "merge": "sum"}),
    "two directions, mean": ("rnn", 4, {"bidirectional": True, "merge": "mean"}),
    "two directions, product": ("lstm", 4, {"bidirectional": True, "merge": "product"}),
    "backwards": ("lstm", 4, {"reverse": True}),
    "three sizes": ("gru", [5, 3, 4], {}),
    "residual": ("lstm", 4, {"num_layers": 3, "residual": True}),
    "residual, two directions, projection": (
        "lstm",
        5,
        {"num_layers": 2, "residual": True, "bidirectional": True, "merge": "mean", "proj_size": 3},
    ),
    "two layers, two directions, everything": (
        "lstm",
        5,
        {"num_layers": 2, "bidirectional": True, "peepholes": True, "layer_norm": True, "zoneout_c": 0.2},
    ),
    "two layers, reset before": ("gru", 5, {"num_layers": 2, "reset_after": False, "bidirectional": True}),
}
NAMED = [*sorted(set(ACTIVATIONS) - {"exponential"}), *PARAMETRISED]  # the exponential of a state grows without end


def layers() -> dict[str, Any]:
    """Every variant, stack and activation as a layer."""
    found = {name: made(kind, INPUTS, 4, torch.float32, **options) for name, (kind, options) in VARIANTS.items()}
    for name, (kind, sizes, options) in STACKS.items():
        found[name] = made(kind, INPUTS, sizes, torch.float32, **options)
    found |= {f"activation {name}": made("gru", INPUTS, 4, torch.float32, activation=name) for name in NAMED}
    return found


def inputs_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(STEPS, INPUTS)).astype(np.float32)


def case(chain: Chain, state: dict[str, torch.Tensor], inputs: Any, future: Any = ()) -> dict[str, Any]:
    """The argument of ``compute`` on the page."""
    tensors = {name: state[name].flatten().tolist() for name in chain.tensor_shapes()}
    return {"chain": chain.to_document(), "tensors": tensors, "inputs": inputs, "future": list(future)}


@pytest.fixture(scope="module")
def computed(runtime: Any) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Each layer with what the page computes, all in one call."""
    torch.manual_seed(20)
    found = layers()
    cases = [case(layer.chain(), layer.state_dict(), inputs_of(k).tolist()) for k, layer in enumerate(found.values())]
    results = runtime.evaluate("(cases) => cases.map(compute)", cases)
    return {name: (found[name], result) for name, result in zip(found, results, strict=True)}


CASES = [*VARIANTS, *STACKS, *(f"activation {name}" for name in NAMED)]


@pytest.mark.parametrize("name", CASES)
def test_layers(name: str, computed: Any) -> None:
    layer, result = computed[name]
    with torch.inference_mode():
        expected, _, states = layer(torch.from_numpy(inputs_of(CASES.index(name)))[None], return_states=True)
    np.testing.assert_allclose(result["value"], expected[0], rtol=0, atol=CLOSE)
    hidden = states[0] if layer.kind == "lstm" else states  # of each layer and direction
    parts = list(hidden) if isinstance(hidden, torch.Tensor) else [part for layer in hidden for part in layer]
    for recording, part in zip(result["recordings"], parts, strict=True):
        values = np.reshape(recording["states"]["hidden"], part[0].shape)
        np.testing.assert_allclose(values, part[0], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("name", ["lstm", "lstm peepholes", "lstm coupled gates", "two directions"])
def test_gates_of_an_lstm_make_its_states(name: str, computed: Any) -> None:
    """c' = f ⊙ c + i ⊙ g and h' = o ⊙ tanh(c') for what the page shows."""
    for recording in computed[name][1]["recordings"]:
        shown = {key: np.reshape(values, (STEPS, -1)) for key, values in recording["gates"].items()}
        cell, hidden = (np.reshape(recording["states"][key], (STEPS, -1)) for key in ("cell", "hidden"))
        order = 1 if not recording["name"].endswith("reverse") else -1
        before = np.concatenate([np.zeros_like(cell[:1]), cell[::order][:-1]])[::order]
        np.testing.assert_allclose(cell, shown["forget"] * before + shown["input"] * shown["candidate"], atol=1e-6)
        np.testing.assert_allclose(hidden, shown["output"] * np.tanh(cell), atol=1e-6)


@pytest.mark.parametrize("name", ["gru", "gru reset before"])
def test_gates_of_a_gru_make_its_state(name: str, computed: Any) -> None:
    (recording,) = computed[name][1]["recordings"]
    shown = {key: np.reshape(values, (STEPS, -1)) for key, values in recording["gates"].items()}
    hidden = np.reshape(recording["states"]["hidden"], (STEPS, -1))
    before = np.concatenate([np.zeros_like(hidden[:1]), hidden[:-1]])
    assert list(shown) == ["reset", "update", "candidate"]
    np.testing.assert_allclose(hidden, (1 - shown["update"]) * shown["candidate"] + shown["update"] * before, atol=1e-6)


@pytest.mark.parametrize("kind", ["last_state", "last_output", "mean", "max"])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"reverse": True}], ids=str)
def test_heads(kind: Any, options: dict[str, Any], runtime: Any) -> None:
    layer = made("lstm", INPUTS, 4, torch.float32, num_layers=2, **options)
    result = runtime.evaluate(
        "compute", case(Chain((layer.part(), Head(kind))), layer.state_dict(), inputs_of(1).tolist())
    )
    with torch.inference_mode():
        outputs, state = layer(torch.from_numpy(inputs_of(1))[None])
        expected = layer.last_hidden(state) if kind == "last_state" else pooled(outputs, None, kind)
    np.testing.assert_allclose(result["value"], expected[0], rtol=0, atol=CLOSE)


def test_the_error_function(runtime: Any) -> None:
    places = np.linspace(-8, 8, 333)
    found = runtime.evaluate("(places) => places.map(erf)", places.tolist())
    np.testing.assert_allclose(found, torch.erf(torch.from_numpy(places)), rtol=1e-14, atol=1e-15)


def test_an_exponential_activation(runtime: Any) -> None:
    assert activation("exponential")(torch.tensor(0.0)) == 1
    layer = made("lstm", INPUTS, 4, torch.float32, output_activation="exponential")
    result = runtime.evaluate("compute", case(layer.chain(), layer.state_dict(), inputs_of(2).tolist()))
    with torch.inference_mode():
        np.testing.assert_allclose(result["value"], layer(torch.from_numpy(inputs_of(2))[None])[0][0], atol=CLOSE)


# Texts

TEXTS = (
    "Hello, world!  It's <b>me</b>_2 ",
    "naïve ΣΊΣΥΦΟΣ İstanbul 東京 🙂 e\u0301",
    "a<end>b <unknown> <padding><begin>",
    "line\nbreak\ttab\u00a0blank\u2028 \ufeff\x85x",
    "",
    " ",
    "unseen ÿ",
)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("unit", ["characters", "words", "pieces", "tokens"])
def test_texts_become_the_same_ids_and_texts(unit: Any, lower: bool, runtime: Any) -> None:
    vocabulary = Vocabulary.fit([*TEXTS[:4], "the cat sat on the mat, then that cat ran " * 3], unit, lower=lower)
    described = rules(vocabulary)
    document = {name: getattr(described, name) for name in ("unit", "lower", "tokens", "merges")}
    texts = [*TEXTS, "that hat  then ran", "sat▁on", "dont"]
    found = runtime.evaluate(
        "([rules, texts]) => { const v = new Vocabulary(rules);"
        " const both = (ids) => [ids, v.decode(ids)];"
        " return texts.map((text) => both(v.encode(text).map(({ id }) => id))); }",
        [document, texts],
    )
    expected = vocabulary.encode(texts)
    assert [ids for ids, _ in found] == expected
    assert [text for _, text in found] == [vocabulary.decode(ids) for ids in expected]


# Sampling


@pytest.mark.parametrize("keys", [(0, 0, 0), (7, 3, 2**32 - 1), (2**40 + 5, 1, 12345), (1, 2, 3)])
def test_random_numbers_are_those_of_numpy(keys: tuple[int, ...], runtime: Any) -> None:
    found = runtime.evaluate(
        "(keys) => { const next = randomNumbers(keys); return Array.from({ length: 50 }, next); }", list(keys)
    )
    assert found == uniform(keys[0], [keys[1:]], 50)[0].tolist()


def test_checksums_of_texts(runtime: Any) -> None:
    import zlib

    for text in ("", "\n", "To be, or not to be", "naïve 🙂"):
        assert runtime.evaluate("crc32", text) == zlib.crc32(text.encode())


SETTINGS = [(1.0, 0, 1.0), (0.7, 5, 1.0), (1.3, 0, 0.8), (0.9, 6, 0.5), (0.0, 0, 1.0)]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_probabilities_and_draws(settings: tuple[float, int, float], runtime: Any) -> None:
    temperature, top_k, top_p = settings
    scores = torch.randn(12) * 2
    scores[4] = scores[7]
    expected = Sampling(temperature, top_k, top_p).probabilities(scores[None])
    numbers = torch.rand(40, dtype=torch.float64)
    found, drawn = runtime.evaluate(
        "([scores, settings, numbers]) => { const p = probabilities(scores, settings);"
        " return [Array.from(p), numbers.map((number) => draw(p, number))]; }",
        [scores.tolist(), {"temperature": temperature, "top_k": top_k, "top_p": top_p}, numbers.tolist()],
    )
    np.testing.assert_allclose(found, expected[0], rtol=1e-12, atol=1e-15)
    assert drawn == draw(expected.expand(40, -1), numbers).tolist()


def test_the_program_refuses_a_part_that_it_lacks(runtime: Any) -> None:
    chain = {"parts": [{"part": "decoder"}], "labels": []}
    found = runtime.evaluate(
        "(chain) => { try { compute({ chain, tensors: {}, inputs: [] }); } catch (error) { return error.message; } }",
        json.loads(json.dumps(chain)),
    )
    assert found == "This page lacks the part decoder."
