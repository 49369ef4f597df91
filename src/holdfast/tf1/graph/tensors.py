"""Operations that are recorded in a graph, and the tensors between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.tf1.graph.dtypes import DType
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.program_lines import line_of_the_program
from holdfast.tf1.graph.recorded_names import graph_method
from holdfast.tf1.graph.recorded_names import method as recorded
from holdfast.tf1.graph.recording import plain
from holdfast.tf1.graph.shapes import Sizes, TensorShape, merged, sizes_of, written

if TYPE_CHECKING:
    from holdfast.tf1.graph.graph import Graph

Compute = Callable[..., Any]
"""Takes torch's tensors, one for each input of an operation, and returns its output, or a tuple of several."""

OPERATORS: dict[str, Callable[..., Any]] = {}
"""What ``a + b``, ``a[i]`` and their like do, by the names of Python's methods; filled by :mod:`arithmetic`."""


@public("Operation")
class Operation:
    """A node of a graph.

    Attributes:
        type: What it does, such as ``MatMul``.
        name: Its unique name in the graph.
        inputs: The tensors that it reads.
        outputs: The tensors that it makes.
        control_inputs: Operations that must run before it.
        compute: What it does in a run. None for a placeholder.
        prepare: Makes ``compute`` for each plan, from the plan; for what belongs to a session.
        several: Whether ``compute`` returns a tuple of outputs, even of one.
        effect: Whether it changes something, so that it runs after all that does not depend on it.
        gradient: Whether gradients flow through it.
        settings: What else the parts of this package need to know of it.
        line: Where the program made it, such as ``line 12 of program.py``.
    """

    def __init__(self, graph: Graph, type_: str, name: str, inputs: Sequence[Tensor], compute: Compute | None) -> None:
        self.graph, self.type, self.name = graph, type_, name
        self.inputs, self.compute = tuple(inputs), compute
        self.outputs: list[Tensor] = []
        self.control_inputs: list[Operation] = list(graph.controls)
        self.prepare: Callable[[Any], Compute] | None = None
        self.several, self.effect, self.gradient = False, False, True
        self.settings: dict[str, Any] = {}
        self.line = line_of_the_program()
        self.id = graph.add(self)

    @property
    def device(self) -> str:
        """Always empty: the kernels choose."""
        return ""

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        """Runs the operation in a session; None for the default one."""
        self.graph.session(session).run(self, feed_dict)

    def __repr__(self) -> str:
        return f"<tf.Operation {self.name!r} type={self.type}>"


def _operator(name: str) -> Callable[..., Any]:
    def method(*args: Any) -> Any:
        return OPERATORS[name](*args)

    method.__name__ = name
    return recorded(method)


@public("Tensor")
class Tensor:
    """A value that an operation makes in a run.

    Tensors are compared and hashed by identity, so they are keys of a ``feed_dict``.
    """

    def __init__(self, op: Operation, index: int, dtype: DType, sizes: Sizes) -> None:
        self.op, self.value_index, self.dtype, self.sizes = op, index, dtype, sizes

    @property
    def graph(self) -> Graph:
        """The graph that it is in."""
        return self.op.graph

    @property
    def name(self) -> str:
        """The operation's name and the number of the output."""
        return f"{self.op.name}:{self.value_index}"

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return TensorShape(self.sizes)

    @property
    def device(self) -> str:
        """Always empty."""
        return ""

    def get_shape(self) -> TensorShape:
        """The static shape."""
        return self.shape

    @graph_method
    def set_shape(self, shape: Any) -> None:
        """Adds what the program knows of the shape."""
        self.sizes = merged(self.sizes, sizes_of(shape))
        self.graph.changes += 1

    def consumers(self) -> list[Operation]:
        """The operations that read it."""
        return [op for op in self.graph.operations if any(self is tensor for tensor in op.inputs)]

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """Its value in a run of a session; None for the default one."""
        return self.graph.session(session).run(self, feed_dict)

    __add__, __radd__ = _operator("__add__"), _operator("__radd__")
    __sub__, __rsub__ = _operator("__sub__"), _operator("__rsub__")
    __mul__, __rmul__ = _operator("__mul__"), _operator("__rmul__")
    __div__, __rdiv__ = _operator("__div__"), _operator("__rdiv__")
    __truediv__, __rtruediv__ = _operator("__truediv__"), _operator("__rtruediv__")
    __floordiv__, __rfloordiv__ = _operator("__floordiv__"), _operator("__rfloordiv__")
    __mod__, __rmod__ = _operator("__mod__"), _operator("__rmod__")
    __pow__, __rpow__ = _operator("__pow__"), _operator("__rpow__")
    __matmul__, __rmatmul__ = _operator("__matmul__"), _operator("__rmatmul__")
    __and__, __rand__ = _operator("__and__"), _operator("__rand__")
    __or__, __ror__ = _operator("__or__"), _operator("__ror__")
    __xor__, __rxor__ = _operator("__xor__"), _operator("__rxor__")
    __lt__, __le__ = _operator("__lt__"), _operator("__le__")
    __gt__, __ge__ = _operator("__gt__"), _operator("__ge__")
    __neg__, __abs__ = _operator("__neg__"), _operator("__abs__")
    __invert__, __getitem__ = _operator("__invert__"), _operator("__getitem__")

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __bool__(self) -> bool:
        raise TypeError(
            f"Tensor {self.name} was used as a Python bool; its value is not known before a run. Use tf.cond, or "
            "compare with None by `is None`."
        )

    def __iter__(self) -> Iterator[Tensor]:
        raise TypeError(f"Tensor {self.name} was iterated over; expected tf.unstack(tensor, num, axis).")

    def __len__(self) -> int:
        raise TypeError(f"len() of tensor {self.name}; expected int(tensor.get_shape()[0]) or tf.shape(tensor)[0].")

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError(f"Tensor {self.name} was passed to NumPy; expected its value: session.run(tensor).")

    def __repr__(self) -> str:
        return f"<tf.Tensor {self.name!r} shape={written(self.sizes)} dtype={self.dtype.name}>"


plain(Operation, Tensor)
