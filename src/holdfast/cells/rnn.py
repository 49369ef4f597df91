"""The simple recurrent network (Elman 1990).

    h' = φ(W_ih x + b_ih + W_hh h + b_hh)

φ is ``activation``: tanh, or relu (Le, Jaitly & Hinton 2015), or any other. With ``gate_clip``, what goes into it
is clamped into plus or minus that first (ONNX).
"""

from __future__ import annotations

from torch import Tensor

from holdfast.cells.activations import gate_functions
from holdfast.cells.noise import Noise, dropped_state, zoned
from holdfast.cells.products import Parameters, recurrent_product
from holdfast.cells.spec import CellSpec

State = tuple[Tensor]


def step(spec: CellSpec, p: Parameters, a: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
    """One step.

    Args:
        spec: The cell.
        p: Its parameters, as :meth:`CellSpec.parameter_shapes` names and shapes them.
        a: The input product of this step, [B, H].
        state: (h,), [B, H].
        noise: The masks of this step.

    Returns:
        The output h' [B, H] and the new state (h',).
    """
    _, φ = gate_functions(spec)
    (h,) = state

    h_new = φ(a + recurrent_product(spec, p, dropped_state(h, noise.state)))

    h_new = zoned(h, h_new, noise.zoneout_h, spec.zoneout_h)
    return h_new, (h_new,)
