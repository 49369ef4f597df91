"""The steps of a language model by a stream: the scores of the layers, and when the layers compute them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from holdfast.decoding.sampling import Sampling, generate, uniform
from holdfast.tasks.generate.network import LanguageModel
from holdfast.tasks.generate.one_step import Continued, for_steps
from holdfast.tasks.generate.settings import GenerateModel

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


def language_model(**settings: Any) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(23, GenerateModel(**{"cell": "lstm", "hidden_size": 19, "num_layers": 2, **settings})).eval()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"hidden_size": [17, 9], "tied": True},
        {"cell": "gru", "residual": True, "dropout": 0.5, "input_dropout": 0.5},
        {"options": {"layer_norm": True, "proj_size": 7, "weight_dropout": 0.5}},
        {"cell": "rnn", "embedding_size": 5},
    ],
)
@pytest.mark.parametrize("rows", [1, 5])
@torch.inference_mode()
def test_the_scores_and_texts_are_those_of_the_layers(settings: Any, rows: int) -> None:
    model = language_model(**settings)
    stepped = for_steps(model, rows, 12)
    assert isinstance(stepped, Continued)
    prompts, lengths = torch.randint(4, 23, (rows, 6)), torch.arange(rows) + 2
    (_, expected), (_, state) = model(prompts, lengths), stepped(prompts, lengths, None)
    for tokens in torch.randint(0, 23, (4, rows, 1)):
        scores, expected = model(tokens, None, expected)
        again, state = stepped(tokens, None, state)
        torch.testing.assert_close(again, scores, rtol=1e-5, atol=1e-5)
    numbers = uniform(0, [(k,) for k in range(rows)], 12)
    texts = [generate(m, prompts, lengths, numbers, Sampling()) for m in (model, stepped)]
    assert texts[0] == texts[1]


@torch.inference_mode()
def test_when_the_layers_compute_the_steps() -> None:
    model = language_model()
    assert isinstance(for_steps(model, 1, 100), Continued)
    assert for_steps(model, 1, 2) is model
    assert for_steps(model.train(), 1, 100) is model
    reference, linear = language_model(engine="reference"), torch.nn.Linear(2, 2).eval()
    assert for_steps(reference, 1, 100) is reference
    assert for_steps(linear, 1, 100) is linear
