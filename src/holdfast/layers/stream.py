"""``holdfast.Stream``: a layer, a cell or a model that takes its sequence step by step, in arrays or tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch  # before the runtime, whose kernels then share the OpenMP runtime that torch has loaded
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast import runtime
from holdfast.cells import NAMES, BoundCell
from holdfast.cells.nested_state import is_single, map_state, map_tensors
from holdfast.cells.parameter_names import layer_suffix
from holdfast.engines import check_engine
from holdfast.errors import EngineError, OptionError, ShapeError
from holdfast.layers import parameters
from holdfast.layers.cell_modules import CellModule
from holdfast.layers.chain import Chain, HasChain
from holdfast.layers.chain.parts import Recurrent
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.runtime.narrow_weights import Weights
from holdfast.runtime.network import Array, StreamNetwork, read
from holdfast.runtime.steps import Steps
from holdfast.runtime.streamable import check_streams


class Stream(runtime.Stream):
    """A model that takes its sequence step by step, in evaluation mode and without gradients.

    Inputs are arrays, or tensors on the CPU, and the outputs are as the inputs. The weights are copied and packed when
    the stream is made: later changes of the model have no effect on it. What the kernels cannot compute, the reference
    does, a hundred times slower; :meth:`why_not_native` says why. A stream is used by one thread at a time.

    Args:
        model: A layer (``holdfast.LSTM``, ``GRU``, ``RNN``), a cell (``LSTMCell``, ...), or any module with a method
            ``chain()`` (:class:`holdfast.layers.chain.HasChain`), such as a classifier, a tagger of numbers or a
            transcriber (:class:`holdfast.TranscriptStream` goes from sound to text); or the path of a model file,
            which is opened as :func:`holdfast.runtime.load` does; or a :class:`holdfast.runtime.Network`.
        batch: B, sequences that go side by side.
        engine: ``"native"``, ``"reference"``, or ``"auto"`` for the first of them that can.
        weights: How the weights are stored: ``"float32"``; or rounded to ``"bfloat16"`` or ``"int8"``, which is faster
            where a step takes as long as reading them (few rows), and gives other numbers (docs/streaming.md has a
            table). None: as in the model. A model in float64 has only its own.

    Attributes:
        engine: What computes the steps.

    Raises:
        OptionError: The model cannot be streamed, or not with such weights; the message says why.
        EngineError: The engine that was asked for cannot compute the model.
        ModelFileError: There is no usable model at the path.

    Example:
        >>> import numpy as np
        >>> import holdfast
        >>> stream = holdfast.Stream(holdfast.LSTM(3, 4), batch=2)
        >>> for x in np.zeros((5, 2, 3), np.float32):  # five steps of two sequences
        ...     output = stream.step(x)
        >>> output.shape
        (2, 4)
    """

    def __init__(
        self,
        model: nn.Module | StreamNetwork | Path | str,
        batch: int = 1,
        *,
        engine: Literal["auto", "native", "reference"] = "auto",
        weights: Weights | None = None,
    ) -> None:
        self.engine: str = check_engine(engine)
        network = read(Path(model)) if isinstance(model, Path | str) else model
        if not isinstance(network, StreamNetwork):
            network = _network(network)
        super().__init__(network, batch, weights=weights)

    def _steps(self) -> Steps:
        reason = self.why_not_native()
        if self.engine == "native" and reason is not None:
            raise EngineError(f"The engine 'native' cannot run this stream: {reason} Use engine='auto'.")
        if self.engine == "auto":
            self.engine = "native" if reason is None else "reference"
        return super()._steps() if self.engine == "native" else ReferenceSteps(self.network, self._state.parts)

    def _checked_step(self, x: Any, rows: Any) -> Any:
        """The next step; for a tensor, the output is one too."""
        if isinstance(x, Tensor):
            return torch.from_numpy(super().step(_array(x), rows))
        return super()._checked_step(x, rows)

    def run(self, x: Any, rows: Any = None) -> Any:
        """The next steps, several at once.

        Args:
            x: [R, T, I], where R is the number of rows, B if ``rows`` is None; or [T, I] with a batch of 1. An array,
                or a tensor on the CPU.
            rows: The rows that take the steps, as for :meth:`step`.

        Returns:
            [R, T, O], or [T, O] as ``x`` is; an array or a tensor as ``x`` is.

        Raises:
            ShapeError: ``x`` has the wrong shape, dtype or device, or there is no such row, or one is named twice.
        """
        return torch.from_numpy(super().run(_array(x), rows)) if isinstance(x, Tensor) else super().run(x, rows)

    @property
    def state(self) -> Any:
        """The state after the last step, copied into tensors, shaped as that of the layer.

        h [num_layers, B, O], or for the LSTM (h, c) with c [num_layers, B, H]; with layers of different sizes, h and c
        are tuples of one [1, B, size] tensor per layer. Set it to tensors or arrays to continue from another state.

        Raises:
            ShapeError: What is set has not the right parts, shapes or dtype.
        """
        return self.state_of(None)

    @state.setter
    def state(self, state: Any) -> None:
        self.set_state_of(None, state)

    def state_of(self, rows: Any) -> Any:
        """The state of some rows, R of them: copied into tensors, as :attr:`state` with R instead of B.

        Raises:
            ShapeError: There is no such row.
        """
        return map_state(torch.from_numpy, super().state_of(rows), is_leaf=is_single)

    def set_state_of(self, rows: Any, state: Any) -> None:
        """Sets the state of some rows to tensors or arrays, shaped as :meth:`state_of` returns them.

        Raises:
            ShapeError: There is no such row, or the state does not have the right parts, shapes or dtype.
        """
        super().set_state_of(rows, map_tensors(_array, state))


class ReferenceSteps:
    """The cells of :mod:`holdfast.cells`, step by step: what every network can be computed by.

    Each row is computed alone, because the products of several rows can differ from those of one row in the last bits.
    """

    def __init__(self, network: StreamNetwork, parts: list[Array]) -> None:
        def tensors(arrays: Any) -> dict[str, Tensor]:
            return {name: torch.tensor(array) for name, array in arrays.items()}

        layers = zip(network.specs, network.parameters, strict=True)
        self._cells = [BoundCell(spec, tensors(arrays)) for spec, arrays in layers]
        self._input, self._output = tensors(network.input), tensors(network.output)
        self._network, self._parts = network, parts

    @torch.no_grad()
    def advance(self, x: Array, y: Array, rows: Any = None) -> bool:
        """As :meth:`holdfast.runtime.steps.Steps.advance`."""
        network, batch = self._network, len(self._parts[0])
        which = np.arange(batch) if rows is None else rows
        count = len(x) if x.ndim > 1 else 1
        if (count, *x.shape[-1:], x.dtype) != (len(which), network.input_size, y.dtype) or x.shape[:-1] != y.shape[:-1]:
            return False
        length = x.shape[1] if x.ndim == 3 else 1
        steps = x.reshape(count, length, network.input_size)
        outputs = y.reshape(count, length, network.output_size)  # a view: y is contiguous
        states = [self._row(of_row, out, row) for of_row, out, row in zip(steps, outputs, which, strict=True)]
        for row, state in zip(which, states, strict=True):
            for part, new in zip(self._parts, state, strict=True):
                part[row] = new
        return True

    def _row(self, steps: Array, outputs: Array, row: int) -> list[Array]:
        """Steps through the steps [T, I] of a row into its outputs [T, O]; returns its state after them."""
        letters = len(self._parts) // len(self._cells)
        parts = [torch.tensor(part[None, row]) for part in self._parts]
        state = [tuple(parts[k : k + letters]) for k in range(0, len(parts), letters)]
        for t in range(len(steps)):
            # A tensor of its own: a product can depend on where its values begin in memory.
            value = torch.tensor(steps[None, t])
            if self._input:
                value = F.linear(value, **self._input)
            pairs = []
            for number, (cell, before) in enumerate(zip(self._cells, state, strict=True)):
                output, after = cell.step(0, cell.prepare(value), before)
                value = value + output if self._network.residual[number] else output
                pairs.append(after)
            state = pairs
            outputs[t] = (F.linear(value, **self._output) if self._output else value)[0].numpy()
        return [part[0].numpy() for of_layer in state for part in of_layer]


def _array(x: Tensor) -> Array:
    """The array that shares a tensor's memory."""
    if x.device.type != "cpu" or x.dtype == torch.bfloat16:
        raise ShapeError(
            f"The stream's tensor is {x.dtype} on {x.device}; expected one on the CPU, of the model's dtype: convert "
            "it by .to(...)."
        )
    return x.detach().numpy() if x.requires_grad else x.numpy()


