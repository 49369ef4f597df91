"""What the native kernels take of a cell, in the numbers of ``native/layer.h``, and what they lack.

No torch is needed.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from holdfast.cells.spec import ACTIVATION_NAMES, CellSpec

# The numbers of the enumerations in native/layer.h.
KINDS = {"rnn": 0, "lstm": 1, "gru": 2}
ACTIVATION_NUMBERS = {name: number for number, name in enumerate(ACTIVATION_NAMES)}


def why_not(spec: CellSpec) -> str | None:
    """One sentence that says why the kernels cannot compute a cell, or None when they can."""
    if not isinstance(spec.activation, str) or not isinstance(spec.recurrent_activation, str):
        return "an activation is a callable, which the kernels cannot call."
    return None


def why_not_in_bfloat16(spec: CellSpec) -> str | None:
    """The same with products in bfloat16, for a cell that :func:`why_not` has nothing against."""
    options = {"layer_norm": spec.layer_norm, "proj_size": spec.proj_size, "reset_after=False": not spec.reset_after}
    return next((f"the kernels have no {name} with products in bfloat16." for name, on in options.items() if on), None)


@cache
def is_plain(spec: CellSpec) -> bool:
    """Whether the units need nothing but the default activations: no option that is asked for at each of them."""
    options = spec.peepholes or spec.coupled_gates or spec.cell_clip or spec.zoneout_h or spec.zoneout_c
    return spec.activation == "tanh" and spec.recurrent_activation == "sigmoid" and not options


@cache
def arguments(spec: CellSpec) -> dict[str, Any]:
    """The arguments of a kernel that say what cell it computes; :func:`why_not` has nothing against it.

    The dictionary is shared: copy it before changing it.
    """
    return {
        "kind": KINDS[spec.kind],
        "phi": ACTIVATION_NUMBERS[spec.activation],  # type: ignore[index]  # a name: why_not has seen to it
        "sigma": ACTIVATION_NUMBERS[spec.recurrent_activation],  # type: ignore[index]
        "coupled": spec.coupled_gates,
        "cell_clip": spec.cell_clip or 0.0,
        "zoneout_h": spec.zoneout_h,
        "zoneout_c": spec.zoneout_c,
        "norm": spec.layer_norm,
        "reset_before": not spec.reset_after,
        "proj_clip": spec.proj_clip or 0.0,
        "H": spec.hidden_size,
        "O": spec.output_size,
    }
