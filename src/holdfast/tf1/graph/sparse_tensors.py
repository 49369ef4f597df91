"""Sparse tensors: places and values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from holdfast.tf1.graph.arrays import placeholder
from holdfast.tf1.graph.convert import CONVERSIONS, convert_to_tensor, known_value, whole_numbers
from holdfast.tf1.graph.dtypes import DType, float32, int64
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.maths import cast
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.recording import plain
from holdfast.tf1.graph.shapes import Sizes, TensorShape
from holdfast.tf1.graph.tensors import Tensor


@public("SparseTensorValue")
class SparseTensorValue(NamedTuple):
    """What a session returns for a sparse tensor, and takes for one: places [N, R], values [N], a shape [R]."""

    indices: Any
    values: Any
    dense_shape: Any


@public("SparseTensor")
class SparseTensor(tuple[Tensor, Tensor, Tensor]):
    """A tensor that is zero but for the values at some places.

    Args:
        indices: The places [N, R], in order.
        values: The values [N].
        dense_shape: The sizes [R] of the whole.
        shape: Accepted for ``dense_shape``, as before TensorFlow 1.0.
    """

    def __new__(cls, indices: Any, values: Any, dense_shape: Any = None, shape: Any = None) -> SparseTensor:
        """A structure of three tensors, so that it is a key of a ``feed_dict`` and a fetch."""
        sizes = shape if dense_shape is None else dense_shape
        places = cast(convert_to_tensor(indices), int64)
        return super().__new__(cls, (places, convert_to_tensor(values), cast(convert_to_tensor(sizes), int64)))

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        """A sparse tensor from its value, or from one."""
        return as_sparse(sparse_tensor_value, "SparseTensor.from_value")

    _fields = ("indices", "values", "dense_shape")

    indices = property(lambda self: self[0])
    values = property(lambda self: self[1])
    dense_shape = property(lambda self: self[2])

    @property
    def dtype(self) -> DType:
        """Of the values."""
        return self[1].dtype

    @property
    def fetched(self) -> list[Tensor]:
        """What a session runs for it."""
        return list(self)

    @staticmethod
    def together(parts: list[Any]) -> SparseTensorValue:
        """What a session returns for it."""
        return SparseTensorValue(*parts)

    def get_shape(self) -> TensorShape:
        """The static shape of the whole."""
        return TensorShape(dense_sizes(self))

    shape = property(get_shape)

    def with_values(self, values: Tensor) -> SparseTensor:
        """Other values at the same places."""
        return SparseTensor(self[0], values, self[2])

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


plain(SparseTensor)


def _refused(sparse: SparseTensor) -> Tensor:
    raise TypeError(
        "A sparse tensor was given where a dense one is expected. Make it dense: tf.sparse_tensor_to_dense(tensor)."
    )


CONVERSIONS.append((SparseTensor, _refused))


def dense_sizes(sparse: SparseTensor) -> Sizes:
    """The sizes of the whole, if they are known."""
    known = known_value(sparse[2])
    if known is not None:
        return tuple(None if size < 0 else int(size) for size in known)
    rank = (sparse[2].sizes or (None,))[0]
    return None if rank is None else (None,) * rank


def as_sparse(value: Any, name: str) -> SparseTensor:
    """A sparse tensor from one, or from the value of one.

    Raises:
        TypeError: The value is something else.
    """
    if isinstance(value, SparseTensorValue):
        return SparseTensor(*value)
    if not isinstance(value, SparseTensor):
        raise TypeError(f"{name} got {value!r}; expected a tf.SparseTensor or a tf.SparseTensorValue.")
    return value


@public("sparse_placeholder")
def sparse_placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> SparseTensor:
    """A sparse tensor whose value each run is given: a ``SparseTensorValue``, or (indices, values, shape)."""
    rank = None if shape is None else len(shape)
    prefix = name or "sparse"
    return SparseTensor(
        placeholder(int64, [None, rank], f"{prefix}/indices"), placeholder(dtype, [None], f"{prefix}/values"),
        placeholder(int64, [rank], f"{prefix}/shape"),
    )  # fmt: skip


def scattered(indices: torch.Tensor, values: torch.Tensor, sizes: Sequence[int], default: Any) -> torch.Tensor:
    """The whole tensor."""
    whole = torch.full(tuple(sizes), default, dtype=values.dtype)
    if len(indices):
        whole[tuple(indices.long().unbind(-1))] = values
    return whole


@public("sparse_tensor_to_dense", "sparse.to_dense")
def sparse_tensor_to_dense(
    sp_input: SparseTensor, default_value: Any = 0, validate_indices: bool = True, name: str | None = None
) -> Tensor:
    """The whole tensor, with ``default_value`` where there is no value."""
    sparse, default = as_sparse(sp_input, "sparse_tensor_to_dense"), 0 if default_value is None else default_value
    return node(
        "SparseToDense", lambda i, v, s: scattered(i, v, s.tolist(), default), list(sparse), sparse.dtype,
        dense_sizes(sparse), name, gradient=False,
    )  # fmt: skip


@public("sparse_to_dense")
def sparse_to_dense(
    sparse_indices: Any, output_shape: Any, sparse_values: Any, default_value: Any = 0, validate_indices: bool = True,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """A tensor with values at places [N, R], or [N] of a vector."""
    places, values = convert_to_tensor(sparse_indices), convert_to_tensor(sparse_values)
    target = whole_numbers(output_shape)
    known = known_value(target)

    def compute(i: torch.Tensor, v: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        rows = i.reshape(-1, 1) if i.ndim < 2 else i
        return scattered(rows, v.expand(len(rows)), s.tolist(), default_value)

    sizes = None if known is None else tuple(int(size) for size in known.ravel())
    return node("SparseToDense", compute, [places, values, target], values.dtype, sizes, name, gradient=False)


@public("edit_distance")
def edit_distance(
    hypothesis: SparseTensor, truth: SparseTensor, normalize: bool = True, name: str = "edit_distance"
) -> Tensor:
    """How many insertions, deletions and substitutions make each hypothesis the truth; over the truth's length.

    Without ``normalize`` it is not divided. An empty truth has the distance infinity, and 0 if both are empty.
    """

    def compute(
        i: torch.Tensor, v: torch.Tensor, s: torch.Tensor, j: torch.Tensor, w: torch.Tensor, t: torch.Tensor
    ) -> Any:
        sizes = [max(a, b) for a, b in zip(s.tolist()[:-1], t.tolist()[:-1], strict=True)]
        distances = torch.zeros(sizes)
        guesses, truths = _sequences(i, v), _sequences(j, w)
        for place in {tuple(each) for each in (*guesses, *truths)}:
            guess, right = guesses.get(place, []), truths.get(place, [])
            distance = float(_levenshtein(guess, right))
            if normalize:
                distance = distance / len(right) if right else (float("inf") if guess else 0.0)
            distances[place] = distance
        return distances

    guessed, right = as_sparse(hypothesis, "edit_distance"), as_sparse(truth, "edit_distance")
    sizes = dense_sizes(right)
    return node(
        "EditDistance", compute, [*guessed, *right], float32, None if sizes is None else sizes[:-1], name,
        gradient=False,
    )  # fmt: skip


def _sequences(indices: torch.Tensor, values: torch.Tensor) -> dict[tuple[int, ...], list[Any]]:
    found: dict[tuple[int, ...], list[Any]] = {}
    for place, value in zip(indices.tolist(), values.tolist(), strict=True):
        found.setdefault(tuple(place[:-1]), []).append(value)
    return found


def _levenshtein(guess: list[Any], right: list[Any]) -> int:
    row = list(range(len(right) + 1))
    for number, one in enumerate(guess, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(right, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (one != other))
    return row[-1]
