"""Functions of torch tensors that XLA calls on the CPU, in its own buffers.

XLA calls a C function with a frame that describes where arguments and results are (its "typed FFI", the C API in
``xla/ffi/api/c_api.h`` of OpenXLA, version 0.1, with which later versions are compatible). This module reads the frame
with ctypes, so that nothing is compiled against XLA. It runs no code of JAX during a call: a callback that waits for a
JAX array could block the thread that it waits for.
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
_DESCRIBE_YOURSELF = 1  # the extension of a frame that asks for the API version of a function
_EXECUTE = 3  # the stage that runs a call; the others prepare it
_INTERNAL = 13  # the code of an error
_DTYPES = {1: torch.bool, 11: torch.float32, 12: torch.float64}


class _Struct(ctypes.Structure):
    """Every struct begins with its size; in most, a list of extensions follows."""


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
    """The C function that calls ``function``; keep it alive as long as XLA may call it.

    Args:
        function: Takes the one attribute of the call, a text, its arguments, and its results, which it fills. It must
            allow calls from any thread, several at once. An exception becomes XLA's error.
    """

    def handle(pointer: Any) -> Any:
        frame = pointer.contents
        try:
            if frame.extension and frame.extension.contents.type == _DESCRIBE_YOURSELF:
                extension = ctypes.cast(frame.extension, POINTER(_DescribeYourself)).contents
                version = extension.description.contents.version
                version.major, version.minor = _VERSION
            elif frame.stage == _EXECUTE:
                text = frame.attributes.items[0].contents
                attribute = ctypes.string_at(text.data, text.length).decode()
                function(attribute, _tensors(frame.arguments), _tensors(frame.results))
        except BaseException as error:  # only XLA is above, and cannot handle it
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
