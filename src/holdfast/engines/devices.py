"""The device for a name in the settings."""

from __future__ import annotations

import torch

from holdfast.errors import OptionError


def choose_device(name: str) -> torch.device:
    """The device of a setting.

    Args:
        name: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ...

    Raises:
        OptionError: torch does not know the device, or this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"device {name!r} is unknown; use 'auto', 'cpu', 'cuda' or 'cuda:1'.") from error
    count = _count(device.type)
    if (device.index or 0) >= count:
        kind = device.type.upper()
        raise OptionError(
            f"device {name!r} was asked for; torch finds {count or 'no'} {kind} device{'s' * (count != 1)} here. "
            "Use device = 'auto' or 'cpu'."
        )
    return device


def _count(kind: str) -> int:
    """How many devices of a kind torch can compute on here."""
    if kind == "cpu":
        return 1
    if kind == "cuda":
        return torch.cuda.device_count()
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return torch.accelerator.device_count() if accelerator is not None and accelerator.type == kind else 0
