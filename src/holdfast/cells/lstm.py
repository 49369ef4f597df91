"""Long short-term memory (Hochreiter & Schmidhuber 1997; with the forget gate of Gers et al. 2000).

    i  = σ(W_ii x + b_ii + W_hi h + b_hi)               input gate
    f  = σ(W_if x + b_if + W_hf h + b_hf)               forget gate
    g  = φ(W_ig x + b_ig + W_hg h + b_hg)               candidate
    o  = σ(W_io x + b_io + W_ho h + b_ho)               output gate
    c' = f ⊙ c + i ⊙ g
    h' = o ⊙ φ(c')

The rows of the weights and biases are i, f, g, o, in this order. Each option changes single lines:

    peepholes          i, f see p_i ⊙ c, p_f ⊙ c and o sees p_o ⊙ c' inside σ     (Gers & Schmidhuber 2000)
    coupled_gates      f = 1 - i                                                   (Greff et al. 2017)
    gate_clip          σ(a), φ(a) of the gates are σ(clip(a, ±gate_clip)), φ(...)   (ONNX)
    cell_clip          c' = clip(f ⊙ c + i ⊙ g, ±cell_clip)
    output_activation  h' = o ⊙ ψ(c')                                              (ONNX)
    layer_norm         h' = o ⊙ φ(LN(c')), and both products are normalised        (Ba et al. 2016)
    proj_size          h' = clip(W_hr (o ⊙ φ(c')), ±proj_clip)                     (Sak et al. 2014)
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from holdfast.cells.activations import activation, gate_functions
from holdfast.cells.noise import Noise, dropped, dropped_state, zoned
from holdfast.cells.products import Parameters, layer_norm, recurrent_product
from holdfast.cells.spec import CellSpec

State = tuple[Tensor, Tensor]


def step(
    spec: CellSpec, p: Parameters, a: Tensor, state: State, noise: Noise, gates: dict[str, Tensor] | None = None
) -> tuple[Tensor, State]:
    """One step.

    Args:
        spec: The cell.
        p: Its parameters, as :meth:`CellSpec.parameter_shapes` names and shapes them.
        a: The input product W_i x + b_i of this step, [B, 4H] (3H with coupled gates).
        state: (h, c), [B, O] and [B, H].
        noise: The masks of this step.
        gates: Where to put the gates and the candidate by letter, [B, H] each; None for nowhere.

    Returns:
        The output h' [B, O] and the new state (h', c').

    Example:
        >>> import torch
        >>> spec = CellSpec(kind="lstm", input_size=3, hidden_size=4)
        >>> p = {name: torch.ones(shape) for name, shape in spec.parameter_shapes().items()}
        >>> output, (h, c) = step(spec, p, torch.zeros(2, 16), (torch.zeros(2, 4), torch.zeros(2, 4)), Noise())
        >>> output.shape, output is h, c.shape
        (torch.Size([2, 4]), True, torch.Size([2, 4]))
    """
    σ, φ = gate_functions(spec)
    ψ = activation(spec.activations[-1])
    h, c = state
    u = recurrent_product(spec, p, dropped_state(h, noise.state))
    sums = dict(zip(spec.gates, (a + u).chunk(len(spec.gates), -1), strict=True))
    if spec.peepholes:
        peepholes = dict(zip((gate for gate in spec.gates if gate != "g"), p["weight_peephole"], strict=True))

    def s(gate: str, c: Tensor) -> Tensor:
        """The argument of a gate's σ: W_i x + b_i + W_h h + b_h, and with peepholes + p ⊙ c."""
        return sums[gate] + peepholes[gate] * c if spec.peepholes else sums[gate]

    i = σ(s("i", c))
    f = 1 - i if spec.coupled_gates else σ(s("f", c))
    g = φ(sums["g"])
    c_new = f * c + i * dropped(g, noise.candidate)
    if spec.cell_clip is not None:
        c_new = c_new.clamp(-spec.cell_clip, spec.cell_clip)
    o = σ(s("o", c_new))
    h_new = o * ψ(layer_norm(spec.hidden_size, c_new, p["norm_c"], p["norm_c_bias"]) if spec.layer_norm else c_new)
    if spec.proj_size:
        h_new = F.linear(h_new, p["weight_hr"])
        if spec.proj_clip is not None:
            h_new = h_new.clamp(-spec.proj_clip, spec.proj_clip)

    if gates is not None:
        gates.update(i=i, f=f, g=g, o=o)
    h_new = zoned(h, h_new, noise.zoneout_h, spec.zoneout_h)
    c_new = zoned(c, c_new, noise.zoneout_c, spec.zoneout_c)
    return h_new, (h_new, c_new)
