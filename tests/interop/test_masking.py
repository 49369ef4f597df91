"""Any mask: the layer gives what the same steps give without those that do not count."""

from __future__ import annotations

import pytest
import torch

from holdfast.interop.nodes import Recurrent

MASKS = {
    "right": [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]],
    "left": [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]],
    "holes": [[1, 0, 1, 0, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]],
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_masked_steps_do_not_count(name: str, reverse: bool, repeat: bool, cell: str) -> None:
    torch.manual_seed(0)
    mask = torch.tensor(MASKS[name], dtype=torch.bool)
    part = Recurrent(cell, input_size=2, hidden_size=3, reverse=reverse, repeat=repeat)  # type: ignore[arg-type]
    x = torch.randn(3, 5, 2)
    initial = [torch.randn(1, 3, 3) for _ in part.layer.specs[0].state_sizes]
    outputs, last, *state = part(x, mask, *initial)
    for row in range(3):
        own = [h[:, row] for h in initial]
        alone = [h[:, row] for h in state]
        held = torch.zeros(3)  # what Keras repeats where no step has come yet
        steps = range(4, -1, -1) if reverse else range(5)
        for t in steps:
            if mask[row, t]:
                held, after = part.layer(x[row, t : t + 1], own[0] if cell == "gru" else tuple(own))
                held, own = held[0], [after] if cell == "gru" else list(after)
                torch.testing.assert_close(outputs[row, t], held)
            else:
                torch.testing.assert_close(outputs[row, t], held if repeat else torch.zeros(3))
        for got, expected in zip(alone, own, strict=True):
            torch.testing.assert_close(got, expected)
        torch.testing.assert_close(last[row], own[0][0])
