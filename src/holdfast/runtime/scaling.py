"""How raw values become a network's inputs. No torch is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from holdfast.errors import ModelFileError, OptionError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

ScalingKind = Literal["none", "unit", "standard"]
KINDS: tuple[ScalingKind, ...] = ("none", "unit", "standard")


@dataclass(frozen=True)
class Scaling:
    """How raw values become the network's inputs.

    Attributes:
        kind: ``none``: unchanged; ``unit``: divided by 255; ``standard``: minus ``mean``, divided by ``std``.
        mean: Of each channel, C numbers; empty unless ``standard``.
        std: Of each channel, C numbers; 1 for a channel that never varies.

    Raises:
        OptionError: There is no such kind, or the two are not lists of numbers of one length.
    """

    kind: ScalingKind = "none"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionError(f"There is no scaling {self.kind!r}: {did_you_mean(str(self.kind), KINDS)}")
        if not all(isinstance(number, int | float) for number in (*self.mean, *self.std)):
            raise OptionError("A mean or a deviation of the scaling is not a number.")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or 0 in self.std:
            raise OptionError("A mean or a deviation of the scaling is not finite, or a deviation is 0.")
        if len(self.mean) != len(self.std):
            raise OptionError(f"The scaling has {len(self.mean)} means and {len(self.std)} deviations.")

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Scales values.

        Args:
            values: [..., C], any real dtype.

        Returns:
            [..., C], float32: computed in float64 and rounded once, so a number gives the same bits in every dtype that
            holds it.
        """
        if self.kind == "unit":
            # A quotient of float32 numbers has the same bits as one in float64 that is then rounded (Figueroa 1995,
            # "When is double rounding innocuous?"), in half the memory.
            dtype = np.result_type(values.dtype, np.float32)
            values = np.divide(values, dtype.type(255), dtype=dtype)
        elif self.kind == "standard":
            values = np.subtract(values, self.mean, dtype=np.float64)
            values /= self.std
        return values.astype(np.float32, copy=False)

    def restore(self, values: NDArray[Any], axis: int = -1) -> NDArray[np.float64]:
        """The inverse of :meth:`apply`, in float64.

        Args:
            values: Scaled values, [..., C]; ``axis`` has the C channels.
            axis: Negative.
        """
        values = values.astype(np.float64)
        if self.kind == "unit":
            values *= 255
        elif self.kind == "standard":
            shape = (-1,) + (1,) * (-axis - 1)
            values *= np.reshape(self.std, shape)
            values += np.reshape(self.mean, shape)
        return values

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that ``from_dict`` reads."""
        return {"kind": self.kind, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scaling:
        """The scaling that ``to_dict`` wrote.

        Args:
            data: What ``to_dict`` returned, such as JSON of a model file.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        try:
            whole = {key: [float(x) if isinstance(x, int) else x for x in data[key]] for key in ("mean", "std")}
            return cls(data["kind"], tuple(whole["mean"]), tuple(whole["std"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelFileError(
                f"The saved scaling does not fit ({type(error).__name__}: {error}). "
                "The file is damaged, or another version wrote it."
            ) from error
