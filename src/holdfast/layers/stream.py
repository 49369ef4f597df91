"""``holdfast.Stream``: a layer, a cell or a model that takes its sequence step by step, in arrays or tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

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
        return super()._steps() if self.engine == "native" else ReferenceSteps(self.network, self._parts)

    def _checked_step(self, x: Any) -> Any:
        """The next step; for a tensor, the output is one too."""
        return torch.from_numpy(super().step(_array(x))) if isinstance(x, Tensor) else super()._checked_step(x)

    def run(self, x: Any) -> Any:
        """The next steps, several at once.

        Args:
            x: [B, T, I]; or [T, I] with a batch of 1. An array, or a tensor on the CPU.

        Returns:
            [B, T, O], or [T, O] as ``x`` is; an array or a tensor as ``x`` is.

        Raises:
            ShapeError: ``x`` has the wrong shape, dtype or device.
        """
        return torch.from_numpy(super().run(_array(x))) if isinstance(x, Tensor) else super().run(x)

    @property
    def state(self) -> Any:
        """The state after the last step, copied into tensors, shaped as that of the layer.

        h [num_layers, B, O], or for the LSTM (h, c) with c [num_layers, B, H]; with layers of different sizes, h and c
        are tuples of one [1, B, size] tensor per layer. Set it to tensors or arrays to continue from another state.

        Raises:
            ShapeError: What is set has not the right parts, shapes or dtype.
        """
        return map_state(torch.from_numpy, self._given(), is_leaf=is_single)

    @state.setter
    def state(self, state: Any) -> None:
        self._take(map_tensors(_array, state))


class ReferenceSteps:
    """The cells of :mod:`holdfast.cells`, step by step: what every network can be computed by."""

    def __init__(self, network: StreamNetwork, parts: list[Array]) -> None:
        def tensors(arrays: Any) -> dict[str, Tensor]:
            return {name: torch.tensor(array) for name, array in arrays.items()}

        layers = zip(network.specs, network.parameters, strict=True)
        self._cells = [BoundCell(spec, tensors(arrays)) for spec, arrays in layers]
        self._input, self._output = tensors(network.input), tensors(network.output)
        self._network = network
        shared = [torch.from_numpy(part) for part in parts]
        letters = len(shared) // len(self._cells)
        self._state = [tuple(shared[k : k + letters]) for k in range(0, len(shared), letters)]

    @torch.no_grad()
    def advance(self, x: Array, y: Array) -> bool:
        """As :meth:`holdfast.runtime.steps.Steps.advance`."""
        network, batch = self._network, len(self._state[0][0])
        rows = len(x) if x.ndim > 1 else 1
        if (rows, *x.shape[-1:], x.dtype) != (batch, network.input_size, y.dtype) or x.shape[:-1] != y.shape[:-1]:
            return False
        steps = torch.tensor(x).reshape(batch, -1, network.input_size)
        outputs = torch.from_numpy(y).view(batch, -1, network.output_size)
        state = self._state
        for t in range(steps.shape[1]):
            value = F.linear(steps[:, t], **self._input) if self._input else steps[:, t]
            pairs = []
            for number, (cell, before) in enumerate(zip(self._cells, state, strict=True)):
                output, after = cell.step(0, cell.prepare(value), before)
                value = value + output if network.residual[number] else output
                pairs.append(after)
            state = pairs
            outputs[:, t] = F.linear(value, **self._output) if self._output else value
        for part, new in zip(self._state, state, strict=True):
            for old, after in zip(part, new, strict=True):
                old.copy_(after)
        return True


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
