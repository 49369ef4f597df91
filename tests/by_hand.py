"""The equations of the cells once more, one unit at a time, in plain Python floats: nothing here comes from Holdfast.

A vector is a list of floats, a matrix a list of rows. A sequence is one row of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Vector = list[float]
Matrix = list[Vector]


def _sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


ACTIVATIONS: dict[str, Callable[..., float]] = {
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda v: v if v > 0 else 0.0,
    "linear": lambda v: v,
    "hard_sigmoid": lambda v, a=1 / 6, b=0.5: min(max(a * v + b, 0.0), 1.0),
    "hard_sigmoid_02": lambda v: 0.0 if v < -2.5 else 1.0 if v > 2.5 else v / 5 + 0.5,
    "softsign": lambda v: v / (1 + abs(v)),
    "softplus": lambda v: math.log(1 + math.exp(v)),
    "elu": lambda v, a=1.0: v if v > 0 else a * (math.exp(v) - 1),
    "selu": lambda v: 1.0507009873554805 * (v if v > 0 else 1.6732632423543772 * (math.exp(v) - 1)),
    "exponential": math.exp,
    "leaky_relu": lambda v, a=0.01: v if v > 0 else a * v,
    "relu6": lambda v: min(max(v, 0.0), 6.0),
    "thresholded_relu": lambda v, a=1.0: v if v > a else 0.0,
    "affine": lambda v, a=1.0, b=0.0: a * v + b,
    "scaled_tanh": lambda v, a=1.0, b=1.0: a * math.tanh(b * v),
    "silu": lambda v: v * _sigmoid(v),
    "gelu": lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2,
    "mish": lambda v: v * math.tanh(math.log1p(math.exp(v))),
}


def function(name: str, bound: float | None = None) -> Callable[[float], float]:
    """The activation that is written so, of a value that is first clamped into ±bound."""
    base, _, given = name.partition("(")
    parameters = [float(number) for number in given.rstrip(")").split(",")] if given else []
    return lambda v: ACTIVATIONS[base](_clip(v, bound), *parameters)


@dataclass(frozen=True)
class Masks:
    """The masks of one sequence, as in ``holdfast.cells.Noise``; None for an option that is off.

    That of the state is a matrix where each gate has one of its own.
    """

    state: Vector | Matrix | None = None
    candidate: Matrix | None = None
    zoneout_h: list[list[bool]] | None = None
    zoneout_c: list[list[bool]] | None = None


def _matvec(W: Matrix, x: Vector) -> Vector:
    return [sum(w * v for w, v in zip(row, x, strict=True)) for row in W]


def _normalised(a: Vector, gain: Vector) -> Vector:
    mean = sum(a) / len(a)
    variance = sum((v - mean) ** 2 for v in a) / len(a)
    return [g * (v - mean) / math.sqrt(variance + 1e-5) for g, v in zip(gain, a, strict=True)]


def _clip(v: float, bound: float | None) -> float:
    return v if bound is None else min(max(v, -bound), bound)


def sequence(
    kind: str,
    options: dict[str, Any],
    p: dict[str, Any],
    inputs: Matrix,
    state: Sequence[Vector],
    masks: Masks | None,
) -> tuple[Matrix, list[Vector], list[list[Vector]]]:
    """Outputs, final state, and the state after every step; ``masks`` is None in evaluation."""
    H = len(p["weight_hh"]) // {"rnn": 1, "gru": 3, "lstm": 3 if options.get("coupled_gates") else 4}[kind]
    step = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}[kind]
    parts = [list(part) for part in state]
    outputs, states = [], []
    for t, x in enumerate(inputs):
        new = step(H, options, p, x, parts, masks or Masks(), t)
        for k, letter in enumerate("hc"[: len(parts)]):
            zone = options.get(f"zoneout_{letter}", 0.0)
            if masks is None:
                new[k] = [zone * old + (1 - zone) * v for old, v in zip(parts[k], new[k], strict=True)]
            elif zone:
                held = getattr(masks, f"zoneout_{letter}")[t]
                new[k] = [old if hold else v for hold, old, v in zip(held, parts[k], new[k], strict=True)]
        parts = new
        outputs.append(parts[0])
        states.append(parts)
    return outputs, parts, states


def _bias(p: dict[str, Any], name: str, rows: int) -> Vector:
    return p.get(name) or [0.0] * rows


def _seen(h: Vector, mask: Any, gates: int) -> Matrix:
    """h as each gate sees it."""
    masks = mask if mask and isinstance(mask[0], list) else [mask or [1.0] * len(h)] * gates
    return [[v * k for v, k in zip(h, own, strict=True)] for own in masks]


def _each(H: int, W: Matrix, x: Matrix) -> Vector:
    """The product of each gate's H rows of W with what it sees."""
    return [v for k, own in enumerate(x) for v in _matvec(W[k * H : (k + 1) * H], own)]


