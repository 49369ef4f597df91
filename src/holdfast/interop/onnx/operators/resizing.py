"""``Resize``: interpolates values along one axis after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from holdfast.errors import ShapeError
from holdfast.interop.onnx.operators.registry import Floats, Ints, integers, operator

_MODES = ("nearest", "linear", "cubic")
_POLICIES = ("stretch", "not_larger", "not_smaller")
_ROUNDINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "round_prefer_floor": lambda x: torch.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: torch.floor(x + 0.5),
    "floor": torch.floor,
    "ceil": torch.ceil,
}


@operator("Resize")
def resize(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Floats = None,
    sizes: Ints = None,
    *,
    antialias: int = 0,
    axes: Ints = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
    old: int = 0,
) -> Tensor:
    """Changes the number of values along axes, to ``scales`` times the present sizes or to ``sizes``.

    ``old`` means the operator before version 11: ``scales`` is the second input, and coordinates are asymmetric.
    """
    if old:
        scales, coordinate_transformation_mode, nearest_mode = roi, "asymmetric", "floor"
    transform = coordinate_transformation_mode
    if antialias or mode not in _MODES or transform not in _COORDINATES or keep_aspect_ratio_policy not in _POLICIES:
        raise ShapeError(
            f"Resize has mode {mode!r}, coordinate_transformation_mode {transform!r}, keep_aspect_ratio_policy "
            f"{keep_aspect_ratio_policy!r} and antialias {antialias}; expected one of {', '.join(_MODES)}; one of "
            f"{', '.join(_COORDINATES)}; one of {', '.join(_POLICIES)}; and 0."
        )
    if nearest_mode not in _ROUNDINGS:
        raise ShapeError(f"Resize has nearest_mode {nearest_mode!r}; expected one of {', '.join(_ROUNDINGS)}.")
    along = [axis % x.ndim for axis in integers(axes) or range(x.ndim)]
    new_sizes, factors = _targets(x, along, scales, integers(sizes), keep_aspect_ratio_policy)
    for axis, size, scale in zip(along, new_sizes, factors, strict=True):
        before = x.shape[axis]
        if size == before and scale == 1:
            continue
        places = _COORDINATES[transform](torch.arange(size, dtype=torch.float32, device=x.device), scale, size, before)
        if mode == "nearest":
            x = x.index_select(axis, _ROUNDINGS[nearest_mode](places).long().clamp(0, before - 1))
        else:
            weights = _linear(places) if mode == "linear" else _cubic(places, cubic_coeff_a)
            x = _interpolated(x, axis, places, weights, exclude_outside)
    return x


def _targets(
    x: Tensor, along: Sequence[int], scales: Floats, sizes: list[int] | None, policy: str
) -> tuple[list[int], list[float]]:
    """The new size of each axis, and its factor."""
    if sizes:
        if len(sizes) != len(along):
            raise ShapeError(f"Resize has sizes {sizes}; expected one for each of {len(along)} axes.")
        factors = [size / x.shape[axis] for size, axis in zip(sizes, along, strict=True)]
        if policy != "stretch":
            factor = min(factors) if policy == "not_larger" else max(factors)
            factors = [factor] * len(along)
            sizes = [int(factor * x.shape[axis] + 0.5) for axis in along]
        return sizes, factors
    factors = scales.flatten().tolist() if isinstance(scales, Tensor) else list(scales or [])
    if len(factors) != len(along) or not all(0 < factor < float("inf") for factor in factors):
        raise ShapeError(f"Resize has scales {factors}; expected a number above 0 for each of {len(along)} axes.")
    return [int(x.shape[axis] * factor) for axis, factor in zip(along, factors, strict=True)], factors


def _symmetric(place: Tensor, scale: float, size: int, before: int) -> Tensor:
    scaled = torch.tensor(scale, dtype=torch.float32) * before  # rounded to float32, as in onnxruntime
    return before / 2 * (1 - size / scaled) + (place + 0.5) / scale - 0.5


def _torch_half_pixel(place: Tensor, scale: float, size: int, before: int) -> Tensor:
    return (place + 0.5) / scale - 0.5 if size > 1 else torch.zeros_like(place)


def _aligned(place: Tensor, scale: float, size: int, before: int) -> Tensor:
    return place * (before - 1) / (size - 1) if size > 1 else torch.zeros_like(place)


_COORDINATES: dict[str, Callable[[Tensor, float, int, int], Tensor]] = {
    "half_pixel": lambda place, scale, size, before: (place + 0.5) / scale - 0.5,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": _torch_half_pixel,
    "align_corners": _aligned,
    "asymmetric": lambda place, scale, size, before: place / scale,
}
"""Maps places of the result to places of the input, from (place, scale, new size, present size)."""


def _linear(places: Tensor) -> dict[int, Tensor]:
    """The weights of the two neighbours, by their offset from the floor of the place."""
    above = places - places.floor()
    return {0: 1 - above, 1: above}


def _cubic(places: Tensor, a: float) -> dict[int, Tensor]:
    """The weights of the four neighbours (Keys 1981), by their offset from the floor of the place."""
    weights = {}
    for offset in (-1, 0, 1, 2):
        distance = (places - places.floor() - offset).abs()
        near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
        far = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
        weights[offset] = torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))
    return weights


def _interpolated(x: Tensor, axis: int, places: Tensor, by_offset: dict[int, Tensor], exclude_outside: int) -> Tensor:
    """The weighted sum of the neighbours of each place."""
    size, first, weights = x.shape[axis], places.floor(), list(by_offset.values())
    if exclude_outside:
        inside = [((first + offset >= 0) & (first + offset < size)).float() for offset in by_offset]
        weights = [weight * flag for weight, flag in zip(weights, inside, strict=True)]
        total = torch.stack(weights).sum(0)
        weights = [weight / total for weight in weights]
    shape = [-1 if place == axis else 1 for place in range(x.ndim)]
    numbers = x if x.is_floating_point() else x.float()
    parts = [
        numbers.index_select(axis, (first + offset).long().clamp(0, size - 1)) * weight.to(numbers.dtype).reshape(shape)
        for offset, weight in zip(by_offset, weights, strict=True)
    ]
    return torch.stack(parts).sum(0).to(x.dtype)
