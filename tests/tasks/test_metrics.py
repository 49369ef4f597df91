import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from holdfast.data import Batch
from holdfast.errors import DataError
from holdfast.tasks.classify.metrics import ClassificationMetrics, MultilabelMetrics
from holdfast.tasks.forecast.encoder import ForecastBatch
from holdfast.tasks.forecast.metrics import ForecastMetrics
from holdfast.tasks.generate.metrics import LanguageMetrics
from holdfast.tasks.generate.streams import TokenBatch
from holdfast.tasks.transcribe.metrics import TranscriptionMetrics
from holdfast.tasks.transcribe.transcripts import TranscriptBatch


def batch(targets):
    return Batch(torch.zeros(len(targets), 1, 1), None, torch.as_tensor(targets))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60), st.integers(1, 7))
def test_agrees_with_scikit_learn_however_the_batches_are_cut(pairs, size):
    targets, predicted = np.array(pairs).T
    metrics = ClassificationMetrics(5)
    for begin in range(0, len(pairs), size):
        scores = torch.nn.functional.one_hot(torch.as_tensor(predicted[begin : begin + size]), 5).float()
        metrics.update(scores, batch(targets[begin : begin + size]))
    found = metrics.compute()
    assert found["accuracy"] == pytest.approx(accuracy_score(targets, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(targets, predicted, average="macro", zero_division=0))
    assert metrics.confusion.tolist() == confusion_matrix(targets, predicted, labels=range(5)).tolist()


def test_nothing_seen_is_zero_and_no_warning():
    assert ClassificationMetrics(3).compute() == {"accuracy": 0.0, "macro_f1": 0.0}


def test_goes_on_from_a_stored_state():
    scores, targets = torch.randn(8, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    whole = ClassificationMetrics(3)
    whole.update(scores, batch(targets))
    first, second = ClassificationMetrics(3), ClassificationMetrics(3)
    first.update(scores[:5], batch(targets[:5]))
    second.load_state_dict(first.state_dict())
    second.update(scores[5:], batch(targets[5:]))
    assert second.compute() == whole.compute()
    assert int(first.confusion.sum()) == 5, "a stored state has memory of its own"


def test_details_name_rows_and_columns():
    metrics = ClassificationMetrics(2)
    metrics.update(torch.tensor([[1.0, 0], [1, 0], [0, 1]]), batch([0, 1, 1]))
    assert metrics.table(["cat", "dog"]).splitlines() == [
        "confusion (rows: label, columns: answer)",
        "     cat  dog",
        "cat    1    0",
        "dog    1    1",
    ]


rows = st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=12, max_size=12)


@given(rows, rows, st.integers(1, 7))
def test_several_labels_agree_with_scikit_learn_however_the_batches_are_cut(targets, said, size):
    targets, said = np.array(targets).astype(int), np.array(said).astype(int)
    metrics = MultilabelMetrics(3)
    for begin in range(0, len(targets), size):
        scores = torch.as_tensor(said[begin : begin + size]) - 0.5
        metrics.update(scores, batch(targets[begin : begin + size].astype(np.float32)))
    met = (targets | said).any(0)
    found = metrics.compute()
    assert found["exact_match"] == pytest.approx(accuracy_score(targets, said))
    assert found["micro_f1"] == pytest.approx(f1_score(targets, said, average="micro", zero_division=0))
    each = f1_score(targets, said, average=None, zero_division=0)
    assert found["macro_f1"] == pytest.approx(each[met].mean() if met.any() else 0)
    lines = metrics.table(["a", "b", "c"]).splitlines()
    figures = precision_recall_fscore_support(targets, said, zero_division=0)
    for line, known, *values in zip(lines[1:], met, *figures, strict=True):
        shown = [f"{value:.4f}" for value in values[:3]]
        assert line.split()[1:] == [*shown[:2], shown[2] if known else "-", str(values[3])]


def test_several_labels_go_on_from_a_stored_state():
    scores, targets = torch.randn(8, 3), (torch.randn(8, 3) > 0).float()
    whole = MultilabelMetrics(3)
    whole.update(scores, batch(targets))
    first, second = MultilabelMetrics(3), MultilabelMetrics(3)
    first.update(scores[:5], batch(targets[:5]))
    second.load_state_dict(first.state_dict())
    second.update(scores[5:], batch(targets[5:]))
    assert second.compute() == whole.compute()
    assert first.seen == 5
    assert int(first.found.sum()) == 15, "a stored state has memory of its own"


def forecast_batch(actual, history):
    """One target; ``actual [B, H]`` after ``history [B, S]``."""
    actual, history = (torch.tensor(values, dtype=torch.float64)[..., None] for values in (actual, history))
    inputs = torch.zeros(len(actual), 1, 1)
    return ForecastBatch(inputs, None, actual.float(), torch.zeros(len(actual), 1, 0), history, actual)


def test_forecast_errors_by_hand():
    metrics = ForecastMetrics([2.0], [0.5], season=2)
    batch = forecast_batch([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]], [[0.0, 1.0], [4.0, 6.0]])
    forecasts = torch.tensor([[1.0, 2.0, 6.0], [5.0, 4.0, 5.0]], dtype=torch.float64)[..., None, None]
    metrics.update(forecasts, batch)
    found = metrics.compute()
    # The model's errors are 3 and -1; the last values are 1 and 6; a season before: 0, 1, 0 and 4, 6, 4.
    assert found == {
        "mae": pytest.approx(4 / 6),
        "rmse": pytest.approx((10 / 6) ** 0.5),
        "mase": pytest.approx(4 / 6 / 0.5),
        "mse_scaled": pytest.approx(10 / 6 / 4),
        "repeat_last_mae": pytest.approx((0 + 1 + 2 + 1 + 1 + 1) / 6),
        "repeat_last_rmse": pytest.approx(((0 + 1 + 4 + 1 + 1 + 1) / 6) ** 0.5),
        "repeat_last_mase": pytest.approx(1 / 0.5),
        "repeat_last_mse_scaled": pytest.approx(8 / 6 / 4),
        "seasonal_naive_mae": pytest.approx((1 + 1 + 3 + 1 + 1 + 1) / 6),
        "seasonal_naive_rmse": pytest.approx(((1 + 1 + 9 + 1 + 1 + 1) / 6) ** 0.5),
        "seasonal_naive_mase": pytest.approx(8 / 6 / 0.5),
        "seasonal_naive_mse_scaled": pytest.approx(14 / 6 / 4),
    }
    assert [line.split()[:2] for line in metrics.table().splitlines()] == [
        ["mae", "rmse"],
        ["model", "0.66667"],
        ["repeat", "last"],
        ["seasonal", "naive"],
    ]


