"""The gated recurrent unit (Cho et al. 2014), in both known forms.

    r  = σ(W_ir x + b_ir + W_hr h + b_hr)               reset gate
    z  = σ(W_iz x + b_iz + W_hz h + b_hz)               update gate
    n  = φ(W_in x + b_in + r ⊙ (W_hn h + b_hn))         candidate, reset after the product (torch, cuDNN): the default
    n  = φ(W_in x + b_in + W_hn (r ⊙ h) + b_hn)         candidate, reset before the product (Cho et al.)
    h' = (1 - z) ⊙ n + z ⊙ h

The rows of the weights and biases are r, z, n, in this order. ``gate_clip`` clamps the arguments of σ and φ to
plus or minus itself (ONNX).
"""

from __future__ import annotations

from torch import Tensor

from holdfast.cells.activations import gate_functions
from holdfast.cells.noise import Noise, dropped, dropped_state, zoned
from holdfast.cells.products import Parameters, recurrent_product, recurrent_product_of
from holdfast.cells.spec import CellSpec

State = tuple[Tensor]


def step(
    spec: CellSpec, p: Parameters, a: Tensor, state: State, noise: Noise, gates: dict[str, Tensor] | None = None
) -> tuple[Tensor, State]:
    """One step.

    Args:
        spec: The cell.
        p: Its parameters, as :meth:`CellSpec.parameter_shapes` names and shapes them.
        a: The input product W_i x + b_i of this step, [B, 3H].
        state: (h,), [B, H].
        noise: The masks of this step.
        gates: Where to put the gates and the candidate by letter, [B, H] each; None for nowhere.

    Returns:
        The output h' [B, H] and the new state (h',).

    Example:
        >>> import torch
        >>> spec = CellSpec(kind="gru", input_size=3, hidden_size=4)
        >>> p = {name: torch.ones(shape) for name, shape in spec.parameter_shapes().items()}
        >>> output, (h,) = step(spec, p, torch.zeros(2, 12), (torch.zeros(2, 4),), Noise())
        >>> output.shape, output is h
        (torch.Size([2, 4]), True)
    """
    σ, φ = gate_functions(spec)
    (h,) = state
    h_in = dropped_state(h, noise.state)
    a_r, a_z, a_n = a.chunk(3, -1)

    if spec.reset_after:
        u_r, u_z, u_n = recurrent_product(spec, p, h_in).chunk(3, -1)
        r = σ(a_r + u_r)
        z = σ(a_z + u_z)
        n = φ(a_n + r * u_n)
    else:
        h_rz, h_n = (h_in[:, :2], h_in[:, 2]) if h_in.dim() == 3 else (h_in, h_in)
        u_r, u_z = recurrent_product_of(spec, p, h_rz, 0, 2).chunk(2, -1)
        r = σ(a_r + u_r)
        z = σ(a_z + u_z)
        n = φ(a_n + recurrent_product_of(spec, p, r * h_n, 2, 3))
    h_new = (1 - z) * dropped(n, noise.candidate) + z * h

    if gates is not None:
        gates.update(r=r, z=z, n=n)
    h_new = zoned(h, h_new, noise.zoneout_h, spec.zoneout_h)
    return h_new, (h_new,)
