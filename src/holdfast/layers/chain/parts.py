"""The parts of a plain chain of layers. No torch is needed.

Every part says how many values it takes and gives in a step, and which tensors it has. ``name`` is what the names of
its tensors begin with in a model file: a :class:`Linear` called ``output`` has ``output.weight`` and ``output.bias``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from holdfast.cells.options import NAMES
from holdfast.cells.parameter_names import layer_suffix
from holdfast.cells.spec import CellSpec
from holdfast.errors import OptionError
from holdfast.runtime.scaling import Scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shapes = dict[str, tuple[int, ...]]
HeadKind = Literal["last_state", "last_output", "mean", "max"]


class Part:
    """What all parts have in common."""

    reads_ids: ClassVar[bool] = False
    """Whether it takes whole numbers, such as those of tokens, in place of vectors."""

    @property
    def input_size(self) -> int | None:
        """Values in a step that it takes; None for any number of them, and for ids."""
        return None

    @property
    def output_size(self) -> int | None:
        """Values in a step that it gives; None for as many as it takes."""
        return None

    @property
    def inner(self) -> tuple[Part, ...]:
        """The parts that it is made of; empty for one that is not made of others."""
        return ()

    def own_shapes(self) -> Shapes:
        """Its tensors without those of inner parts."""
        return {}

    def tensor_shapes(self) -> Shapes:
        """Its tensors with their shapes, by their names in a model file."""
        shapes = self.own_shapes()
        for part in self.inner:
            shapes |= part.tensor_shapes()
        return shapes


@dataclass(frozen=True)
class Scaled(Part):
    """Turns raw values into what the network reads; values of any real dtype become float32.

    Attributes:
        scaling: How.
    """

    scaling: Scaling

    @property
    def input_size(self) -> int | None:
        """C, where the scaling is ``standard``."""
        return len(self.scaling.mean) if self.scaling.kind == "standard" else None


@dataclass(frozen=True)
class Embedding(Part):
    """A vector for each id.

    Attributes:
        name: See the module.
        tokens: How many ids there are.
        size: Values in a vector.
        mask_zero: Whether id 0 is padding: such steps are no part of a sequence.
    """

    name: str
    tokens: int
    size: int
    mask_zero: bool = False
    reads_ids: ClassVar[bool] = True

    @classmethod
    def of(cls, name: str, table: Any, *, mask_zero: bool = False) -> Embedding:
        """The part of an ``nn.Embedding``.

        Args:
            name: The name of its tensors in the model file.
            table: The ``nn.Embedding``.
            mask_zero: As the attribute.
        """
        return cls(name, table.num_embeddings, table.embedding_dim, mask_zero)

    @property
    def output_size(self) -> int:
        """The size of a vector."""
        return self.size

    def own_shapes(self) -> Shapes:
        """The table."""
        return {f"{self.name}.weight": (self.tokens, self.size)}


@dataclass(frozen=True)
class Linear(Part):
    """A linear layer on every step: y = W x + b.

    Attributes:
        name: See the module.
        inputs: Values in x.
        outputs: Values in y.
        bias: Whether there is a b.
    """

    name: str
    inputs: int
    outputs: int
    bias: bool = True

    @classmethod
    def of(cls, name: str, layer: Any) -> Linear:
        """The part of an ``nn.Linear``.

        Args:
            name: The name of its tensors in the model file.
            layer: The ``nn.Linear``.
        """
        return cls(name, layer.in_features, layer.out_features, layer.bias is not None)

    @property
    def input_size(self) -> int:
        """Values in x."""
        return self.inputs

    @property
    def output_size(self) -> int:
        """Values in y."""
        return self.outputs

    def own_shapes(self) -> Shapes:
        """W and b."""
        shapes: Shapes = {f"{self.name}.weight": (self.outputs, self.inputs)}
        return {**shapes, f"{self.name}.bias": (self.outputs,)} if self.bias else shapes

    def __str__(self) -> str:
        return f"Linear({self.inputs}, {self.outputs})"


@dataclass(frozen=True)
class Recurrent(Part):
    """Recurrent layers, one above the other. :class:`~holdfast.layers.recurrent_layer.RecurrentLayer` has the options.

    Attributes:
        name: See the module; empty for a layer that is the whole model.
        cells: The cell of each layer, of one kind.
        bidirectional: Whether each layer also runs from the end to the start.
        merge: How two directions become one output.
        residual: Whether each layer but the first adds its input to its output.
        reverse: Whether the only direction is from the end to the start.

    Raises:
        OptionError: The layers do not fit one another.
    """

    name: str
    cells: tuple[CellSpec, ...]
    bidirectional: bool = False
    merge: Literal["concat", "sum", "mean", "product"] = "concat"
    residual: bool = False
    reverse: bool = False

    def __post_init__(self) -> None:
        if not self.cells or len({cell.kind for cell in self.cells}) > 1:
            kinds = ", ".join(sorted({NAMES[cell.kind] for cell in self.cells})) or "no cell"
            raise OptionError(f"Recurrent layers have {kinds}; expected cells of one kind.")
        width = self.cells[0].input_size
        for number, cell in enumerate(self.cells):
            output = self._widened(cell)
            if cell.input_size != width or (self.residual and number and output != width):
                raise OptionError(f"Layer {number} has {cell.input_size} inputs; the one below has {width} outputs.")
            width = output

    def _widened(self, cell: CellSpec) -> int:
        return cell.output_size * (2 if self.bidirectional and self.merge == "concat" else 1)

    @property
    def input_size(self) -> int:
        """Values in a step of the first layer's input."""
        return self.cells[0].input_size

    @property
    def output_size(self) -> int:
        """Values in a step of the last layer's output."""
        return self._widened(self.cells[-1])

    def own_shapes(self) -> Shapes:
        """The parameters of each cell, named as torch.nn names them: ``weight_ih_l0``, ``weight_ih_l0_reverse``, ..."""
        prefix = f"{self.name}." if self.name else ""
        return {
            prefix + parameter + layer_suffix(number, direction): shape
            for number, cell in enumerate(self.cells)
            for direction in range(1 + self.bidirectional)
            for parameter, shape in cell.parameter_shapes().items()
        }

    def __str__(self) -> str:
        return " -> ".join(f"{NAMES[cell.kind]}({cell.input_size}, {cell.hidden_size})" for cell in self.cells)


