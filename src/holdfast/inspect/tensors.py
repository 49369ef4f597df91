"""Values of a call as tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from holdfast.cells.nested_state import describe
from holdfast.errors import OptionError


def to_tensor(value: Any, network: nn.Module) -> Any:
    """An array or a list as a tensor of the network's device, numbers in its dtype; other values unchanged."""
    if isinstance(value, Tensor | PackedSequence) or value is None or isinstance(value, dict | str):
        return value
    tensor = torch.as_tensor(value)
    like = next((parameter for parameter in network.parameters() if parameter.is_floating_point()), torch.empty(0))
    return tensor.to(like.device, like.dtype if tensor.is_floating_point() else tensor.dtype)


def first_tensor(output: Any) -> Tensor:
    """The output of a network: the tensor itself, or the first one in a tuple, list or dict.

    Raises:
        OptionError: There is none.
    """
    value = output
    while isinstance(value, tuple | list | dict) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    if not isinstance(value, Tensor):
        raise OptionError(f"The model returned {describe(output)}; expected a tensor, or a tuple that begins with one.")
    return value
