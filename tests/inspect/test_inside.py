"""What happens inside a model on its own examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tasks.untrained import write

from holdfast import recipes
from holdfast.inspect import inside
from holdfast.inspect.gradients import memory_length
from holdfast.inspect.recording import record
from holdfast.predictor import Predictor
from holdfast.tasks import TASKS


@pytest.fixture
def texts(tmp_path: Path):
    predictor = Predictor(write("regress", tmp_path))
    recipe = recipes.load(str(tmp_path / "small.toml"))
    return predictor, TASKS[recipe.task].load(recipe, tmp_path).train


def test_gates_and_states_are_those_of_a_recording(texts) -> None:
    predictor, examples = texts
    seen = inside.look_inside(predictor, examples)
    recording = record(predictor, examples.subset([0]).unlabelled())
    assert [layer.name for layer in seen.layers] == list(recording.layers)
    assert seen.origin == "/".join(examples.origins[0].split("/")[-2:])
    for layer in seen.layers:
        part = recording.layers[layer.name]
        assert layer.cell == part.cell == "LSTM"
        for name, values in {**part.gates, **part.states}.items():
            got = {**layer.gates, **layer.states}[name]
            np.testing.assert_allclose(got, values[0].numpy(), atol=1e-5)


def test_the_memory_length_is_that_of_the_norms(texts) -> None:
    seen = inside.look_inside(*texts)
    assert seen.norms
    for layer, states in seen.norms.items():
        for name, norms in states.items():
            assert seen.memory[layer][name] == memory_length(norms)


def test_long_sequences_and_many_layers_are_left_out_with_a_word(texts, monkeypatch) -> None:
    monkeypatch.setattr(inside, "STEPS", 3)
    monkeypatch.setattr(inside, "LAYERS", 1)
    seen = inside.look_inside(*texts)
    assert seen.norms == {}
    assert seen.missing == ("Gradients through time are not computed: the examples have 4 steps; up to 3.",)
    assert len(seen.layers) == 1
    assert seen.left_out == 0


def test_looking_changes_neither_model_nor_random_numbers(texts) -> None:
    predictor, examples = texts
    before = {name: tensor.clone() for name, tensor in predictor.model.state_dict().items()}
    state = torch.get_rng_state()
    inside.look_inside(predictor, examples)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in predictor.model.state_dict().items())
    assert not predictor.model.training
    assert all(parameter.grad is None for parameter in predictor.model.parameters())
