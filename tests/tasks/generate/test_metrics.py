import numpy as np
import pytest
import torch

from holdfast.tasks.generate.metrics import LanguageMetrics
from holdfast.tasks.generate.streams import TokenBatch


def token_batch(targets, characters):
    targets = torch.tensor(targets)
    return TokenBatch(targets, None, targets, torch.ones(len(targets), dtype=torch.bool), characters=characters)


def test_language_metrics_count_tokens_and_characters_over_batches_of_unequal_size():
    metrics = LanguageMetrics()
    assert metrics.compute() == {"loss": 0, "perplexity": 1, "bits_per_character": 0}
    metrics.update(torch.tensor([3.0, 1.0]), token_batch([[5, 6, 7], [8, 0, 0]], 10.0))
    metrics.update(torch.tensor([2.0]), token_batch([[9]], 2.0))
    nats, tokens, characters = 6.0, 5, 12.0
    expected = {
        "loss": nats / tokens,
        "perplexity": np.exp(nats / tokens),
        "bits_per_character": nats / np.log(2) / characters,
    }
    assert metrics.compute() == pytest.approx(expected)
    again = LanguageMetrics()
    again.load_state_dict(metrics.state_dict())
    for one in (metrics, again):
        one.update(torch.tensor([0.5]), token_batch([[4, 4]], 3.0))
    assert again.compute() == metrics.compute()