def _network(model: nn.Module) -> StreamNetwork:
    """A module's chain, with copies of its weights.

    Raises:
        OptionError: It is none that can be streamed.
    """
    if isinstance(model, CellModule):  # as a layer of one cell, whose parameters have a suffix
        _refuse_own_forward(model)
        chain = Chain((Recurrent("", (model.spec,)),))
        weights = {name + layer_suffix(0): tensor for name, tensor in parameters.collect(model, model.spec, "").items()}
    elif hasattr(type(model), "chain"):
        return chain_network(cast(HasChain, model).chain(), model)
    else:
        raise OptionError(
            f"Stream got a {type(model).__module__}.{type(model).__name__}; expected a layer or a cell of Holdfast, a "
            "classifier, or the path of a saved model. A layer of torch.nn: load its state_dict into Holdfast's."
        )
    return StreamNetwork(chain, _arrays(weights))


def chain_network(chain: Chain, model: nn.Module, *, copy: bool = True) -> StreamNetwork:
    """A chain of parts of a module, with copies of their weights.

    Args:
        chain: The parts; a stream packs their weights when it is made.
        model: The module.
        copy: Whether the network has copies. Without them it changes with the weights of a module on the CPU.

    Raises:
        OptionError: A stream cannot compute it.
    """
    check_streams(chain)
    _refuse_own_forward(cast(RecurrentLayer, model.get_submodule(chain.recurrent.name)))
    return StreamNetwork(chain, _arrays({name: parameters.named(model, name) for name in chain.tensor_shapes()}, copy))


def _refuse_own_forward(model: RecurrentLayer | CellModule) -> None:
    base = RecurrentLayer if isinstance(model, RecurrentLayer) else CellModule
    if type(model).forward is not base.forward:
        raise OptionError(
            f"Stream got a {type(model).__module__}.{type(model).__name__}, which has a forward of its own; a stream "
            f"would run the {NAMES[model.kind]} under it alone. Call the module step by step instead, with its state."
        )


def _arrays(tensors: dict[str, Tensor], copy: bool = True) -> dict[str, Array]:
    for name, tensor in tensors.items():
        if tensor.dtype not in (torch.float32, torch.float64):
            raise OptionError(
                f"The parameter {name!r} is {tensor.dtype}; a stream computes in float32 or in float64: convert the "
                "model by .float()."
            )
        if tensor.is_meta:
            raise OptionError(
                f"The parameter {name!r} is on meta and has no values: load them by load_state_dict(..., assign=True)."
            )
    return {name: tensor.detach().to("cpu", copy=copy).contiguous().numpy() for name, tensor in tensors.items()}
