import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from holdfast.data import Batch
from holdfast.metrics import ClassificationMetrics


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
