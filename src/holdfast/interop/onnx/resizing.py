"""``Resize`` of ONNX: values at other places along axes, one axis after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from holdfast.errors import ShapeError
from holdfast.interop.onnx.shapes import Floats, Ints, integers

_MODES = ("nearest", "linear", "cubic")
_POLICIES = ("stretch", "not_larger", "not_smaller")
_ROUNDINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "round_prefer_floor": lambda x: torch.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: torch.floor(x + 0.5),
    "floor": torch.floor,
    "ceil": torch.ceil,
}


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
    """More or fewer values along axes, as many as ``scales`` times those there are, or as ``sizes`` says.

    With ``old``, as before version 11: ``scales`` comes second, and places are scaled from the first value on.
    """
    if old:
        scales, coordinate_transformation_mode, nearest_mode = roi, "asymmetric", "floor"
    how = coordinate_transformation_mode
    if antialias or mode not in _MODES or how not in _COORDINATES or keep_aspect_ratio_policy not in _POLICIES:
        raise ShapeError(
            f"Resize has mode {mode!r}, coordinate_transformation_mode {how!r}, keep_aspect_ratio_policy "
            f"{keep_aspect_ratio_policy!r} and antialias {antialias}; expected one of {', '.join(_MODES)}; one of "
            f"{', '.join(_COORDINATES)}; one of {', '.join(_POLICIES)}; and 0."
        )
    if nearest_mode not in _ROUNDINGS:
        raise ShapeError(f"Resize has nearest_mode {nearest_mode!r}; expected one of {', '.join(_ROUNDINGS)}.")
    along = [axis % x.ndim for axis in integers(axes) or range(x.ndim)]
    wanted, factors = _targets(x, along, scales, integers(sizes), keep_aspect_ratio_policy)
    for axis, size, scale in zip(along, wanted, factors, strict=True):
        before = x.shape[axis]
        if size == before and scale == 1:
            continue
        places = _COORDINATES[how](torch.arange(size, dtype=torch.float32, device=x.device), scale, size, before)
        if mode == "nearest":
            x = x.index_select(axis, _ROUNDINGS[nearest_mode](places).long().clamp(0, before - 1))
        else:
            shares = [1.0] if mode == "linear" else _cubic(places - places.floor(), cubic_coeff_a)
            x = _mixed(x, axis, places, shares, exclude_outside)
    return x


def _targets(
    x: Tensor, along: Sequence[int], scales: Floats, sizes: list[int] | None, policy: str
) -> tuple[list[int], list[float]]:
    """How many values there are to be along each axis, and how many times those there are."""
    if sizes:
        if len(sizes) != len(along):
            raise ShapeError(f"Resize has sizes {sizes}; expected one for each of {len(along)} axes.")
        factors = [size / x.shape[axis] for size, axis in zip(sizes, along, strict=True)]
        if policy != "stretch":
            factor = min(factors) if policy == "not_larger" else max(factors)
            factors = [factor] * len(along)
            sizes = [int(factor * x.shape[axis] + 0.5) for axis in along]
        return sizes, factors
    found = scales.flatten().tolist() if isinstance(scales, Tensor) else list(scales or [])
    if len(found) != len(along) or not all(0 < one < float("inf") for one in found):
        raise ShapeError(f"Resize has scales {found}; expected a number above 0 for each of {len(along)} axes.")
    return [int(x.shape[axis] * scale) for axis, scale in zip(along, found, strict=True)], found


def _half_pixel(place: Tensor, scale: float, size: int, before: int) -> Tensor:
    return (place + 0.5) / scale - 0.5


def _symmetric(place: Tensor, scale: float, size: int, before: int) -> Tensor:
    wide = torch.tensor(scale, dtype=torch.float32) * before  # every step is rounded, as in onnxruntime
    return before / 2 * (1 - size / wide) + (place + 0.5) / scale - 0.5


def _torch_half_pixel(place: Tensor, scale: float, size: int, before: int) -> Tensor:
    return (place + 0.5) / scale - 0.5 if size > 1 else torch.zeros_like(place)


def _aligned(place: Tensor, scale: float, size: int, before: int) -> Tensor:
    return place * (before - 1) / (size - 1) if size > 1 else torch.zeros_like(place)


def _asymmetric(place: Tensor, scale: float, size: int, before: int) -> Tensor:
    return place / scale


_COORDINATES: dict[str, Callable[[Tensor, float, int, int], Tensor]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": _torch_half_pixel,
    "align_corners": _aligned,
    "asymmetric": _asymmetric,
}
"""Where a place of the result lies in the values that are there."""


def _cubic(part: Tensor, a: float) -> list[Tensor]:
    """The shares of four neighbours (Keys 1981)."""
    shares = []
    for offset in (1, 0, -1, -2):
        distance = (part + offset).abs()
        near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
        far = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
        shares.append(torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far))))
    return shares


def _mixed(x: Tensor, axis: int, places: Tensor, shares: Sequence[Tensor | float], exclude_outside: int) -> Tensor:
    """Neighbours of places, each times its share."""
    size = x.shape[axis]
    first = places.floor()
    if len(shares) == 1:
        offsets, weights = [0, 1], [1 - (places - first), places - first]
    else:
        offsets, weights = [-1, 0, 1, 2], [torch.as_tensor(one) for one in shares]
    if exclude_outside:
        inside = [((first + offset >= 0) & (first + offset < size)).float() for offset in offsets]
        weights = [weight * one for weight, one in zip(weights, inside, strict=True)]
        total = torch.stack(weights).sum(0)
        weights = [weight / total for weight in weights]
    shape = [-1 if place == axis else 1 for place in range(x.ndim)]
    numbers = x if x.is_floating_point() else x.float()
    parts = [
        numbers.index_select(axis, (first + offset).long().clamp(0, size - 1)) * weight.to(numbers.dtype).reshape(shape)
        for offset, weight in zip(offsets, weights, strict=True)
    ]
    return torch.stack(parts).sum(0).to(x.dtype)
