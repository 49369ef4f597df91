"""The files of :mod:`holdfast.files.container` as bytes in memory, with NumPy's arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from holdfast.errors import ModelFileError
from holdfast.files import container


def pack(arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any], kind: str) -> bytes:
    """The bytes of a file, as :func:`holdfast.files.container.write` writes it."""
    head, data = container.sealed(save(dict(arrays)), container.metadata(document, kind))
    return head + data


def unpack(data: bytes, kind: str, name: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the document in bytes that :func:`pack` made.

    The digest is not verified: the caller knows where the bytes come from, for example by a signature.

    Args:
        data: The bytes.
        kind: The kind that the file must have.
        name: What the bytes are, for an error.

    Raises:
        ModelFileError: They are something else.
    """
    try:
        arrays = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise ModelFileError(f"{name} is damaged ({str(error).splitlines()[0]}).") from error
    return arrays, container.parse_document(name, header.get("__metadata__", {}), kind)
