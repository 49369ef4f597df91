"""Sessions: they hold the values of variables, and run a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from holdfast.tf1.graph.convert import array_of
from holdfast.tf1.graph.dtypes import string
from holdfast.tf1.graph.failures import FailedPreconditionError
from holdfast.tf1.graph.graph import Graph, get_default_graph, session_stack
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.nested import flatten, is_structure
from holdfast.tf1.graph.plan import Plan
from holdfast.tf1.graph.shapes import written
from holdfast.tf1.graph.tensors import Operation, Tensor


@public("Session")
class Session:
    """Runs the operations of a graph.

    Args:
        target: Accepted; everything runs in this process.
        graph: The graph; None for the default one.
        config: Accepted.

    Example:
        >>> from holdfast.tf1 import graph as tf
        >>> with tf.Graph().as_default(), tf.Session() as session:
        ...     x = tf.placeholder(tf.float32, [None])
        ...     session.run(tf.reduce_sum(x * 2), feed_dict={x: [1, 2, 3]})
        np.float32(12.0)
    """

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        self.graph = graph or get_default_graph()
        self.values: dict[Any, torch.Tensor] = {}  # of the variables, while another session is active
        self.initialized: set[Any] = set()
        self.generators: dict[Any, torch.Generator] = {}
        self._plans: dict[Any, Plan] = {}
        self._closed = False
        self._contexts: list[Any] = []

    @property
    def sess_str(self) -> str:
        """Empty, as for every session in this process."""
        return ""

    @property
    def graph_def(self) -> Graph:
        """What programs before TensorFlow 1.0 give to a SummaryWriter: here, the graph itself."""
        return self.graph

    def run(self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None) -> Any:
        """The values of ``fetches``, in the same structure.

        Args:
            fetches: A tensor, an operation (whose value is None), a name, or a list, tuple or dict of these.
            feed_dict: Values by tensors. A structure of tensors, such as a state, may be a key with values in the
                same structure.
            options: Accepted.
            run_metadata: Accepted.

        Raises:
            InvalidArgumentError: A placeholder has no value, or an operation failed.
            FailedPreconditionError: A variable has no value.
            TypeError: A fetch or a feed is not of the graph.
            ValueError: A value does not have the shape of its tensor.
        """
        if self._closed:
            raise RuntimeError("The session is closed; expected an open one. Make another tf.Session().")
        with self.graph.lock:
            self._activate()
            feeds = self._feeds(feed_dict) if feed_dict else {}
            leaves = [fetches] if not is_structure(fetches) else flatten(fetches)
            key = (*leaves, None, *feeds) if feeds else tuple(leaves)
            plan = self._plans.get(key)
            if plan is None:
                plan = self._plans[key] = self._plan(leaves, feeds)
            self._check_initialized(plan)
            results = [_result(value) for value in plan(feeds.values())]
        return _structured(fetches, iter(results))

    def _plan(self, leaves: list[Any], feeds: dict[Tensor, Any]) -> Plan:
        fetched: list[Any] = []
        for leaf in leaves:
            parts = getattr(leaf, "fetched", None)
            fetched += parts if parts is not None else [self.graph.as_graph_element(leaf)]
        return Plan(self, fetched, list(feeds))

    def _feeds(self, feed_dict: Any) -> dict[Tensor, Any]:
        if not isinstance(feed_dict, dict):
            raise TypeError(f"feed_dict is a {type(feed_dict).__name__}; expected a dict of tensors and values.")
        feeds: dict[Tensor, Any] = {}
        for key, value in feed_dict.items():
            if isinstance(key, Tensor):
                feeds[key] = _fed(key, value)
                continue
            if not is_structure(key):
                tensor = self.graph.as_graph_element(key, allow_operation=False)
                feeds[tensor] = _fed(tensor, value)
                continue
            tensors, values = flatten(key), _flat_values(key, value)
            for tensor, part in zip(tensors, values, strict=True):
                feeds[self.graph.as_graph_element(tensor, allow_operation=False)] = _fed(tensor, part)
        return feeds

    def _check_initialized(self, plan: Plan) -> None:
        if plan.variables <= self.initialized:
            return
        missing = sorted(variable.op.name for variable in plan.variables - self.initialized)
        raise FailedPreconditionError(
            None,
            None,
            f"Variable {', '.join(missing[:3])}{' and others' if len(missing) > 3 else ''} has no value in this "
            "session; expected one. Run tf.global_variables_initializer(), made after all variables, or restore a "
            "checkpoint.",
        )

    def _activate(self) -> None:
        """Gives the graph's variables the values of this session."""
        before = self.graph.active
        if before is self:
            return
        for variable in self.graph.variables:
            if before is not None:
                before.values[variable] = variable.parameter.data
            own = self.values.get(variable)
            if own is None:
                own = torch.empty_like(variable.parameter.data)
            variable.parameter.data = own
        self.graph.active = self

    def close(self) -> None:
        """Gives back the memory of the session's values."""
        self._closed = True
        self._plans.clear()
        if self.graph.active is not self:
            self.values.clear()

    def as_default(self) -> Session:
        """The session as a context in which ``eval`` and ``run`` use it; leaving it does not close the session."""
        return _Default(self)  # type: ignore[return-value]

    def __enter__(self) -> Session:
        context = self.graph.as_default()
        context.__enter__()
        self._contexts.append(context)
        session_stack().append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        session_stack().remove(self)
        self._contexts.pop().__exit__(*error)
        self.close()

    def list_devices(self) -> list[Any]:
        """Empty: the kernels choose the device."""
        return []


