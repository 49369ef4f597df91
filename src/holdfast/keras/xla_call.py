"""Functions of torch tensors that XLA calls on the CPU, in its own buffers.

XLA calls a C function with a frame that describes where arguments and results lie (its "typed FFI", the C API in
``xla/ffi/api/c_api.h`` of OpenXLA, version 0.1, which later ones keep to). The frame is read here with ctypes, so that
nothing has to be compiled against XLA. Nothing of JAX runs meanwhile: a callback that waited for a JAX array could wait
for the very thread that it holds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p
from math import prod
from typing import Any

import torch
from torch import Tensor

Function = Callable[[str, list[Tensor], list[Tensor]], None]

_VERSION = (0, 1)
_DESCRIBE_YOURSELF = 1  # the extension of a frame that asks what API a function was made for
_EXECUTE = 3  # the stage of a call; the others make it ready
_INTERNAL = 13  # the code of an error
_DTYPES = {1: torch.bool, 11: torch.float32, 12: torch.float64}


class _Struct(ctypes.Structure):
    """Every struct begins with its size, and most go on with a list of extensions."""


class _Extension(_Struct):
    _fields_ = (("size", c_size_t), ("type", c_int), ("next", c_void_p))


class _Version(_Struct):
    _fields_ = (("size", c_size_t), ("extension", c_void_p), ("major", c_int), ("minor", c_int))


class _Description(_Struct):
    _fields_ = (("size", c_size_t), ("version", _Version), ("traits", c_uint32))


class _DescribeYourself(_Struct):
    _fields_ = (("base", _Extension), ("description", POINTER(_Description)))


class _ErrorArguments(_Struct):
    _fields_ = (("size", c_size_t), ("extension", c_void_p), ("message", c_char_p), ("code", c_int))


class _Api(_Struct):
    _fields_ = (
        ("size", c_size_t),
        ("extension", c_void_p),
        ("version", _Version),
        ("internal", c_void_p),
        ("new_error", ctypes.CFUNCTYPE(c_void_p, POINTER(_ErrorArguments))),
    )


class _Buffer(_Struct):
    _fields_ = (
        ("size", c_size_t),
        ("extension", c_void_p),
        ("dtype", c_int),
        ("data", c_void_p),
        ("rank", c_int64),
        ("dims", POINTER(c_int64)),
    )


class _Buffers(_Struct):
    _fields_ = (
        ("size", c_size_t),
        ("extension", c_void_p),
        ("count", c_int64),
        ("types", c_void_p),
        ("items", POINTER(POINTER(_Buffer))),
    )


class _Text(_Struct):
    _fields_ = (("data", c_void_p), ("length", c_size_t))


class _Attributes(_Struct):
    _fields_ = (
        ("size", c_size_t),
        ("extension", c_void_p),
        ("count", c_int64),
        ("types", c_void_p),
        ("names", c_void_p),
        ("items", POINTER(POINTER(_Text))),
    )


class _Frame(_Struct):
    _fields_ = (
        ("size", c_size_t),
        ("extension", POINTER(_Extension)),
        ("api", POINTER(_Api)),
        ("context", c_void_p),
        ("stage", c_int),
        ("arguments", _Buffers),
        ("results", _Buffers),
        ("attributes", _Attributes),
    )


_Handler = ctypes.CFUNCTYPE(c_void_p, POINTER(_Frame))


def handler(function: Function) -> Any:
    """The C function that calls ``function``; it must live as long as XLA may call it.

    Args:
        function: Called with the one attribute of the call, a text, its arguments and its results, which it fills. It
            may be called in any thread, in several at once. What it raises becomes XLA's error.
    """

    def handle(pointer: Any) -> Any:
        frame = pointer.contents
        try:
            if frame.extension and frame.extension.contents.type == _DESCRIBE_YOURSELF:
                asked = ctypes.cast(frame.extension, POINTER(_DescribeYourself)).contents
                version = asked.description.contents.version
                version.major, version.minor = _VERSION
            elif frame.stage == _EXECUTE:
                text = frame.attributes.items[0].contents
                attribute = ctypes.string_at(text.data, text.length).decode()
                function(attribute, _tensors(frame.arguments), _tensors(frame.results))
        except BaseException as error:  # there is no one above but XLA
            message = f"{type(error).__name__}: {error}".encode()
            arguments = _ErrorArguments(ctypes.sizeof(_ErrorArguments), None, message, _INTERNAL)
            return frame.api.contents.new_error(ctypes.byref(arguments))
        return None

    return _Handler(handle)


def _tensors(buffers: Any) -> list[Tensor]:
    return [_tensor(buffers.items[k].contents) for k in range(buffers.count)]


def _tensor(buffer: Any) -> Tensor:
    """A tensor in the memory of a buffer."""
    dtype, shape = _DTYPES[buffer.dtype], buffer.dims[: buffer.rank]
    values = prod(shape)
    if not values:
        return torch.empty(shape, dtype=dtype)
    memory = (ctypes.c_char * (values * dtype.itemsize)).from_address(buffer.data)
    return torch.frombuffer(memory, dtype=dtype).view(shape)
