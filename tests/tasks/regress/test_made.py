"""The generated sequences."""

from __future__ import annotations

import numpy as np

from holdfast.tasks.regress.made import adding, cosine
from holdfast.tasks.regress.settings import RegressData


def test_the_target_of_the_adding_problem_is_the_sum_of_the_marked_numbers() -> None:
    train, test = adding(RegressData(steps=30, examples=50), seed=1)
    assert (train.inputs.shape, len(test)) == ((50, 30, 2), 1000)
    for examples in (train, test):
        numbers, marks = examples.inputs[..., 0], examples.inputs[..., 1]
        assert ((numbers >= 0) & (numbers < 1)).all()
        assert set(np.unique(marks)) == {0, 1}
        assert (marks[:, :15].sum(1) == 1).all()
        assert (marks[:, 15:].sum(1) == 1).all()
        np.testing.assert_allclose(examples.targets, (numbers.astype(np.float64) * marks).sum(1), rtol=1e-12)


def test_the_seed_makes_other_training_sequences_and_the_same_test() -> None:
    data = RegressData(steps=30, examples=50)
    (first, test), (again, _), (other, same) = adding(data, 0), adding(data, 0), adding(data, 1)
    assert np.array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.inputs, other.inputs)
    assert np.array_equal(test.inputs, same.inputs)


def test_the_cosine_goes_on_where_training_ends() -> None:
    train, test = cosine(RegressData(steps=100), seed=0)
    assert (train.inputs.shape, test.inputs.shape, test.per_step) == ((1, 100, 1), (1, 1000, 1), True)
    both = np.concatenate([train.inputs[0, :, 0], test.inputs[0, :, 0]])
    targets = np.concatenate([(train.targets or [])[0], (test.targets or [])[0]])
    np.testing.assert_allclose(both**2 + targets**2, 1)
    np.testing.assert_allclose(both, np.sin(0.3 * np.arange(1100)))
