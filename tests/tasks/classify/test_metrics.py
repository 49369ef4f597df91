import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
)

from holdfast.data import Batch
from holdfast.tasks.classify.metrics import ClassificationMetrics, MultilabelMetrics


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
    assert int(first.counts.sum()) == 15, "a stored state has memory of its own"


def test_the_counts_of_several_labels_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    for classes in (2, 3, 9):
        targets, predicted = generator.integers(0, 2, (2, 50, classes))
        metrics = MultilabelMetrics(classes)
        metrics.update(torch.as_tensor(predicted) - 0.5, batch(targets.astype(np.float32)))
        assert metrics.counts.tolist() == multilabel_confusion_matrix(targets, predicted).tolist()


def test_a_checkpoint_of_an_earlier_version_has_the_counts_under_these_names():
    metrics = MultilabelMetrics(2)
    metrics.load_state_dict({"found": torch.ones(2, 2, 2, dtype=torch.int64), "exact": 1, "seen": 4})
    assert metrics.compute() == {"exact_match": 0.25, "macro_f1": 0.5, "micro_f1": 0.5}
    assert metrics.state_dict().keys() == {"found", "exact", "seen"}
    one_label = ClassificationMetrics(2)
    one_label.load_state_dict({"confusion": torch.ones(2, 2, dtype=torch.int64)})
    assert one_label.compute() == {"accuracy": 0.5, "macro_f1": 0.5}
