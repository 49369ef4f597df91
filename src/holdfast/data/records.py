"""Records: examples of any kind (texts, tagged sentences, pairs, recordings), before anything was fitted to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from holdfast.data.disk.columns import Column, take
from holdfast.errors import DataError

Input = TypeVar("Input")
Target = TypeVar("Target")


@dataclass(frozen=True, eq=False)
class Records(Generic[Input, Target]):
    """Inputs with their targets, in the order they were read.

    Attributes:
        inputs: N inputs: a list, or a column of a set on disk; so are the others.
        targets: What is learned of each, N; None if unknown.
        origins: Where each came from, such as ``fra.txt[12]``, N.
        stratified: Whether the targets are labels, whose shares every part of a split keeps.
        weights: The weight of each example in the loss, N; None where all count alike.

    Raises:
        DataError: There are not as many inputs as targets and origins.
    """

    inputs: Sequence[Input]
    targets: Sequence[Target] | None
    origins: Sequence[str]
    stratified: bool = False
    weights: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        counts = {"inputs": len(self.inputs), "origins": len(self.origins)}
        if self.targets is not None:
            counts["targets"] = len(self.targets)
        if len(set(counts.values())) > 1:
            got = ", ".join(f"{count} {name}" for name, count in counts.items())
            raise DataError(f"Records were given {got}; expected one of each for every example.")

    def __len__(self) -> int:
        """The number of examples, N."""
        return len(self.inputs)

    @property
    def labels(self) -> list[str] | None:
        """The labels whose shares every part of a split keeps; None if there are none to keep."""
        if not self.stratified or self.targets is None:
            return None
        return self.targets.names() if isinstance(self.targets, Column) else [str(target) for target in self.targets]

    def subset(self, indices: Iterable[int]) -> Records[Input, Target]:
        """The examples at these positions, in this order.

        Args:
            indices: Positions from 0 to N - 1; one may occur more than once.
        """
        chosen = np.fromiter(indices, np.int64)
        targets = None if self.targets is None else take(self.targets, chosen)
        weights = None if self.weights is None else self.weights[chosen]
        inputs, origins = take(self.inputs, chosen), take(self.origins, chosen)
        return replace(self, inputs=inputs, targets=targets, origins=origins, weights=weights)

    def unlabelled(self) -> Records[Input, Target]:
        """The same without targets."""
        return replace(self, targets=None, weights=None)

    @staticmethod
    def join(parts: Sequence[Records[Input, Target]]) -> Records[Input, Target]:
        """All examples of several sets, one after another.

        Args:
            parts: At least one set, all with targets, or none; without weights.

        Raises:
            DataError: Only some have targets.
        """
        bare = [part for part in parts if part.targets is None]
        if bare and len(bare) < len(parts):
            raise DataError("Some files have targets and others have none; expected all or none. Read them separately.")
        return Records(
            [example for part in parts for example in part.inputs],
            None if bare else [target for part in parts for target in part.targets or []],
            [origin for part in parts for origin in part.origins],
            parts[0].stratified,
        )
