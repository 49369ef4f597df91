"""Dropout masks from TensorFlow 1's arguments: a probability to keep and a seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from holdfast.errors import OptionError


class Dropper:
    """Draws masks.

    Args:
        seed: The seed of a generator of its own; two droppers with the same seed draw the same masks. None for torch's
            own random state.
    """

    def __init__(self, seed: int | None) -> None:
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def mask(self, keep_prob: float, shape: Sequence[int], like: Tensor) -> Tensor:
        """A mask of 1 / keep_prob with that probability, otherwise 0, with the dtype and device of ``like``."""
        device = like.device if self._generator is None else torch.device("cpu")
        kept = torch.empty(tuple(shape), dtype=torch.float32, device=device)
        kept.bernoulli_(keep_prob, generator=self._generator)
        return kept.to(like).div_(keep_prob)


def check_keep_prob(name: str, option: str, keep_prob: float) -> float:
    """Refuses a probability that is not above 0 and at most 1.

    Raises:
        OptionError: It is refused.
    """
    if not isinstance(keep_prob, int | float) or not 0 < keep_prob <= 1:
        raise OptionError(f"{name} {option} is {keep_prob!r}; expected a probability above 0 and at most 1 (keep all).")
    return float(keep_prob)
