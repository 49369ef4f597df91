"""``tf.data``: data sets of arrays, in memory, and their iterators."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
import torch

from holdfast.tf1.graph.convert import array_of, convert_to_tensor
from holdfast.tf1.graph.dtypes import DType, as_dtype, string
from holdfast.tf1.graph.failures import FailedPreconditionError, OutOfRangeError
from holdfast.tf1.graph.graph import action, get_default_graph, nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.nested import flatten, pack_sequence_as
from holdfast.tf1.graph.shapes import Sizes
from holdfast.tf1.graph.subgraph import Subgraph
from holdfast.tf1.graph.tensors import Operation, Tensor

Row = tuple[Any, ...]
Source = Callable[[Any, tuple[Any, ...]], Iterator[Row]]
"""Takes the plan of a run and the values of the tensors that the data set reads; goes through the rows."""


@public("data.Dataset", "contrib.data.Dataset")
class Dataset:
    """Rows of tensors, gone through from the first to the last.

    Args:
        source: Goes through the rows.
        structure: The structure of a row.
        kinds: The dtype and sizes of each part of a row.
        inputs: The tensors that the source reads.
    """

    def __init__(self, source: Source, structure: Any, kinds: list[tuple[DType, Sizes]], inputs: list[Tensor]) -> None:
        self._source, self._structure, self._kinds, self._inputs = source, structure, kinds, inputs

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """The rows of tensors, which all have as many.

        Example:
            >>> from holdfast.tf1 import graph as tf
            >>> with tf.Graph().as_default(), tf.Session() as session:
            ...     row = tf.data.Dataset.from_tensor_slices([1, 2]).make_one_shot_iterator().get_next()
            ...     session.run(row), session.run(row)
            (np.int32(1), np.int32(2))
        """
        tensors = _as_tensors(tensors)
        parts = flatten(tensors)
        kinds = [(each.dtype, None if each.sizes is None else each.sizes[1:]) for each in parts]
        return Dataset(lambda plan, values: zip(*values, strict=True), tensors, kinds, parts)

    @staticmethod
    def from_tensors(tensors: Any) -> Dataset:
        """One row: the tensors themselves."""
        parts = [convert_to_tensor(each) for each in flatten(tensors)]
        return Dataset(
            lambda plan, values: iter([values]), tensors, [(each.dtype, each.sizes) for each in parts], parts
        )

    @staticmethod
    def range(*args: int) -> Dataset:
        """The numbers of Python's ``range``."""
        return Dataset.from_tensor_slices(np.arange(*args, dtype=np.int64))

    @staticmethod
    def from_generator(
        generator: Callable[..., Any], output_types: Any, output_shapes: Any = None, args: Any = None
    ) -> Dataset:
        """What a Python function yields."""
        kinds = [as_dtype(each) for each in flatten(output_types)]

        def source(plan: Any, values: tuple[Any, ...]) -> Iterator[Row]:
            for row in generator(*(args or ())):
                parts = list(row) if len(kinds) > 1 else [row]
                yield tuple(_value(part, kind) for part, kind in zip(parts, kinds, strict=True))

        return Dataset(source, output_types, [(kind, None) for kind in kinds], [])

    @staticmethod
    def zip(datasets: Any) -> Dataset:
        """Rows of several data sets side by side, as many as the shortest has."""
        parts = flatten(datasets)
        counts = [len(part._inputs) for part in parts]

        def source(plan: Any, values: tuple[Any, ...]) -> Iterator[Row]:
            rest, sources = iter(values), []
            for part, count in zip(parts, counts, strict=True):
                sources.append(part._source(plan, tuple(islice(rest, count))))
            return (tuple(chain.from_iterable(rows)) for rows in zip(*sources, strict=False))

        structure = pack_sequence_as(datasets, [part._structure for part in parts])
        kinds = [kind for part in parts for kind in part._kinds]
        return Dataset(source, structure, kinds, [tensor for part in parts for tensor in part._inputs])

    @property
    def output_types(self) -> Any:
        """The dtypes of a row, in its structure."""
        return pack_sequence_as(self._structure, [kind for kind, _ in self._kinds])

    def _followed(self, change: Callable[[Iterator[Row]], Iterator[Row]], kinds: Any = None) -> Dataset:
        source = self._source
        return Dataset(
            lambda plan, values: change(source(plan, values)), self._structure, kinds or self._kinds, self._inputs
        )

    def batch(self, batch_size: Any, drop_remainder: bool = False) -> Dataset:
        """Batches of rows; the last may have fewer, unless ``drop_remainder``."""
        count = int(batch_size)

        def batched(rows: Iterator[Row]) -> Iterator[Row]:
            held: list[Row] = []
            for row in rows:
                held.append(row)
                if len(held) == count:
                    yield _joined(held)
                    held = []
            if held and not drop_remainder:
                yield _joined(held)

        first = count if drop_remainder else None
        return self._followed(batched, [(kind, None if s is None else (first, *s)) for kind, s in self._kinds])

    def shuffle(self, buffer_size: Any, seed: int | None = None, reshuffle_each_iteration: Any = None) -> Dataset:
        """The rows in a random order: each is drawn from the next ``buffer_size``."""
        size, graph = int(buffer_size), get_default_graph()
        first = None if seed is None and graph.seed is None else f"{graph.seed} {seed}"
        draw = random.Random(first) if first is not None else random.Random(torch.initial_seed())

        def shuffled(rows: Iterator[Row]) -> Iterator[Row]:
            held: list[Row] = []
            for row in rows:
                held.append(row)
                if len(held) >= size:
                    yield held.pop(draw.randrange(len(held)))
            draw.shuffle(held)
            yield from held

        return self._followed(shuffled)

    def repeat(self, count: Any = None) -> Dataset:
        """The rows ``count`` times; without end for None or -1."""
        times = -1 if count is None else int(count)
        source = self._source

        def repeated(plan: Any, values: tuple[Any, ...]) -> Iterator[Row]:
            left = times
            while left:
                some = False
                for row in source(plan, values):
                    some = True
                    yield row
                if not some:
                    return
                left -= 1

        return Dataset(repeated, self._structure, self._kinds, self._inputs)

    def take(self, count: Any) -> Dataset:
        """The first ``count`` rows."""
        return self._followed(lambda rows: (row for _, row in zip(range(int(count)), rows, strict=False)))

    def skip(self, count: Any) -> Dataset:
        """All but the first ``count`` rows."""
        return self._followed(lambda rows: (row for number, row in enumerate(rows) if number >= int(count)))

    def prefetch(self, buffer_size: Any = None) -> Dataset:
        """The data set itself: its rows are in memory."""
        return self

    cache = prefetch

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None) -> Dataset:
        """The results of a function of tensors for each row."""

        def called(*flat: Tensor) -> Any:
            packed = pack_sequence_as(self._structure, flat)
            made = map_func(*packed) if isinstance(packed, tuple) else map_func(packed)
            return pack_sequence_as(made, [convert_to_tensor(leaf) for leaf in flatten(made)])

        body = Subgraph(called, self._kinds)
        source, count = self._source, len(self._inputs)

        def mapped(plan: Any, values: tuple[Any, ...]) -> Iterator[Row]:
            function = body.compiled(plan)
            for row in source(plan, values[:count]):
                with torch.no_grad():
                    yield tuple(function(*row, *values[count:]))

        kinds = [(out.dtype, out.sizes) for out in body.outputs]
        return Dataset(mapped, body.result, kinds, [*self._inputs, *body.captured])

    def make_one_shot_iterator(self) -> DatasetIterator:
        """An iterator that begins by itself, once in each session."""
        return DatasetIterator(self, by_itself=True)

    def make_initializable_iterator(self, shared_name: str | None = None) -> DatasetIterator:
        """An iterator that begins whenever its ``initializer`` is run."""
        return DatasetIterator(self, by_itself=False)


