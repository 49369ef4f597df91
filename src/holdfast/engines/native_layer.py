"""All cells of a layer on the kernels as one call, for the usual call: C++ checks the tensors and makes the results.

The kernels get the same arguments as from :class:`~holdfast.engines.native_cell.NativeCell` and compute the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from holdfast.engines.native_cell import NativeCell


class NativeLayer:
    """The kernels of all layers and directions of a module whose ``_parameters`` holds their parameters.

    Outputs of two directions are side by side, and the output of one layer is the input of the next.

    Args:
        module: The module.
        attributes: The names of its attributes that must not change; :meth:`run` returns None when one did.
        cells: The cells of each layer, forwards first, all with the same sizes of the state.
        suffixes: What follows the names of the parameters of each cell.
        packed: Where each cell keeps its packed weights.
        directions: 1 or 2.
        batch_first: Whether inputs with a batch are [B, T, I], not [T, B, I].
    """

    def __init__(
        self,
        module: nn.Module,
        attributes: Sequence[str],
        cells: Sequence[NativeCell],
        suffixes: Sequence[str],
        packed: Sequence[Any],
        directions: int,
        batch_first: bool,
    ) -> None:
        from holdfast.runtime import _native  # absent where Holdfast was installed without kernels

        parts = []
        for cell, suffix, weights in zip(cells, suffixes, packed, strict=True):
            names = tuple([name + suffix for name in cell.spec.parameter_names])
            parts.append((cell.kernels, cell.tensors_named(names), weights))
        make = _native.Layer_f32 if cells[0].dtype == torch.float32 else _native.Layer_f64
        self._kernels = make(module, tuple(attributes), tuple(parts), directions, batch_first)
        self._is_pair = len(cells[0].sizes) > 1

    def run(self, module: nn.Module, x: Any, hx: Any) -> tuple[Any, ...] | None:
        """The output and the final state of a call without gradients; None for a call that it cannot run.

        Args:
            module: The module, or a copy of it.
            x: The input, [T, B, I], [B, T, I] or [T, I].
            hx: The state as torch.nn has it; None for zeros.
        """
        state = hx if hx is None or self._is_pair else (hx,)
        return self._kernels.infer(module, torch.get_num_threads(), x, state)