def test_forecast_errors_of_several_targets_are_averaged():
    metrics = ForecastMetrics([1.0, 10.0], [1.0, 5.0], season=1)
    actual = torch.tensor([[[1.0, 10.0]]], dtype=torch.float64)
    batch = ForecastBatch(torch.zeros(1, 1, 2), None, actual.float(), torch.zeros(1, 1, 0), actual * 0, actual)
    metrics.update(torch.tensor([[[2.0, 20.0]]], dtype=torch.float64)[..., None], batch)
    found = metrics.compute()
    assert found["mae"] == pytest.approx((1 + 10) / 2)
    assert found["rmse"] == pytest.approx(((1 + 100) / 2) ** 0.5)
    assert found["mase"] == pytest.approx((1 / 1 + 10 / 5) / 2)
    assert found["mse_scaled"] == pytest.approx((1 / 1 + 100 / 100) / 2)
    assert "seasonal_naive_mae" not in found


def test_the_median_is_the_point_forecast_and_the_outer_quantiles_cover():
    metrics = ForecastMetrics([1.0], [0.0], season=1, quantiles=[0.1, 0.5, 0.9])
    batch = forecast_batch([[1.0, 2.0, 3.0, 4.0]], [[0.0]])
    forecasts = torch.tensor([[[0, 1, 2], [0, 1, 1.5], [2, 3, 4], [5, 6, 7]]], dtype=torch.float64)[:, :, None]
    metrics.update(forecasts, batch)
    found = metrics.compute()
    assert found["coverage"] == 0.5
    assert found["mae"] == pytest.approx((0 + 1 + 0 + 2) / 4)
    assert "mase" not in found  # the naive forecast makes no error in the training part


def test_forecast_errors_go_on_from_a_stored_state():
    batches = [forecast_batch(torch.randn(3, 4).tolist(), torch.randn(3, 2).tolist()) for _ in range(2)]
    forecasts = [torch.randn(3, 4, 1, 1).double() for _ in range(2)]
    whole, first, second = (ForecastMetrics([2.0], [0.5], season=2) for _ in range(3))
    for one, batch in zip(forecasts, batches, strict=True):
        whole.update(one, batch)
    first.update(forecasts[0], batches[0])
    kept = first.state_dict()
    first.update(forecasts[1], batches[1])
    second.load_state_dict(kept)
    second.update(forecasts[1], batches[1])
    assert first.compute() == second.compute() == whole.compute()


def test_forecasts_of_what_is_not_known_cannot_be_measured():
    batch = dataclasses.replace(forecast_batch([[1.0]], [[1.0]]), actual=None)
    with pytest.raises(DataError) as error:
        ForecastMetrics([1.0], [1.0], season=1).update(torch.zeros(1, 1, 1, 1), batch)
    assert str(error.value) == ("The rows that follow the windows are not known; expected them, to measure a forecast.")


def transcription(pairs, size):
    """The metrics of (said, text) pairs, so many a batch."""
    said = [pair[0] for pair in pairs]
    metrics = TranscriptionMetrics(lambda scores, lengths: [said[int(row)] for row in scores[:, 0, 0]])
    for begin in range(0, len(pairs), size):
        texts = tuple(text for _, text in pairs[begin : begin + size])
        scores = torch.arange(begin, begin + len(texts))[:, None, None]
        metrics.update(scores, TranscriptBatch(torch.zeros(len(texts), 1, 1), None, None, None, texts))
    return metrics


def test_error_rates_counted_by_hand():
    pairs = [
        ("three one seven", "three one seven"),  # right
        ("three seven", "three one seven"),  # one word and four characters (" one") too few
        ("tree one one seven", "three one seven"),  # a word and a character wrong, a word and four characters too many
        ("", "nine"),  # nothing said
        ("two", ""),  # something said of nothing
    ]
    for size in (1, 2, 5):
        assert transcription(pairs, size).compute() == {
            "word_error_rate": (0 + 1 + 2 + 1 + 1) / 10,
            "character_error_rate": (0 + 4 + 5 + 4 + 3) / 49,
        }


def test_transcription_goes_on_from_a_stored_state():
    pairs = [("a b", "a c"), ("a", "a"), ("", "b c"), ("x", "b")]
    first, second = transcription(pairs[:2], 2), transcription(pairs[2:], 2)
    counts = {name: first.state_dict()[name] + second.state_dict()[name] for name in first.state_dict()}
    both = TranscriptionMetrics(lambda scores, lengths: [])
    both.load_state_dict(counts)
    assert both.compute() == transcription(pairs, 4).compute()
    assert both.compute()["word_error_rate"] == 4 / 6
    assert TranscriptionMetrics(lambda scores, lengths: []).compute()["word_error_rate"] == 0


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
