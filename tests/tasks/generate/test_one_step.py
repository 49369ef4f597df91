"""The steps of a language model by a stream: the scores of the layers, and when the layers compute them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from holdfast.decoding.sampling import Sampling, generate, uniform
from holdfast.tasks.generate import one_step
from holdfast.tasks.generate.network import LanguageModel
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
def test_the_scores_and_texts_are_those_of_the_layers(settings: Any, rows: int) -> None:
    model = language_model(**settings)
    stepped = one_step.for_steps(model, rows)
    assert isinstance(stepped, one_step.OneStep)
    prompts, lengths = torch.randint(4, 23, (rows, 6)), torch.arange(rows) + 2
    with torch.inference_mode():
        (_, expected), (_, state) = model(prompts, lengths), stepped(prompts, lengths, None)
        for tokens in torch.randint(0, 23, (4, rows, 1)):
            scores, expected = model(tokens, None, expected)
            again, state = stepped(tokens, None, state)
            torch.testing.assert_close(again, scores, rtol=1e-5, atol=1e-5)
    numbers = uniform(0, [(k,) for k in range(rows)], 12)
    texts = [generate(m, prompts, lengths, numbers, Sampling()) for m in (model, stepped)]
    assert texts[0] == texts[1]


def test_when_the_layers_compute_the_steps() -> None:
    model = language_model()
    assert one_step.for_steps(model, one_step.MOST_ROWS + 1) is model
    assert one_step.for_steps(model.train(), 1) is model
    for other in (language_model(engine="reference"), language_model().to(torch.bfloat16), torch.nn.Linear(2, 2)):
        assert one_step.for_steps(other.eval(), 1) is other
    callable_activation = language_model(cell="rnn", options={"activation": "mish"})
    assert one_step.for_steps(callable_activation, 1) is callable_activation
    assert isinstance(one_step.for_steps(language_model().double(), 1), one_step.OneStep)
