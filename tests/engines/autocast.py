"""Autocast to bfloat16 on the CPU."""

from __future__ import annotations

import torch

AUTOCAST = {"device_type": "cpu", "dtype": torch.bfloat16}
