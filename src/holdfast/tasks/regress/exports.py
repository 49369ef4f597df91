"""The forms of a regressor for other software: values in the units of the targets come out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holdfast.errors import ConversionError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Restored
from holdfast.layers.chain.special import Repeated
from holdfast.layers.forms import Form, of_chain


def exports(model: nn.Module, chain: Chain, streaming: bool) -> dict[str, Form]:
    """The form of a regressor.

    Args:
        model: The network.
        chain: What it computes, with the scaling of inputs, which is left out, and of targets, which is not.
        streaming: The form that takes a few steps and the state before them, and gives the state after them.

    Raises:
        ConversionError: It is to stream and cannot.
    """
    if streaming and chain.find(Repeated):
        raise ConversionError(
            "The model is an encoder and a decoder: its first output depends on the last step. Write the whole model "
            "instead of the streaming form."
        )
    form = of_chain(model, chain, streaming=streaming)
    restored = chain.find(Restored)
    assert restored is not None
    return {"": Form(_Values(form.module, restored), form.inputs, ("values", *form.outputs[1:]))}


class _Values(nn.Module):
    """The values of a form in the units of the targets: [..., K], or with quantiles [..., K, Q], ascending."""

    mean: Tensor
    std: Tensor

    def __init__(self, form: nn.Module, restored: Restored) -> None:
        super().__init__()
        self.form, self.shape = form, (len(restored.scaling.mean), restored.quantiles)
        self.register_buffer("mean", torch.tensor(restored.scaling.mean))
        self.register_buffer("std", torch.tensor(restored.scaling.std))

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        scaled, *state = outputs if isinstance(outputs := self.form(*inputs), tuple) else (outputs,)
        if self.shape[1] > 1:
            ordered = scaled.reshape(*scaled.shape[:-1], *self.shape).sort(-1).values
            values = ordered * self.std[:, None] + self.mean[:, None]
        else:
            values = scaled * self.std + self.mean
        return (values, *state) if state else values