@dataclass(frozen=True)
class Head(Part):
    """One vector for a sequence, from the recurrent layers before it. Without a head, every step has an output.

    Attributes:
        kind: The final hidden state of the last layer; the output of the last step; or the mean or maximum over time.
    """

    kind: HeadKind


@dataclass(frozen=True)
class LogSoftmax(Part):
    """Scores become the logarithms of probabilities."""


@dataclass(frozen=True)
class Restored(Part):
    """Scaled values become numbers in the units of the targets: y = std x + mean; the quantiles of a target ascend.

    Attributes:
        scaling: The scaling of the K targets, whose inverse this is; its kind is ``standard``.
        quantiles: Q, values per target, one beside the other.

    Raises:
        OptionError: The scaling is of another kind, or there is no quantile.
    """

    scaling: Scaling
    quantiles: int = 1

    def __post_init__(self) -> None:
        if self.scaling.kind != "standard" or not self.scaling.mean or self.quantiles < 1:
            raise OptionError(
                f"Outputs with the scaling {self.scaling.kind!r} and {self.quantiles} quantiles; expected 'standard', "
                "with a mean and a deviation for each target, and at least one quantile."
            )

    @property
    def input_size(self) -> int:
        """K Q."""
        return len(self.scaling.mean) * self.quantiles

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """Restores values; the dtype stays.

        Args:
            values: [..., K Q].
        """
        rows = values.reshape(*values.shape[:-1], -1, self.quantiles)
        return self.scaling.restore(np.sort(rows, -1), axis=-2).reshape(values.shape).astype(values.dtype, copy=False)


def check_widths(parts: list[Part]) -> tuple[int | None, int | None]:
    """Checks that each part takes what the part before it gives.

    Args:
        parts: The parts, in the order they run.

    Returns:
        Values in a step of the first part's input (None for ids, and where no part says) and of the last one's output.

    Raises:
        OptionError: A part takes another number of values, or reads ids that no part gives.
    """
    first = width = None
    for number, part in enumerate(parts):
        if part.reads_ids and number:
            raise OptionError(f"{type(part).__name__} reads ids; expected it as the first part.")
        if width is not None and part.input_size not in (None, width):
            raise OptionError(
                f"{type(part).__name__} takes {part.input_size} values; the part before it gives {width}."
            )
        if width is None and not parts[0].reads_ids:
            first = part.input_size
        sizes = (part.output_size, part.input_size, width)
        width = next((size for size in sizes if size is not None), None)
    return first, width