def _rnn(H: int, o: dict[str, Any], p: dict[str, Any], x: Vector, s: list[Vector], m: Masks, t: int) -> list[Vector]:
    φ = function(o.get("activation", "tanh"), o.get("gate_clip"))
    (h,) = _seen(s[0], m.state, 1)
    a, u = _matvec(p["weight_ih"], x), _matvec(p["weight_hh"], h)
    if o.get("layer_norm"):
        a, u = _normalised(a, p["norm_ih"]), _normalised(u, p["norm_hh"])
    b, d = _bias(p, "bias_ih", H), _bias(p, "bias_hh", H)
    return [[φ(a[j] + b[j] + u[j] + d[j]) for j in range(H)]]


def _gru(H: int, o: dict[str, Any], p: dict[str, Any], x: Vector, s: list[Vector], m: Masks, t: int) -> list[Vector]:
    φ = function(o.get("activation", "tanh"), o.get("gate_clip"))
    σ = function(o.get("recurrent_activation", "sigmoid"), o.get("gate_clip"))
    (h,) = s
    seen = _seen(h, m.state, 3)
    b, d = _bias(p, "bias_ih", 3 * H), _bias(p, "bias_hh", 3 * H)
    norm = bool(o.get("layer_norm"))

    def product(which: str, v: Matrix, first: int, last: int) -> Vector:
        a = _each(H, p[f"weight_{which}"][first * H : last * H], v)
        return _normalised(a, p[f"norm_{which}"][first * H : last * H]) if norm else a

    a_rz, a_n = product("ih", [x, x], 0, 2), product("ih", [x], 2, 3)
    u_rz = product("hh", seen[:2], 0, 2)
    r = [σ(a_rz[j] + b[j] + u_rz[j] + d[j]) for j in range(H)]
    z = [σ(a_rz[H + j] + b[H + j] + u_rz[H + j] + d[H + j]) for j in range(H)]
    if o.get("reset_after", True):
        u_n = product("hh", seen[2:], 2, 3)
        n = [φ(a_n[j] + b[2 * H + j] + r[j] * (u_n[j] + d[2 * H + j])) for j in range(H)]
    else:
        u_n = product("hh", [[r[j] * seen[2][j] for j in range(H)]], 2, 3)
        n = [φ(a_n[j] + b[2 * H + j] + u_n[j] + d[2 * H + j]) for j in range(H)]
    if m.candidate is not None:
        n = [v * k for v, k in zip(n, m.candidate[t], strict=True)]
    return [[(1 - z[j]) * n[j] + z[j] * h[j] for j in range(H)]]


def _lstm(H: int, o: dict[str, Any], p: dict[str, Any], x: Vector, s: list[Vector], m: Masks, t: int) -> list[Vector]:
    φ = function(o.get("activation", "tanh"), o.get("gate_clip"))
    σ = function(o.get("recurrent_activation", "sigmoid"), o.get("gate_clip"))
    ψ = function(o.get("output_activation", o.get("activation", "tanh")), None)
    h, c = s
    gates = "igo" if o.get("coupled_gates") else "ifgo"
    a, u = _matvec(p["weight_ih"], x), _each(H, p["weight_hh"], _seen(h, m.state, len(gates)))
    if o.get("layer_norm"):
        a, u = _normalised(a, p["norm_ih"]), _normalised(u, p["norm_hh"])
    b, d = _bias(p, "bias_ih", len(a)), _bias(p, "bias_hh", len(a))
    pre = {}
    for k, name in enumerate(gates):
        pre[name] = [a[k * H + j] + b[k * H + j] + u[k * H + j] + d[k * H + j] for j in range(H)]
    peep = {name: [0.0] * H for name in gates}
    if o.get("peepholes"):
        peep |= dict(zip(gates.replace("g", ""), p["weight_peephole"], strict=True))

    c_new, raw = [], []
    for j in range(H):
        i = σ(pre["i"][j] + peep["i"][j] * c[j])
        f = 1 - i if o.get("coupled_gates") else σ(pre["f"][j] + peep["f"][j] * c[j])
        g = φ(pre["g"][j]) * (1 if m.candidate is None else m.candidate[t][j])
        c_new.append(_clip(f * c[j] + i * g, o.get("cell_clip")))
    inner = c_new
    if o.get("layer_norm"):
        inner = [v + k for v, k in zip(_normalised(c_new, p["norm_c"]), p["norm_c_bias"], strict=True)]
    for j in range(H):
        raw.append(σ(pre["o"][j] + peep["o"][j] * c_new[j]) * ψ(inner[j]))
    if o.get("proj_size"):
        raw = [_clip(v, o.get("proj_clip")) for v in _matvec(p["weight_hr"], raw)]
    return [raw, c_new]
