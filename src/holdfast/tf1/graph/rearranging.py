"""Tensors moved, padded, masked and repeated: what changes where values stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from holdfast.tf1.graph.arrays import identity, shape, stack
from holdfast.tf1.graph.convert import convert_to_tensor, known_sizes, known_value, same_kind, whole_numbers
from holdfast.tf1.graph.dtypes import as_dtype, boolean, int32
from holdfast.tf1.graph.graph import node, nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.shapes import Sizes
from holdfast.tf1.graph.tensors import Tensor


@public("pad")
def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", name: str | None = None, constant_values: Any = 0
) -> Tensor:
    """A tensor with values before and after along each dimension.

    Args:
        tensor: The tensor.
        paddings: [dimensions, 2]: how many before, how many after.
        mode: ``CONSTANT``; ``REFLECT``, without the value at the edge; ``SYMMETRIC``, with it.
        constant_values: The value, for ``CONSTANT``.
        name: Of the operation.
    """
    value, known, kind = convert_to_tensor(tensor), known_value(paddings), mode.upper()
    if kind not in ("CONSTANT", "REFLECT", "SYMMETRIC"):
        raise ValueError(f"pad got mode={mode!r}; expected CONSTANT, REFLECT or SYMMETRIC.")
    sizes: Sizes = None
    if known is not None:
        rows = [(int(a), int(b)) for a, b in known]
        if value.sizes is not None:
            if len(rows) != len(value.sizes):
                raise ValueError(
                    f"pad got {len(rows)} rows of paddings for shape {value.shape}; expected one for each."
                )
            sizes = tuple(None if s is None else s + a + b for s, (a, b) in zip(value.sizes, rows, strict=True))
        return node("Pad", lambda x: _padded(x, rows, kind, constant_values), [value], value.dtype, sizes, name)
    return node(
        "Pad", lambda x, p: _padded(x, p.tolist(), kind, constant_values), [value, whole_numbers(paddings)],
        value.dtype, None if value.sizes is None else (None,) * len(value.sizes), name,
    )  # fmt: skip


def _padded(x: torch.Tensor, rows: Sequence[Sequence[int]], mode: str, constant: Any) -> torch.Tensor:
    if mode == "CONSTANT":
        return F.pad(x, [count for row in reversed(rows) for count in row], value=constant)
    edge = 1 if mode == "REFLECT" else 0
    for axis, (before, after) in enumerate(rows):
        size = x.shape[axis]
        if max(before, after) > size - edge:
            raise ValueError(
                f"pad of size {size} by {before} and {after} in mode {mode}; expected at most {size - edge}"
            )
        places = [
            *range(before - 1 + edge, edge - 1, -1),
            *range(size),
            *range(size - 1 - edge, size - 1 - edge - after, -1),
        ]
        x = x.index_select(axis, torch.tensor(places))
    return x


@public("roll", "manip.roll")
def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """Values moved along axes; those that leave at one end come back at the other."""
    value = convert_to_tensor(input)
    axes = axis if isinstance(axis, int) else [int(each) for each in axis]
    return node(
        "Roll", lambda x, s: x.roll(s.tolist() if s.ndim else int(s), axes), [value, whole_numbers(shift)], value.dtype,
        value.sizes, name,
    )  # fmt: skip


@public("reverse_sequence")
def reverse_sequence(
    input: Any, seq_lengths: Any, seq_axis: Any = None, batch_axis: Any = None, name: str | None = None,
    seq_dim: Any = None, batch_dim: Any = None,
) -> Tensor:  # fmt: skip
    """The first ``seq_lengths[b]`` steps of each row b backwards; the others stay where they are."""
    value, lengths = convert_to_tensor(input), convert_to_tensor(seq_lengths)
    time = int(seq_axis if seq_dim is None else seq_dim)
    batch = int((batch_axis or 0) if batch_dim is None else batch_dim)

    def compute(x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        rows = x.movedim((batch, time), (0, 1))
        steps = torch.arange(rows.shape[1])
        counts = counts.reshape(-1, 1)
        places = torch.where(steps < counts, counts - 1 - steps, steps)
        return rows[torch.arange(len(rows)).unsqueeze(1), places].movedim((0, 1), (batch, time))

    return node("ReverseSequence", compute, [value, lengths], value.dtype, value.sizes, name)


@public("broadcast_to")
def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """A tensor repeated until it has the shape."""
    value = convert_to_tensor(input)
    return node(
        "BroadcastTo", lambda x, to: x.expand(to.tolist()), [value, whole_numbers(shape)], value.dtype,
        known_sizes(shape), name,
    )  # fmt: skip


@public("sequence_mask")
def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = boolean, name: str | None = None) -> Tensor:
    """For each length, ``maxlen`` values (the longest by default) of which the first ``length`` are true."""
    counts, kind = convert_to_tensor(lengths), as_dtype(dtype)
    known = None if maxlen is None else known_value(maxlen)
    sizes = None if counts.sizes is None else (*counts.sizes, None if known is None else int(known))

    def compute(n: torch.Tensor, most: Any = None) -> torch.Tensor:
        longest = int(n.max()) if most is None else int(most)
        return (torch.arange(longest) < n.unsqueeze(-1)).to(kind.torch)

    inputs = [counts] if maxlen is None else [counts, convert_to_tensor(maxlen)]
    return node("SequenceMask", compute, inputs, kind, sizes, name or "SequenceMask", gradient=False)


@public("meshgrid")
def meshgrid(*args: Any, indexing: str = "xy", name: str | None = None) -> list[Tensor]:
    """The coordinates of a grid: for each vector a tensor with its values along one dimension."""
    vectors = same_kind(*args)
    counts = [product_of(vector) for vector in vectors]
    if indexing == "xy" and len(counts) > 1:
        counts[:2] = counts[1::-1]
    return nodes(
        "Meshgrid", lambda *xs: torch.meshgrid(*(x.reshape(-1) for x in xs), indexing=indexing), vectors,
        [(vectors[0].dtype, tuple(counts))] * len(vectors), name,
    )  # fmt: skip


def product_of(tensor: Tensor) -> int | None:
    """The number of values of a tensor, if it is known."""
    return tensor.shape.num_elements()


@public("shape_n")
def shape_n(input: Any, out_type: Any = int32, name: str | None = None) -> list[Tensor]:
    """The shapes of several tensors."""
    return [shape(each, out_type=out_type) for each in input]


@public("identity_n")
def identity_n(input: Any, name: str | None = None) -> list[Tensor]:
    """The same values."""
    return [identity(each) for each in input]


@public("parallel_stack")
def parallel_stack(values: Any, name: str | None = None) -> Tensor:
    """``tf.stack`` along the first axis."""
    return stack(values, name=name)


@public("ensure_shape")
def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same value, of which a shape is known."""
    value = identity(x, name)
    value.set_shape(shape)
    return value


@public("invert_permutation")
def invert_permutation(x: Any, name: str | None = None) -> Tensor:
    """The places of 0, 1, 2, ... in a permutation."""
    value = convert_to_tensor(x)
    return node(
        "InvertPermutation", lambda p: torch.argsort(p).to(p.dtype), [value], value.dtype, value.sizes, name,
        gradient=False,
    )  # fmt: skip


@public("space_to_depth")
def space_to_depth(input: Any, block_size: int, name: str | None = None) -> Tensor:
    """Blocks of an image [B, H, W, C] as channels."""
    value, n = convert_to_tensor(input), int(block_size)

    def compute(x: torch.Tensor) -> torch.Tensor:
        b, h, w, c = x.shape
        return x.reshape(b, h // n, n, w // n, n, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h // n, w // n, n * n * c)

    b, h, w, c = value.sizes or (None,) * 4
    sizes = (b, h and h // n, w and w // n, c and c * n * n)
    return node("SpaceToDepth", compute, [value], value.dtype, sizes, name)
