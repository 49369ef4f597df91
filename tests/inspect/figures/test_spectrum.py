"""The eigenvalues of recurrent matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.errors import ShapeError
from holdfast.inspect.figures import spectrum


def test_eigenvalues_and_the_unit_circle() -> None:
    turn = torch.tensor([[0.0, -1.5], [1.5, 0.0]])  # eigenvalues +-1.5i
    ax = spectrum(turn, name="forget gate")
    points = np.sort(ax.collections[0].get_offsets().data[:, 1])
    np.testing.assert_allclose(points, [-1.5, 1.5])
    circle = ax.lines[2].get_xydata()
    np.testing.assert_allclose(np.hypot(*circle.T), 1)
    assert ax.get_title("left") == "forget gate: spectral radius 1.50"
    assert ax.get_xlim()[1] > 1.5
    assert ax.get_aspect() == 1


def test_a_matrix_that_is_not_square() -> None:
    with pytest.raises(
        ShapeError, match=r"^spectrum got a matrix \(8, 2\); expected \[H, H\], the weights of one gate.$"
    ):
        spectrum(np.ones((8, 2)))
