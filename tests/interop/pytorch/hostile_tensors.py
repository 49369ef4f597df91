"""Damaged safetensors files, and state dicts whose tensors do not fit together."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import torch
from tests.interop.pytorch.hostile_pickles import state_dict


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text_ = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text_) if length is None else length) + text_ + data


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}}


SAFETENSORS: dict[str, bytes] = {
    "a header of 2^63 bytes": safetensors({}, length=2**63),
    "a header of 100 MB": safetensors({}, length=10**8),
    "a header beyond the end": safetensors({}, length=500),
    "2^60 numbers": safetensors(entry([2**60], 0, 2**62), bytes(8)),
    "a shape that overflows": safetensors(entry([2**62, 4], 0, 8), bytes(8)),
    "a negative size": safetensors(entry([-2], 0, 8), bytes(8)),
    "offsets the wrong way": safetensors(entry([2], 8, 0), bytes(8)),
    "offsets beyond the end": safetensors(entry([2], 8, 16), bytes(8)),
    "another size": safetensors(entry([3], 0, 8), bytes(8)),
    "no such dtype": safetensors(entry([2], 0, 8, "F99"), bytes(8)),
    "nesting": safetensors(b'{"a":' * 100_000),
    "not JSON": safetensors(b"{nothing}"),
    "not text": safetensors(b"{\xff\xfe}"),
    "a list": safetensors(b"[1]"),
    "no tensors": safetensors({}),
    "tensors that overlap": safetensors(
        {**entry([2], 0, 8), "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, bytes(12)
    ),
}


def _without(name: str) -> dict[str, torch.Tensor]:
    return {own: tensor for own, tensor in state_dict().items() if own != name}


def _with(**tensors: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**state_dict(), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}


WRONG: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "half a bias": (
        lambda: _without("rnn.bias_hh_l0"),
        "The layer 'rnn' has no bias_hh_l0; expected one of shape (16,): the state dict is incomplete, or of another "
        "kind of layer. Save all of it.",
    ),
    "the other half": (
        lambda: _without("rnn.bias_ih_l0"),
        "The layer 'rnn' has no bias_ih_l0; expected one of shape (16,): the state dict is incomplete, or of another "
        "kind of layer. Save all of it.",
    ),
    "no recurrent weights": (
        lambda: _without("rnn.weight_hh_l0"),
        "The layer 'rnn' has no weight_hh_l0: the state dict is incomplete. Save all of it.",
    ),
    "half a direction": (
        lambda: _with(rnn__weight_ih_l0_reverse=torch.zeros(16, 3)),
        "The layer 'rnn' has no weight_hh_l0_reverse; expected one of shape (16, 4): the state dict is incomplete, or "
        "of another kind of layer. Save all of it.",
    ),
    "a layer left out": (
        lambda: _with(rnn__weight_ih_l2=torch.zeros(16, 4)),
        "The layer 'rnn' has no weight_ih_l1; expected one of shape (16, 4): the state dict is incomplete, or of "
        "another kind of layer. Save all of it.",
    ),
    "layer 9999": (
        lambda: _with(rnn__weight_ih_l9999=torch.zeros(16, 4)),
        "The layer 'rnn' has no weight_ih_l1; expected one of shape (16, 4): the state dict is incomplete, or of "
        "another kind of layer. Save all of it.",
    ),
    "five gates": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(20, 3), rnn__weight_hh_l0=torch.zeros(20, 4)),
        "The layer 'rnn' has weight_ih_l0 of shape (20, 3) and weight_hh_l0 of shape (20, 4); expected 4 rows for each "
        "gate: 4 gates (LSTM), 3 (GRU) or 1 (RNN).",
    ),
    "gates of two kinds": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(12, 3)),
        "The layer 'rnn' has weight_ih_l0 of shape (12, 3) and weight_hh_l0 of shape (16, 4); expected 4 rows for each "
        "gate: 4 gates (LSTM), 3 (GRU) or 1 (RNN).",
    ),
    "no units": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(0, 3), rnn__weight_hh_l0=torch.zeros(0, 0)),
        "The layer 'rnn' has weight_ih_l0 of shape (0, 3); expected two sizes from 1 on.",
    ),
    "a cube": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(16, 3, 1)),
        "The layer 'rnn' has weight_ih_l0 of shape (16, 3, 1); expected two sizes from 1 on.",
    ),
    "a scalar": (
        lambda: _with(rnn__weight_hh_l0=torch.tensor(1.0)),
        "The layer 'rnn' has weight_hh_l0 of shape (); expected two sizes from 1 on.",
    ),
    "a bias of another size": (
        lambda: _with(rnn__bias_ih_l0=torch.zeros(15)),
        "The layer 'rnn' has bias_ih_l0 of shape (15,); expected (16,).",
    ),
    "a projection that does not fit": (
        lambda: _with(rnn__weight_hr_l0=torch.zeros(3, 4)),
        "The layer 'rnn' has weight_hr_l0 of shape (3, 4); expected (4, hidden_size), as weight_hh_l0 has 4 columns.",
    ),
    "a projection of a GRU": (
        lambda: {
            "weight_ih_l0": torch.zeros(15, 3),
            "weight_hh_l0": torch.zeros(15, 2),
            "weight_hr_l0": torch.zeros(2, 5),
        },
        "The state dict has weight_ih_l0 of shape (15, 3) and weight_hh_l0 of shape (15, 2); expected 5 rows for each "
        "gate: 4 gates (LSTM), 3 (GRU) or 1 (RNN).",
    ),
    "whole numbers": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(16, 3, dtype=torch.int64)),
        "The layer 'rnn' has weight_ih_l0 of torch.int64; expected real numbers.",
    ),
    "complex numbers": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(16, 3, dtype=torch.complex64)),
        "The layer 'rnn' has weight_ih_l0 of torch.complex64; expected real numbers.",
    ),
    "a bias where there is none below": (
        lambda: {
            "weight_ih_l0": torch.zeros(4, 3),
            "weight_hh_l0": torch.zeros(4, 1),
            "weight_ih_l1": torch.zeros(4, 1),
            "weight_hh_l1": torch.zeros(4, 1),
            "bias_ih_l1": torch.zeros(4),
        },
        "The state dict has bias_ih_l1, which its other tensors have no place for.",
    ),
    "a cell and a layer": (
        lambda: _with(rnn__weight_ih=torch.zeros(16, 3)),
        "The layer 'rnn' has the tensors of a layer and of a cell; expected those of one of them.",
    ),
    "weights of weight_norm": (
        lambda: _with(rnn__weight_hh_l0_g=torch.zeros(16, 1)),
        "The layer 'rnn' has 'weight_hh_l0_g' beside the tensors of a recurrent layer; expected weight_ih, weight_hh, "
        "weight_hr, bias_ih and bias_hh only. It is not a layer of torch.nn, or its weights are "
        "parametrised: save it after torch.nn.utils.parametrize.remove_parametrizations.",
    ),
}
