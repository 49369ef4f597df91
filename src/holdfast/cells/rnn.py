"""The simple recurrent network (Elman 1990).

    h' = φ(W_ih x + b_ih + W_hh h + b_hh)

φ is ``activation``: tanh, or relu (Le, Jaitly & Hinton 2015), or any other. ``gate_clip`` clamps its argument to plus
or minus itself (ONNX).
"""

from __future__ import annotations

from torch import Tensor

from holdfast.cells.activations import gate_functions
from holdfast.cells.noise import Noise, dropped_state, zoned
from holdfast.cells.products import Parameters, recurrent_product
from holdfast.cells.spec import CellSpec

State = tuple[Tensor]


def step(
    spec: CellSpec, p: Parameters, a: Tensor, state: State, noise: Noise, gates: dict[str, Tensor] | None = None
) -> tuple[Tensor, State]:
    """One step.

    Args:
        spec: The cell.
        p: Its parameters, as :meth:`CellSpec.parameter_shapes` names and shapes them.
        a: The input product W_ih x + b_ih of this step, [B, H].
        state: (h,), [B, H].
        noise: The masks of this step.
        gates: Where to put the gates and the candidate by letter, [B, H] each; None for nowhere.

    Returns:
        The output h' [B, H] and the new state (h',).

    Example:
        >>> import torch
        >>> spec = CellSpec(kind="rnn", input_size=3, hidden_size=4)
        >>> p = {name: torch.ones(shape) for name, shape in spec.parameter_shapes().items()}
        >>> output, (h,) = step(spec, p, torch.zeros(2, 4), (torch.zeros(2, 4),), Noise())
        >>> output.shape, output is h
        (torch.Size([2, 4]), True)
    """
    _, φ = gate_functions(spec)
    (h,) = state
    u = recurrent_product(spec, p, dropped_state(h, noise.state))

    h_new = φ(a + u)

    if gates is not None:
        gates.update(h=h_new)
    h_new = zoned(h, h_new, noise.zoneout_h, spec.zoneout_h)
    return h_new, (h_new,)
