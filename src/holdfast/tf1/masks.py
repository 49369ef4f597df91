"""Random masks of dropout in TensorFlow 1's terms: the probability to keep, and a seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from holdfast.errors import OptionError


class Dropper:
    """Draws masks.

    Args:
        seed: Where its numbers begin, so that a second one of the same seed draws the same; None for torch's own
            random state.
    """

    def __init__(self, seed: int | None) -> None:
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def mask(self, keep_prob: float, shape: Sequence[int], like: Tensor) -> Tensor:
        """1 / keep_prob with that probability, otherwise 0; of the dtype and on the device of ``like``."""
        device = like.device if self._generator is None else torch.device("cpu")
        kept = torch.empty(tuple(shape), dtype=torch.float32, device=device)
        kept.bernoulli_(keep_prob, generator=self._generator)
        return kept.to(like).div_(keep_prob)


def check_keep_prob(name: str, option: str, keep_prob: float) -> float:
    """A probability above 0 and up to 1.

    Raises:
        OptionError: It is not.
    """
    if not isinstance(keep_prob, int | float) or not 0 < keep_prob <= 1:
        raise OptionError(f"{name} {option} is {keep_prob!r}; expected a probability above 0, up to 1 to keep all.")
    return float(keep_prob)
