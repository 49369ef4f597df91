"""The computation that a Keras layer requests from its backend: one cell over a batch of sequences in one direction.

Keras's layers hold their weights, masks, states and seeds as tensors of the backend that Keras runs on. This module is
the interface between them and Holdfast's engines. Each backend is a module ``holdfast.keras.*_backend`` with

    why_not(computation, dtype) -> str | None          one sentence that says why it cannot run it, or None if it can
    explain(part, computation, dtype) -> EngineChoice  which of Holdfast's engines runs it, and why not another
    run(computation, arrays) -> Outcome                differentiable by the backend for every floating array, and
                                                       traceable by the backend, with sizes not yet known
    SUPPORTS_JIT: bool                                 whether Keras may compile a model with such layers

The backends of JAX and TensorFlow run :mod:`holdfast.keras.torch_backend` on the host, on tensors that share the
backend's memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, NamedTuple, Protocol, cast

from holdfast.cells import NAMES, CellSpec
from holdfast.engines import EngineChoice
from holdfast.errors import EngineError


@dataclass(frozen=True)
class Computation:
    """The part of a request that does not depend on tensors; hashable, so that a trace may take it as static.

    Attributes:
        spec: The cell, with ``single_bias`` except for the GRU with ``reset_after``.
        reverse: Run from the last step to the first.
        sequences: Whether to return the output of every step, or only of the last one.
        at_masked: The output of a masked step: ``"repeat"``, the output of the step that ran before it, or ``"zero"``.
        before_first: With ``"repeat"``, the output of masked steps before the first step that ran in a row:
            ``"zero"``, or ``"state"``, the initial h. Keras's backends differ in this.
    """

    spec: CellSpec
    reverse: bool = False
    sequences: bool = True
    at_masked: Literal["repeat", "zero"] = "repeat"
    before_first: Literal["zero", "state"] = "zero"


class Arrays(NamedTuple):
    """The tensors of a call. All but ``mask`` have one dtype, in which the layer computes.

    Attributes:
        inputs: [B, T, I], with dropout already applied.
        state: The initial state: h [B, H], and for the LSTM c [B, H].
        kernel: [I, G], with G = gates * H columns in Keras's order of gates: i, f, c, o or z, r, h.
        recurrent_kernel: [H, G].
        bias: [G]; [2, G] for the GRU with ``reset_after``; None without bias.
        mask: [B, T] of booleans in any pattern, true where a step counts; None if all steps count.
        state_mask: The factor of h in the recurrent product: [B, H], or with the cell's
            ``recurrent_dropout_mode="gates"`` [B, gates, H], the gates in Keras's order. None for no dropout.
    """

    inputs: Any
    state: tuple[Any, ...]
    kernel: Any
    recurrent_kernel: Any
    bias: Any | None = None
    mask: Any | None = None
    state_mask: Any | None = None


class Outcome(NamedTuple):
    """The result of a computation.

    Attributes:
        last: [B, H], the output of the step that runs last: T - 1, or with ``reverse`` 0. ``at_masked`` applies if that
            step is masked.
        outputs: [B, T, H], each at the step of its input; None without ``sequences``.
        state: The state after the last step that counts, in the form of the initial state.
    """

    last: Any
    outputs: Any | None
    state: tuple[Any, ...]


class Backend(Protocol):
    """A backend of Keras, as the docstring of this module describes."""

    SUPPORTS_JIT: bool

    def why_not(self, computation: Computation, dtype: str) -> str | None:
        """One sentence that says why the backend cannot run a computation in a dtype, or None if it can."""

    def explain(self, part: str, computation: Computation, dtype: str) -> EngineChoice:
        """Which engine runs a computation for which :meth:`why_not` returned None, and why not another."""

    def run(self, computation: Computation, arrays: Arrays) -> Outcome:
        """Runs a computation for which :meth:`why_not` returned None."""


_BACKENDS = ("jax", "tensorflow", "torch")


def no_second_derivative(computation: Computation) -> EngineError:
    """The error of a backend whose kernels are differentiated twice."""
    return EngineError(
        f"The kernels that compute this {NAMES[computation.spec.kind]} layer have no second derivative. "
        "Use Keras's own layer, which has one."
    )


def backend() -> Backend:
    """The backend that Keras runs on.

    Raises:
        EngineError: Holdfast does not know it.
    """
    import keras

    name = keras.backend.backend()
    if name not in _BACKENDS:
        raise EngineError(
            f"Keras runs on the backend {name!r}; expected one of {', '.join(_BACKENDS)}. Set KERAS_BACKEND to one of "
            "them before Keras is imported."
        )
    return cast(Backend, import_module(f"holdfast.keras.{name}_backend"))
