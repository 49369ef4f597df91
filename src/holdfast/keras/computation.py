"""What a Keras layer asks of its backend: one cell over one batch of sequences, in one direction.

Keras's layers hold their weights, masks, states and seeds as tensors of the backend that Keras runs on. This is the
seam between them and Holdfast's engines. Each backend is a module here, which has

    why_not(computation, dtype) -> str | None         one sentence that says why it cannot run it, or None when it can
    explain(part, computation, dtype) -> EngineChoice  which of Holdfast's engines runs it, and why not another
    run(computation, arrays) -> Outcome                differentiable in the backend's own way by every floating array,
                                                       and callable while the backend traces, with sizes not yet known
    SUPPORTS_JIT: bool                                 whether Keras may have a model with such layers compiled

The two others run :mod:`holdfast.keras.torch_backend` on the host, on tensors that share the backend's memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, NamedTuple, Protocol, cast

from holdfast.cells import CellSpec
from holdfast.engines import EngineChoice
from holdfast.errors import EngineError


@dataclass(frozen=True)
class Computation:
    """What does not depend on any tensor; it can be hashed, so that a trace may take it as static.

    Attributes:
        spec: The cell. ``single_bias`` but for the GRU with ``reset_after``.
        reverse: Run from the last step to the first.
        sequences: Whether the output of every step is wanted, or that of the last one alone.
        at_masked: What stands at a step that is masked: ``"repeat"``, the output of the step that ran before it, or
            ``"zero"``.
        before_first: With ``"repeat"``, what stands at masked steps before a row's first step ran: ``"zero"``, or
            ``"state"``, the initial h. Keras's backends differ in this.
    """

    spec: CellSpec
    reverse: bool = False
    sequences: bool = True
    at_masked: Literal["repeat", "zero"] = "repeat"
    before_first: Literal["zero", "state"] = "zero"


class Arrays(NamedTuple):
    """The tensors of a call, all but ``mask`` of one dtype: that in which the layer computes.

    Attributes:
        inputs: [B, T, I], with dropout already applied.
        state: The initial state: h [B, H], and for the LSTM c [B, H].
        kernel: [I, G], G rows of gates in Keras's order: i, f, c, o or z, r, h, H for each.
        recurrent_kernel: [H, G].
        bias: [G]; [2, G] for the GRU with ``reset_after``; None without bias.
        mask: [B, T] of booleans, true where a step counts, in any pattern; None when all do.
        state_mask: What h is multiplied with on its way into the recurrent product: [B, H], or with the cell's
            ``recurrent_dropout_mode="gates"`` [B, gates, H], the gates in Keras's order. None for nothing.
    """

    inputs: Any
    state: tuple[Any, ...]
    kernel: Any
    recurrent_kernel: Any
    bias: Any | None = None
    mask: Any | None = None
    state_mask: Any | None = None


class Outcome(NamedTuple):
    """The result.

    Attributes:
        last: [B, H], the output of the step that runs last: at T - 1, or with ``reverse`` at 0. If that step is masked,
            what stands there by ``at_masked``.
        outputs: [B, T, H], each where its input stands; None unless ``sequences``.
        state: The state after the last step that counts, as it was given.
    """

    last: Any
    outputs: Any | None
    state: tuple[Any, ...]


class Backend(Protocol):
    """A backend of Keras, as the module's text says."""

    SUPPORTS_JIT: bool

    def why_not(self, computation: Computation, dtype: str) -> str | None:
        """One sentence that says why the backend cannot run a computation in a dtype, or None when it can."""

    def explain(self, part: str, computation: Computation, dtype: str) -> EngineChoice:
        """Which engine runs a computation that :meth:`why_not` has nothing against, and why not another."""

    def run(self, computation: Computation, arrays: Arrays) -> Outcome:
        """Runs a computation that :meth:`why_not` has nothing against."""


_BACKENDS = ("jax", "tensorflow", "torch")


def backend() -> Backend:
    """The backend that Keras runs on.

    Raises:
        EngineError: Keras runs on one that Holdfast does not know.
    """
    import keras

    name = keras.backend.backend()
    if name not in _BACKENDS:
        raise EngineError(
            f"Keras runs on the backend {name!r}; expected one of {', '.join(_BACKENDS)}. Set KERAS_BACKEND to one of "
            "them before Keras is imported."
        )
    return cast(Backend, import_module(f"holdfast.keras.{name}_backend"))
