"""The lengths of the rows of a batch: the check, and zeros in the padding behind each row's last step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from holdfast.cells import calling
from holdfast.errors import ShapeError

Lengths = Tensor | Sequence[int]


def check_lengths(lengths: Lengths | None, batch: int, steps: int, device: torch.device) -> Tensor | None:
    """The lengths as an int64 tensor [B] on ``device``, or None when every row has all its steps.

    The result is a copy, because the backward pass reads it too, and the caller may write new lengths into the same
    tensor or array before that.

    Raises:
        ShapeError: Not B whole numbers from 0 to ``steps``.
    """
    if lengths is None:
        return None
    try:
        checked = lengths if isinstance(lengths, Tensor) else torch.as_tensor(lengths)
        if not isinstance(lengths, Tensor) and not checked.numel():  # torch makes float32 from an empty list
            checked = checked.long()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"lengths is {lengths!r}; expected whole numbers, one per row of the input.") from error
    if checked.shape != (batch,) or checked.is_floating_point() or checked.dtype == torch.bool:
        raise ShapeError(
            f"lengths has shape {tuple(checked.shape)} and dtype {checked.dtype}; expected whole numbers of shape "
            f"(batch,) = ({batch},), one per row of the input."
        )
    if batch and calling.can_read(checked):
        low, high = int(checked.min()), int(checked.max())
        if low < 0 or high > steps:
            raise ShapeError(
                f"lengths go from {low} to {high}; expected 0 to {steps}, the number of steps in the input."
            )
        if low == steps:
            return None
    return checked.to(device=device, dtype=torch.int64, copy=True)


def shortest_and_longest(lengths: Tensor | None, steps: int) -> tuple[int, int]:
    """The smallest and the largest length, or bounds of them where the values cannot be read."""
    if lengths is None:
        return steps, steps
    if not lengths.shape[0]:  # not len(): an exporter would take the number of rows for a constant
        return 0, 0
    return (int(lengths.min()), int(lengths.max())) if calling.can_read(lengths) else (0, steps)


def without_padding(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Inputs [T, B, ...] with zeros past each row's length.

    A NaN in the padding must not reach a product: 0 * NaN would appear in the gradient of the weights.
    """
    padding = torch.arange(inputs.shape[0], device=inputs.device)[:, None] >= lengths
    return inputs.masked_fill(padding.reshape(padding.shape + (1,) * (inputs.ndim - 2)), 0)
