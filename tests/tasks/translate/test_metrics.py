import math
import sys

import pytest
import torch

from holdfast.errors import MissingLibraryError
from holdfast.tasks.translate.metrics import TranslationMetrics


class Pairs:
    """What translation's metrics read of a batch."""

    def __init__(self, texts, references, lengths):
        self.texts, self.references, self.target_lengths = texts, references, torch.tensor(lengths)


def spelled(ids):
    return " ".join("abcdefgh"[index - 4] for index in ids if index >= 4)


def translated():
    metrics = TranslationMetrics(spelled)
    first = torch.tensor([[2.0, 4, 5, 6, 7, 3], [1.0, 4, 5, 6, 3, 0]], dtype=torch.float64)
    metrics.update(first, Pairs(("x", "y"), (("a b c d", "z"), ("a b c e",)), [5, 4]))
    second = torch.tensor([[3.0, 8, 9, 10, 11, 4, 5, 3]], dtype=torch.float64)
    metrics.update(second, Pairs(("w",), (("q", "e f g h a b c", "e f g h a b"),), [3]))
    return metrics


def test_translations_are_measured_by_hand():
    """BLEU from its definition: clipped n-gram counts over all sentences, and the brevity penalty."""
    found = translated().compute()
    assert found["token_loss"] == pytest.approx(6 / 12)
    assert found["exact_match"] == pytest.approx(2 / 3)
    # 1- to 4-grams of the answers (a b c d; a b c; e f g h a b): all occur in a reference.
    # Answers have 13 words; the references nearest in length have 4, 4 and 6.
    assert found["bleu"] == pytest.approx(100 * math.exp(1 - 14 / 13), rel=1e-9)
    assert 90 < found["chrf"] < 100


def test_training_batches_have_a_loss_alone_and_samples_show_answers():
    metrics = TranslationMetrics(spelled)
    assert metrics.compute() == {"token_loss": 0.0}
    metrics.update(torch.tensor([[2.0]], dtype=torch.float64), Pairs(("x",), (("a",),), [4]))
    assert metrics.compute() == {"token_loss": 0.5}
    assert metrics.samples(3) == ""
    assert translated().samples(2) == (
        "source:    x\nanswer:    a b c d\nreference: a b c d | z\n\nsource:    y\nanswer:    a b c\nreference: a b c e"
    )


def test_translation_metrics_go_on_from_their_state():
    metrics, again = translated(), TranslationMetrics(spelled)
    again.load_state_dict(metrics.state_dict())
    assert again.compute() == metrics.compute()
    assert again.samples(9) == metrics.samples(9)
    again.update(torch.tensor([[1.0, 4, 3]], dtype=torch.float64), Pairs(("v",), (("a",),), [2]))
    assert again.compute() != metrics.compute()
    assert metrics.compute() == translated().compute()


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(MissingLibraryError) as error:
        TranslationMetrics(spelled)
    assert str(error.value) == (
        "Translations are measured with the library sacrebleu, which is not installed: pip install 'holdfast[text]'."
    )
