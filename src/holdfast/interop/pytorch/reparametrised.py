"""Computes the weights that a layer uses from a state dict that stores them in another form.

``torch.nn.utils.weight_norm`` (Salimans & Kingma 2016) stores ``weight_g`` and ``weight_v``, or ``original0`` and
``original1`` under ``parametrizations``. Pruning stores ``weight_orig`` and ``weight_mask``. ``spectral_norm`` (Miyato
et al. 2018) stores ``weight_orig``, ``weight_u`` and ``weight_v``. Weight dropout (Merity et al. 2018) stores
``weight_raw``, the weights before dropout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

_NAMES, _STEP = r"(?:weight_(?:ih|hh|hr)|bias_(?:ih|hh))", r"(?:_l\d{1,4}(?:_reverse)?)?"
_PARTS = re.compile(
    rf"(?P<layer>(?:.*\.)?)(?:(?P<own>{_NAMES}(?P<step>{_STEP}))_(?P<end>g|v|u|orig|mask|raw)|"
    rf"parametrizations\.(?P<new>{_NAMES}{_STEP})\.original(?P<number>[01]))"
)
Parts = Mapping[str, Tensor]


def effective_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in which recurrent layers have the weights that they use; unknown forms are not changed.

    Args:
        tensors: By name.
    """
    groups: dict[str, dict[str, str]] = {}
    for name in tensors:
        if match := _PARTS.fullmatch(name):
            whole = f"{match['layer']}{match['own'] or match['new']}"
            inner = f"{match['layer']}module.weight_ih{match['step'] or ''}"
            if match["end"] == "raw" and inner in tensors:  # the layer within the one that drops
                whole = f"{match['layer']}module.{match['own']}"
            groups.setdefault(whole, {})[match["end"] or f"original{match['number']}"] = name
    result = dict(tensors)
    for whole, names in groups.items():
        compute = _FORMS.get(frozenset(names))
        parts = {end: tensors[name] for end, name in names.items()}
        if compute is None or not all(part.is_floating_point() for part in parts.values()):
            continue
        weight = compute(parts)
        if weight is not None:
            for name in names.values():
                del result[name]
            result[whole] = weight
    return result


def _normed(length: str, direction: str) -> Callable[[Parts], Tensor | None]:
    def compute(parts: Parts) -> Tensor | None:
        g, v = parts[length], parts[direction]
        dims = tuple(range(v.ndim)) if not g.ndim else tuple(d for d in range(g.ndim) if g.shape[d] == 1)
        if g.ndim not in (0, v.ndim) or any(g.shape[d] not in (1, v.shape[d]) for d in range(g.ndim)):
            return None
        return v * (g / v.norm(dim=dims, keepdim=True)) if dims else v * (g / v.abs())

    return compute


def _pruned(parts: Parts) -> Tensor | None:
    weight, mask = parts["orig"], parts["mask"]
    return weight * mask if weight.shape == mask.shape else None


def _spectral(parts: Parts) -> Tensor | None:
    weight, u, v = parts["orig"], parts["u"], parts["v"]
    fits = weight.ndim == 2 and (u.ndim, v.ndim) == (1, 1) and weight.shape == (len(u), len(v))
    return weight / (u @ weight @ v) if fits else None


_FORMS: dict[frozenset[str], Callable[[Parts], Tensor | None]] = {
    frozenset({"g", "v"}): _normed("g", "v"),
    frozenset({"original0", "original1"}): _normed("original0", "original1"),
    frozenset({"orig", "mask"}): _pruned,
    frozenset({"orig", "u", "v"}): _spectral,
    frozenset({"raw"}): lambda parts: parts["raw"],
}
