"""The gradient through time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.errors import DataError
from holdfast.inspect.figures import gradient_through_time


def test_norms_over_lags_on_a_logarithmic_axis() -> None:
    norms = {"hidden": torch.tensor([1.0, 0.5, 0.25]), "cell": torch.tensor([1.0, 0.9, 0.8])}
    ax = gradient_through_time(norms, memory={"cell": 1}, title="l0")
    hidden, cell, dot = ax.lines
    np.testing.assert_allclose(hidden.get_xydata(), [[0, 1], [1, 0.5], [2, 0.25]])
    np.testing.assert_allclose(cell.get_ydata(), [1, 0.9, 0.8])
    np.testing.assert_allclose(dot.get_xydata(), [[1, 0.9]])
    assert hidden.get_linestyle() != cell.get_linestyle()
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.texts] == ["hidden", "cell\n90 % within 1"]
    assert (ax.get_title("left"), ax.get_xlabel()) == ("l0", "steps back from the loss")


def test_a_gradient_that_has_vanished_is_not_drawn() -> None:
    ax = gradient_through_time({"RNN": [1.0, 1e-13, 0.0]})
    assert np.isnan(ax.lines[0].get_ydata()).tolist() == [False, True, True]
    with pytest.raises(DataError, match=r"^All gradients are 0, so there is nothing to draw."):
        gradient_through_time({"RNN": [0.0, 0.0]})
