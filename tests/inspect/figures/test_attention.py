"""The map of an attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.errors import ShapeError
from holdfast.inspect.figures import attention_map


def test_a_row_per_target_and_a_column_per_source() -> None:
    weights = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    ax = attention_map(weights, ["I", "am", ""], ["je", "suis"])
    np.testing.assert_allclose(ax.collections[0].get_array().flatten(), weights.flatten())
    assert [label.get_text() for label in ax.get_xticklabels()] == ["I", "am", "·"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["je", "suis"]
    low, high = ax.get_ylim()
    assert low > high
    assert ax.get_title("left") == "Attention"


def test_weights_of_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"^There are weights \(2, 2\), 1 target tokens and 2 source tokens"):
        attention_map(np.ones((2, 2)), ["a", "b"], ["c"])
