"""The names under which a TensorFlow 1 program finds things: ``tf.nn.relu`` and some hundreds more.

Each function is registered where it is written, by :func:`public`. A name that is not registered is an
``AttributeError`` that names the nearest ones; a name that Holdfast does not run is refused when it is used.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from holdfast.errors import ConversionError
from holdfast.tf1.graph.program_lines import line_of_the_program
from holdfast.tf1.graph.recorded_names import registered

T = TypeVar("T")

_NAMES: dict[str, Any] = {}
_REFUSED: dict[str, str] = {}
_MODULES: dict[str, Namespace] = {}

# Places that are one: what comes after the first is looked up in the second.
_SAME: dict[str, str] = {
    "nn.rnn_cell": "contrib.rnn",
    "python.ops.rnn_cell": "contrib.rnn",
    "python.ops.rnn_cell_impl": "contrib.rnn",
    "contrib.rnn.python.ops.core_rnn_cell": "contrib.rnn",
    "contrib.rnn.python.ops.core_rnn_cell_impl": "contrib.rnn",
    "contrib.rnn.core_rnn_cell": "contrib.rnn",
    "contrib.rnn.python.ops.rnn_cell": "contrib.rnn",
    "contrib.rnn.python.ops.rnn": "contrib.rnn",
    "models.rnn.rnn_cell": "contrib.rnn",
    "models.rnn.rnn": "nn",
    "models.rnn.seq2seq": "contrib.legacy_seq2seq",
    "nn.seq2seq": "contrib.legacy_seq2seq",
    "python.ops.seq2seq": "contrib.legacy_seq2seq",
    "contrib.legacy_seq2seq.python.ops.seq2seq": "contrib.legacy_seq2seq",
    "python.ops.rnn": "nn",
    "python.ops.nn": "nn",
    "python.ops.nn_ops": "nn",
    "python.ops.math_ops": "",
    "python.ops.array_ops": "",
    "python.ops.random_ops": "",
    "python.ops.init_ops": "",
    "python.ops.control_flow_ops": "",
    "python.ops.embedding_ops": "nn",
    "python.ops.variable_scope": "",
    "python.ops.variables": "",
    "python.framework.dtypes": "",
    "python.framework.ops": "",
    "python.framework.constant_op": "",
    "python.platform.gfile": "gfile",
    "python.training": "train",
    "app.flags": "flags",
    "python.platform.flags": "flags",
    "compat.v1": "",
    "math": "",
    "random": "",
    "initializers": "",
    "examples.tutorials.mnist.input_data": "contrib.learn.python.learn.datasets.mnist",
    "contrib.layers.python.layers": "contrib.layers",
    "contrib.slim": "contrib.layers",
    "contrib.learn.datasets.mnist": "contrib.learn.python.learn.datasets.mnist",
    "contrib.learn.python.learn.preprocessing": "contrib.learn.preprocessing",
    "contrib.learn.python.learn.preprocessing.text": "contrib.learn.preprocessing",
    "python.keras": "keras",
    "python.layers": "layers",
    "python.layers.core": "layers",
    "python.platform.app": "app",
    "python.platform.tf_logging": "logging",
    "python.framework.errors": "errors",
    "python.framework.errors_impl": "errors",
    "python.framework.random_seed": "",
    "python.framework.tensor_shape": "",
    "python.ops.state_ops": "",
    "python.ops.nn_impl": "nn",
    "python.training.training": "train",
    "python.summary.summary": "summary",
    "python.util": "",
    "python.pywrap_tensorflow": "train",
    "python.client.session": "",
    "python.ops.gen_nn_ops": "nn",
    "python.ops.ctc_ops": "nn",
    "python.ops.candidate_sampling_ops": "nn",
}
_SAME |= dict.fromkeys(
    (
        f"python.ops.{name}"
        for name in (
            "clip_ops", "check_ops", "confusion_matrix", "data_flow_ops", "functional_ops", "gen_array_ops",
            "gen_math_ops", "gradients", "gradients_impl", "io_ops", "linalg_ops", "logging_ops", "map_fn",
            "numerics", "script_ops", "sparse_ops", "standard_ops", "string_ops", "template", "tensor_array_ops",
        )
    ), "",
)  # fmt: skip
_SAME |= dict.fromkeys(
    (
        f"python.training.{name}"
        for name in (
            "adadelta", "adagrad", "adam", "checkpoint_management", "ftrl", "gradient_descent", "learning_rate_decay",
            "momentum", "moving_averages", "optimizer", "rmsprop", "saver", "training_util",
        )
    ), "train",
)  # fmt: skip
_SEVERAL_LEVELS = 3  # an alias may lead to another


def public(*names: str) -> Callable[[T], T]:
    """Registers a function or class under its names in ``tf.``, such as ``"nn.relu"``."""

    def register(thing: T) -> T:
        publish(thing, *names)
        return thing

    return register


def publish(thing: Any, *names: str) -> None:
    """:func:`public` for a value."""
    recorded = registered(thing, names[0])
    for name in names:
        _NAMES[name] = recorded


def refuse(advice: str, *names: str) -> None:
    """Says of names that Holdfast does not run them, and what to do instead; a name covers all that is in it."""
    for name in names:
        _REFUSED[name] = advice


class Refused:
    """Stands for a name that Holdfast does not run. A program may import it; using it is an error."""

    def __init__(self, name: str, advice: str) -> None:
        self._name, self._advice = name, advice

    def _refusal(self) -> ConversionError:
        line = line_of_the_program()
        return ConversionError(f"tf.{self._name} ({line}) does not run on Holdfast. {self._advice}")

    def __call__(self, *args: Any, **options: Any) -> Any:
        """It cannot be called."""
        raise self._refusal()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Refused(f"{self._name}.{name}", self._advice)

    def __mro_entries__(self, bases: Any) -> Any:
        """A class cannot extend it."""
        raise self._refusal()

    def __repr__(self) -> str:
        return f"<tf.{self._name}: refused by Holdfast>"


class Namespace(ModuleType):
    """A module of ours in the place of ``tensorflow`` or of one of its modules."""

    def __init__(self, place: str, name: str = "tensorflow") -> None:
        super().__init__(f"{name}.{place}" if place else name, "TensorFlow 1's names, run by Holdfast.")
        self.__path__: list[str] = []  # a package: any of its modules may be imported
        self._place = place

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return dir(self)
        if name.startswith("__") and name.endswith("__"):
            found = _NAMES.get(name) if not self._place else None
            if found is None:
                raise AttributeError(name)
            return found
        found = find(f"{self._place}.{name}" if self._place else name)
        if isinstance(found, Namespace):
            setattr(self, name, found)  # a search of all names, which a loop need not repeat
        return found

    def __dir__(self) -> list[str]:
        prefix = f"{self._place}." if self._place else ""
        return sorted({name[len(prefix) :].split(".")[0] for name in _NAMES if name.startswith(prefix)})


def namespace(place: str) -> Namespace:
    """The module for a place such as ``"nn"``; ``""`` is ``tensorflow`` itself."""
    if place not in _MODULES:
        _MODULES[place] = Namespace(place)
    return _MODULES[place]


def is_place(place: str) -> bool:
    """Whether something is registered below ``place``, or ``place`` is another name of such a place."""
    return not place or place in _SAME or any(same.startswith(f"{place}.") for same in (*_NAMES, *_SAME, *_REFUSED))


def importable(place: str) -> bool:
    """Whether a program may import ``tensorflow.PLACE``: a place, or something that is refused when it is used."""
    known = _last_alias(place)
    return is_place(place) or is_place(known) or _advice(place) is not None or _advice(known) is not None


def _last_alias(name: str) -> str:
    for _ in range(_SEVERAL_LEVELS):
        name = _resolved(name)
    return name


def find(name: str) -> Any:
    """What a program gets for ``tf.NAME``.

    Raises:
        AttributeError: There is no such name; the message has the nearest ones.
    """
    place = name
    for _ in range(_SEVERAL_LEVELS):
        if place in _NAMES:
            return _NAMES[place]
        other = _resolved(place)
        if other == place:
            break
        place = other
    if any(known.startswith((f"{name}.", f"{place}.")) for known in _NAMES):
        return namespace(name)
    for covered in (name, place):
        advice = _advice(covered)
        if advice is not None:
            return Refused(covered, advice)
    if is_place(name) or is_place(place):
        return namespace(name)
    last = name.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(name, _NAMES, 3, 0.8)
    near += [known for known in _NAMES if known.rsplit(".", 1)[-1] == last and known not in near][:3]
    hint = f" The nearest names are {', '.join(f'tf.{known}' for known in near)}." if near else ""
    raise AttributeError(f"Holdfast has no tf.{name} ({line_of_the_program()}).{hint} docs/tf1.md says what it runs.")


def _resolved(name: str) -> str:
    """The name with the longest alias at its beginning replaced."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        head = ".".join(parts[:count])
        if head in _SAME:
            return ".".join(part for part in (_SAME[head], *parts[count:]) if part)
    return name


def _advice(name: str) -> str | None:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        advice = _REFUSED.get(".".join(parts[:count]))
        if advice is not None:
            return advice
    return None
