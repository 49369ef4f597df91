"""Gates and states over time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.errors import DataError, OptionError, ShapeError
from holdfast.inspect.figures import gates_over_time, state_heat_map

VALUES = torch.rand(6, 5, generator=torch.Generator().manual_seed(1))
GATES = {"input": VALUES, "forget": 1 - VALUES, "candidate": VALUES * 2 - 1, "output": VALUES**2}


def test_medians_of_the_gates_without_the_candidate() -> None:
    ax = gates_over_time(GATES, steps=list("ho\nld "))
    assert [line.get_label() for line in ax.lines] == ["input", "forget", "output"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), (1 - VALUES).quantile(0.5, 1), rtol=1e-6)
    assert len({line.get_linestyle() for line in ax.lines}) == 3
    assert [label.get_text() for label in ax.get_xticklabels()] == ["h", "o", "↵", "l", "d", "␣"]
    assert len(ax.collections) == 3
    assert ax.get_ylim() == pytest.approx((-0.02, 1.02))
    assert ax.get_title("left") == "Gates over time, 5 units: medians, and bands with the middle half"


def test_one_unit_with_its_candidate() -> None:
    ax = gates_over_time(GATES, unit=3)
    assert [line.get_label() for line in ax.lines] == ["input", "forget", "candidate", "output"]
    np.testing.assert_array_equal(ax.lines[2].get_ydata(), VALUES[:, 3] * 2 - 1)
    assert ax.get_ylim()[0] < -1
    assert ax.get_xlabel() == "step"
    with pytest.raises(OptionError, match=r"^There is no unit 5; the layer has the units 0 to 4.$"):
        gates_over_time(GATES, unit=5)


def test_a_layer_without_gates() -> None:
    with pytest.raises(DataError, match=r"^The layer has no gates; an RNN has none. Draw its states.$"):
        gates_over_time({"candidate": VALUES})


def test_states_are_ordered_by_their_means_and_signed_ones_have_the_same_scale_on_both_sides() -> None:
    states = torch.tensor([[-0.5, 0.9, 0.0], [-0.5, 0.7, 0.2]])
    ax = state_heat_map(states, name="cell state")
    (image,) = ax.images
    np.testing.assert_allclose(image.get_array(), [[0.9, 0.7], [0.0, 0.2], [-0.5, -0.5]])
    assert image.get_clim() == pytest.approx((-0.9, 0.9))
    assert image.get_cmap().name == "cividis"
    assert ax.figure.axes[1].get_ylabel() == "cell state"
    assert ax.get_title("left") == "Cell state over time"


def test_a_gate_has_shades_of_one_colour() -> None:
    (image,) = state_heat_map(VALUES, name="forget gate").images
    assert image.get_clim() == (0, 1)
    assert image.get_cmap().name == "shades"


def test_long_sequences_have_numbers_in_place_of_tokens() -> None:
    ax = state_heat_map(torch.rand(100, 2), steps=["word"] * 100)
    assert ax.get_xlabel() == "step"


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ShapeError, match=r"^state_heat_map got states \(1, 6, 5\); expected \[T, H\]"):
        state_heat_map(VALUES[None])
    with pytest.raises(DataError, match=r"^The sequence has no steps to draw"):
        state_heat_map(VALUES[:0])
