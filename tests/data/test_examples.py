from __future__ import annotations

import numpy as np
import pytest

from holdfast.data import Examples
from holdfast.errors import DataError


def ragged() -> Examples:
    return Examples([np.ones((2, 3)), np.zeros((4, 3)), np.ones((2, 3))], ["a", "b", "a"], ["x[0]", "x[1]", "x[2]"])


def test_an_array_tells_its_sizes() -> None:
    examples = Examples(np.zeros((5, 4, 3), np.uint8), None, list("abcde"))
    assert (len(examples), examples.channels, examples.lengths.tolist()) == (5, 3, [4] * 5)
    assert examples.lengths.dtype == np.int64


def test_a_list_tells_its_sizes() -> None:
    assert (len(ragged()), ragged().channels, ragged().lengths.tolist()) == (3, 3, [2, 4, 2])


def test_a_list_of_equal_lengths_is_stacked() -> None:
    examples = ragged().subset([2, 0])
    assert isinstance(examples.inputs, np.ndarray)
    assert examples.inputs.shape == (2, 2, 3)


def test_subset_keeps_labels_and_origins_in_order() -> None:
    part = ragged().subset([1, 0])
    assert part.labels == ["b", "a"]
    assert part.origins == ["x[1]", "x[0]"]
    assert part.lengths.tolist() == [4, 2]


def test_an_empty_subset_keeps_the_shape_of_an_array() -> None:
    part = Examples(np.zeros((5, 4, 3)), None, list("abcde")).subset([])
    assert (len(part), part.channels) == (0, 3)


def test_join_concatenates_equal_lengths_and_lists_unequal_ones() -> None:
    first = Examples(np.zeros((2, 4, 3), np.uint8), ["a", "b"], ["p", "q"])
    second = Examples(np.ones((1, 4, 3), np.uint8), ["c"], ["r"])
    joined = Examples.join([first, second])
    assert isinstance(joined.inputs, np.ndarray)
    assert joined.inputs.dtype == np.uint8
    assert (joined.labels, joined.origins) == (["a", "b", "c"], ["p", "q", "r"])
    longer = Examples.join([first, ragged()])
    assert longer.lengths.tolist() == [4, 4, 2, 4, 2]


def test_join_refuses_a_mixture_of_labelled_and_not() -> None:
    bare = Examples(np.zeros((1, 4, 3)), None, ["bare.png"])
    with pytest.raises(DataError) as error:
        Examples.join([ragged(), bare])
    assert str(error.value) == (
        "bare.png has no label but x[0] has one; expected all or none of the sequences to be labelled. "
        "Read them separately."
    )


def test_counts_must_agree() -> None:
    with pytest.raises(DataError) as error:
        Examples(np.zeros((2, 4, 3)), ["a"], ["p", "q"])
    assert (
        str(error.value)
        == "Examples were given 2 inputs, 2 origins, 1 targets; expected one of each for every sequence."
    )


def test_channels_must_agree() -> None:
    with pytest.raises(DataError) as error:
        Examples([np.zeros((2, 3)), np.zeros((4, 5))], None, ["p", "q"])
    assert str(error.value) == "q has 5 values per step; the sequences before it have 3. All sequences must agree."


def test_an_array_has_three_dimensions() -> None:
    with pytest.raises(DataError, match=r"an array of shape \(2, 4\); expected \[N, T, C\]\.$"):
        Examples(np.zeros((2, 4)), None, ["p", "q"])


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named(value: float, stacked: bool) -> None:
    inputs = [np.zeros((4, 3)), np.zeros((4, 3)) if stacked else np.zeros((5, 3))]
    inputs[1][2, 1] = value
    with pytest.raises(DataError) as error:
        Examples(np.stack(inputs) if stacked else inputs, None, ["p", "q"])
    assert str(error.value) == (
        f"q holds {value} at step 2, channel 1 (from 0); expected a finite number. "
        "Fill in or leave out missing values first, or set data.missing."
    )


def test_a_sequence_needs_steps_and_numbers() -> None:
    with pytest.raises(DataError, match=r"^q has shape \(0, 3\); expected \[steps, values per step\]"):
        Examples([np.zeros((2, 3)), np.zeros((0, 3))], None, ["p", "q"])
    with pytest.raises(DataError, match=r"^p holds values of type object; expected real numbers"):
        Examples(np.full((1, 2, 3), None), None, ["p"])