class _Default:
    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Session:
        self._context = self._session.graph.as_default()
        self._context.__enter__()
        session_stack().append(self._session)
        return self._session

    def __exit__(self, *error: Any) -> None:
        session_stack().remove(self._session)
        self._context.__exit__(*error)


@public("InteractiveSession")
class InteractiveSession(Session):
    """A session that is the default one from the start, until it is closed."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        session_stack().append(self)

    def close(self) -> None:
        """Closes the session, which is the default one no longer."""
        if self in session_stack():
            session_stack().remove(self)
        super().close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


@public("get_default_session")
def get_default_session() -> Session | None:
    """The session of the innermost ``with`` block; None outside."""
    return session_stack()[-1] if session_stack() else None


def _flat_values(key: Any, value: Any) -> list[Any]:
    """The values for a structure of tensors: of the same form, or an array whose first sizes are those of the form."""
    if not is_structure(key):
        return [value]
    parts = [value[name] for name in sorted(value)] if isinstance(value, dict) else list(value)
    keys = [key[name] for name in sorted(key)] if isinstance(key, dict) else list(key)
    if len(parts) != len(keys):
        raise ValueError(
            f"A feed is a structure of {len(keys)} tensors and its value has {len(parts)} parts; expected as many."
        )
    return [leaf for one, part in zip(keys, parts, strict=True) for leaf in _flat_values(one, part)]


def _fed(tensor: Tensor, value: Any) -> Any:
    """A value for a tensor, as torch's tensor."""
    if isinstance(value, Tensor | Operation):
        raise TypeError(
            f"The value for {tensor.name} is {value!r}; expected an array or a number. Run the tensor first, and feed "
            "what the run returns."
        )
    dtype = tensor.dtype
    if isinstance(value, torch.Tensor):
        fed = value.detach().to(dtype.torch)
    elif dtype == string:
        return np.asarray(value, dtype=np.object_)
    elif type(value) is np.ndarray and value.dtype == dtype.as_numpy_dtype and value.flags.writeable:
        fed = torch.from_numpy(value if min(value.strides, default=0) >= 0 else value.copy())
    else:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
        if array.dtype.kind not in "biuf":
            array = array_of(value, dtype)
        if dtype.is_integer and array.dtype.kind == "f" and not np.array_equal(array, np.trunc(array)):
            raise TypeError(
                f"The value for {tensor.name} has fractions; expected {dtype.name}. Feed whole numbers, or make the "
                "placeholder tf.float32."
            )
        fed = torch.from_numpy(np.array(array, dtype=dtype.as_numpy_dtype, order="C"))
    sizes = tensor.sizes
    if sizes is not None and (
        len(sizes) != fed.ndim
        or any(size is not None and size != got for size, got in zip(sizes, fed.shape, strict=True))
    ):
        raise ValueError(
            f"The value for {tensor.name} has shape {tuple(fed.shape)}; expected {written(sizes)}. Reshape it, or "
            "change the placeholder."
        )
    return fed


def _result(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy()
        return array[()] if array.ndim == 0 else array.copy()  # its memory may be a variable's or a feed's
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value[()]
    return value


def _structured(fetches: Any, results: Any) -> Any:
    """The results in the structure of the fetches; a fetch of several tensors puts its own together."""
    if isinstance(fetches, dict):
        made = {key: _structured(fetches[key], results) for key in _order(fetches)}
        return type(fetches)((key, made[key]) for key in fetches)
    if isinstance(fetches, list | tuple) and not hasattr(fetches, "fetched"):
        parts = [_structured(part, results) for part in fetches]
        return type(fetches)(*parts) if hasattr(fetches, "_fields") else type(fetches)(parts)
    several = getattr(fetches, "fetched", None)
    if several is None:
        return next(results)
    return fetches.together([next(results) for _ in several])


def _order(fetches: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(fetches)
    except TypeError:
        return list(fetches)