@public("data.Iterator")
class DatasetIterator:
    """A place in a data set, one for each session.

    Attributes:
        initializer: An operation that goes back to the first row.
    """

    def __init__(self, dataset: Dataset, by_itself: bool) -> None:
        self._dataset, self._by_itself = dataset, by_itself
        self.initializer: Operation | None = None
        if not by_itself:
            self.initializer = action("MakeIterator", None, dataset._inputs, prepare=self._prepare_start)

    @property
    def output_types(self) -> Any:
        """The dtypes of a row, in its structure."""
        return self._dataset.output_types

    def _prepare_start(self, plan: Any) -> Callable[..., None]:
        def start(*values: Any) -> None:
            plan.session.generators[self] = self._dataset._source(plan, values)

        return start

    def get_next(self, name: str | None = None) -> Any:
        """The next row, in the structure of the data set; all of its tensors are of one row in a run.

        Raises:
            OutOfRangeError: In a run: there is no further row.
        """
        inputs = self._dataset._inputs if self._by_itself else []

        def prepare(plan: Any) -> Callable[..., Any]:
            places = plan.session.generators

            def following(*values: Any) -> Row:
                if self not in places:
                    if not self._by_itself:
                        raise FailedPreconditionError(
                            None, outputs[0].op, "The iterator was not initialized; run its initializer first."
                        )
                    places[self] = self._dataset._source(plan, values)
                row = next(places[self], None)
                if row is None:
                    raise OutOfRangeError(None, outputs[0].op, "End of sequence: the data set has no further row.")
                return row  # type: ignore[no-any-return]

            return following

        outputs = nodes(
            "IteratorGetNext", None, inputs, self._dataset._kinds, name or "IteratorGetNext", prepare=prepare,
            gradient=False,
        )  # fmt: skip
        return pack_sequence_as(self._dataset._structure, outputs)


def _as_tensors(value: Any) -> Any:
    """A structure of tuples and dicts with tensors; a list is one tensor."""
    if isinstance(value, dict):
        return type(value)((key, _as_tensors(part)) for key, part in value.items())
    if isinstance(value, tuple):
        parts = [_as_tensors(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return convert_to_tensor(value)


def _value(part: Any, kind: DType) -> Any:
    array = array_of(part, kind)
    return array if kind == string else torch.from_numpy(np.array(array, dtype=kind.as_numpy_dtype))


def _joined(rows: list[Row]) -> Row:
    return tuple(
        torch.stack(column) if isinstance(column[0], torch.Tensor) else np.array(column, dtype=np.object_)
        for column in zip(*rows, strict=True)
    )
