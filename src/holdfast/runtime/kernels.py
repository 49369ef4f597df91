"""A cell as arguments of the native kernels, in the numbers of ``native/layer.h``, and what the kernels lack.

This needs no torch.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from holdfast.cells.activation_names import Activation, parse_activation
from holdfast.cells.spec import CellSpec

# The numbers of the enumerations in native/layer.h.
KINDS = {"rnn": 0, "lstm": 1, "gru": 2}
_FUNCTIONS = (
    "tanh",
    "sigmoid",
    "relu",
    "affine",
    "hard_sigmoid",
    "softsign",
    "softplus",
    "elu",
    "exponential",
    "leaky_relu",
    "relu6",
    "thresholded_relu",
    "scaled_tanh",
)
_NUMBERS = {name: number for number, name in enumerate(_FUNCTIONS)}
# Names for one of these functions with parameters. SELU is an ELU with a larger slope (Klambauer et al. 2017).
_SELU = 1.0507009873554805
_ALIASES = {
    "linear": ("affine", (1.0, 0.0)),
    "hard_sigmoid_02": ("hard_sigmoid", (0.2, 0.5)),
    "selu": ("elu", (_SELU * 1.6732632423543772, _SELU)),
}


def function(name: str) -> tuple[int, float, float] | None:
    """The number of an activation with its two parameters; None if the kernels do not have it.

    They keep only an activation's value, so they have the activations whose derivative follows from the value.
    """
    base, parameters = parse_activation(name)
    base, parameters = _ALIASES.get(base, (base, parameters))
    not_monotonic = base in ("elu", "leaky_relu", "thresholded_relu") and parameters[0] < 0
    if base not in _NUMBERS or not_monotonic or (base == "scaled_tanh" and not parameters[0]):
        return None
    if base == "elu" and len(parameters) == 1:
        parameters = (*parameters, 1.0)
    a, b = (*parameters, 0.0, 0.0)[:2]
    return _NUMBERS[base], a, b


def why_not(spec: CellSpec) -> str | None:
    """One sentence that says why the kernels cannot compute a cell, or None when they can."""
    return why_not_activations(*spec.activations)


def why_not_activations(phi: Activation, sigma: Activation, out: Activation) -> str | None:
    """The same for the activations of a cell."""
    if isinstance(phi, str) and isinstance(sigma, str) and isinstance(out, str):
        return _why_not(phi, sigma, out)
    return "an activation is a callable, which the kernels cannot call."


@lru_cache(256)
def _why_not(*names: str) -> str | None:
    lacking = [name for name in names if function(name) is None]
    return f"the kernels have no {lacking[0]}, whose derivative does not follow from its value." if lacking else None


@cache
def is_plain(spec: CellSpec) -> bool:
    """Whether a step has only the default activations, so that the loop over units checks no option."""
    clips = spec.gate_clip or spec.cell_clip
    options = spec.peepholes or spec.coupled_gates or clips or spec.zoneout_h or spec.zoneout_c
    return spec.activations == ("tanh", "sigmoid", "tanh") and not options


@cache
def arguments(spec: CellSpec) -> dict[str, Any]:
    """The arguments of a kernel that describe the cell, for which :func:`why_not` returned None.

    The dictionary is shared: copy it before changing it.
    """
    phi, sigma, out = (function(str(name)) for name in spec.activations)  # why_not has checked that they are names
    return {
        "kind": KINDS[spec.kind],
        "phi": phi,
        "sigma": sigma,
        "out": out,
        "gate_clip": spec.gate_clip or 0.0,
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
