"""What native/bindings.cpp offers."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

def instruction_sets() -> list[str]: ...
def chosen() -> str: ...
def kept_f32(call: dict[str, Any], isa: str = "") -> int: ...
def kept_f64(call: dict[str, Any], isa: str = "") -> int: ...
def forward_f32(call: dict[str, Any], isa: str = "") -> None: ...
def forward_f64(call: dict[str, Any], isa: str = "") -> None: ...
def backward_f32(call: dict[str, Any], isa: str = "") -> None: ...
def backward_f64(call: dict[str, Any], isa: str = "") -> None: ...
def forward_bf16(call: dict[str, Any], isa: str = "") -> None: ...
def backward_bf16(call: dict[str, Any], isa: str = "") -> None: ...
def activate_f32(
    activation: int, a: float, b: float, x: Tensor | NDArray[Any], y: Tensor | NDArray[Any], isa: str = ""
) -> None: ...
def activate_f64(
    activation: int, a: float, b: float, x: Tensor | NDArray[Any], y: Tensor | NDArray[Any], isa: str = ""
) -> None: ...

Addresses = tuple[int, ...]  # 0: null; with strides for an array over time

class PackedWeights_f32:  # noqa: N801
    @property
    def packings(self) -> int: ...

class PackedWeights_f64(PackedWeights_f32): ...  # noqa: N801

class MaskGenerator:
    def __init__(self, a: int, b: int, c: int, counter: int) -> None: ...
    def draw_u8(self, probability: float, count: int, to: int) -> None: ...
    def draw_f32(self, probability: float, count: int, to: int) -> None: ...
    def draw_f64(self, probability: float, count: int, to: int) -> None: ...

class Tensors:
    def __init__(
        self,
        classes: AbstractSet[type],
        dtype: torch.dtype,
        strided: torch.layout,
        exchange: Any,
        names: tuple[str, ...],
        shapes: tuple[tuple[int, ...], ...],
    ) -> None: ...
    def can_read(self, tensors: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> bool: ...

class Cell_f32:  # noqa: N801  (the name that bindings_cell.cpp gives)
    def __init__(self, cell: dict[str, Any], parameters: list[str], reverse: bool, isa: str) -> None: ...
    def kept(self) -> int: ...
    def in_place(self, batch: int, steps: int) -> bool: ...
    def forward(
        self,
        threads: int,
        batch: int,
        steps: int,
        x: Addresses,
        parameters: Addresses,
        state: Addresses,
        y: Addresses,
        final_state: Addresses,
        kept: int,
        packed: PackedWeights_f32 | PackedWeights_f64 | None,
        lengths: int = 0,
    ) -> None: ...
    def step(
        self, tensors: Tensors, threads: int, x: Tensor, state: Any, parameters: Mapping[str, Any], keeps: bool
    ) -> tuple[Tensor, ...] | None: ...
    def backward(
        self,
        threads: int,
        batch: int,
        steps: int,
        x: Addresses,
        parameters: Addresses,
        state: Addresses,
        y: Addresses,
        kept: int,
        dy: Addresses,
        d_final_state: Addresses,
        dx: Addresses,
        d_parameters: Addresses,
        d_state: Addresses,
    ) -> None: ...

class Cell_f64(Cell_f32): ...  # noqa: N801

class Layer_f32:  # noqa: N801  (the name that bindings_cell.cpp gives)
    def __init__(
        self,
        layer: Any,
        attributes: tuple[str, ...],
        cells: tuple[tuple[Cell_f32, Tensors, PackedWeights_f32 | None], ...],
        directions: int,
        batch_first: bool,
    ) -> None: ...
    def infer(self, layer: Any, threads: int, x: Any, state: Any) -> tuple[Any, ...] | None: ...
    def train(self, layer: Any, threads: int, x: Any, state: Any) -> tuple[Any, ...] | None: ...
    def forward(
        self, threads: int, x: Any, state: Any, parameters: Mapping[str, Any], first: int, kept: Tensor
    ) -> tuple[Any, ...] | None: ...
    def backward(
        self,
        threads: int,
        x: Tensor,
        state: tuple[Tensor, ...] | None,
        parameters: Mapping[str, Any],
        y: Tensor,
        kept: Tensor,
        first: int,
        received: tuple[Tensor | None, ...],
        wants_x: bool,
        wants_state: bool,
    ) -> tuple[Tensor | None, tuple[Tensor, ...], tuple[Tensor, ...]] | None: ...

class Layer_f64(Layer_f32): ...  # noqa: N801

class Stream_f32:  # noqa: N801  (the name that bindings_stream.cpp gives)
    def __init__(
        self,
        layers: list[dict[str, Any]],
        batch: int,
        input: dict[str, NDArray[Any]] | None,
        output: dict[str, NDArray[Any]] | None,
        state: NDArray[Any],
        storage: int = 0,
        isa: str = "",
    ) -> None: ...
    def advance(self, x: NDArray[Any], y: NDArray[Any], rows: NDArray[Any] | None = None) -> bool: ...

class Stream_f64(Stream_f32): ...  # noqa: N801
