"""The numbers that a network reads, with gradients: its input, or for ids the vectors of their embedding."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from holdfast.errors import OptionError
from holdfast.inspect.model_call import ModelCall
from holdfast.inspect.tensors import first_tensor


class InputValues:
    """Runs a network on other values than those of its batch; a context manager.

    Attributes:
        given: The values of the batch, [B, T, C], a leaf with gradients.
        reads_ids: Whether the batch has ids, whose vectors the values are.
    """

    given: Tensor

    def __init__(self, call: ModelCall) -> None:
        self._call, self.reads_ids = call, not call.batch.is_floating_point()
        self._values: Tensor | None = None
        self._seen: Tensor | None = None
        self._table: nn.Embedding | None = None
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        batch = self._call.batch
        if not self.reads_ids:
            self.given = batch.detach().clone().requires_grad_()
            return self
        for module in self._call.network.modules():
            if isinstance(module, nn.Embedding):
                self._hooks.append(module.register_forward_hook(self._replace))
        try:
            with torch.no_grad():
                self._call.forward(batch)
            if self._seen is None:
                raise OptionError(
                    f"The model takes ids of shape {tuple(batch.shape)}, and no torch.nn.Embedding in it reads them; "
                    "expected one, or inputs that are numbers."
                )
        except BaseException:
            self._remove_hooks()
            raise
        self.given = self._seen.detach().clone().requires_grad_()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove_hooks()

    def forward(self, values: Tensor) -> Tensor:
        """The output of the network for these values in place of those of the batch, [B, T, O] or [B, O]."""
        if not self.reads_ids:
            return self._call.forward(values)
        self._values = values
        try:
            return self._call.forward(self._call.batch)
        finally:
            self._values = None

    def vector(self, token: int) -> Tensor:
        """The vector of an id, [C].

        Raises:
            OptionError: The network takes numbers.
        """
        if not self.reads_ids or self._table is None:
            raise OptionError("The model takes numbers; expected a baseline of numbers, not an id.")
        with torch.no_grad():
            index = torch.tensor([token], device=self._table.weight.device)
            return nn.functional.embedding(index, self._table.weight)[0]

    def _replace(self, module: nn.Embedding, arguments: tuple[Any, ...], output: Any) -> Any:
        ids, batch = arguments[0] if arguments else None, self._call.batch
        if not isinstance(ids, Tensor) or ids.shape != batch.shape or not torch.equal(ids, batch):
            return None
        if self._values is None:
            self._seen, self._table = first_tensor(output), module
            return None
        return (self._values, *output[1:]) if isinstance(output, tuple) else self._values

    def _remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
