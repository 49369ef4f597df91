"""Writes files of Keras 3 without Keras."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from holdfast.errors import ConversionError, MissingLibraryError, ModelFileError
from holdfast.files.container import replace_file
from holdfast.interop.keras.archive import CONFIGURATION, METADATA, WEIGHTS
from holdfast.interop.keras.export_chain import export_chain
from holdfast.interop.keras.export_layers import KerasLayer
from holdfast.interop.keras.model import snake_case
from holdfast.interop.network import Network

_VERSION = "3.0.0"
"""The first version of Keras that reads these files."""
_DATE = (1980, 1, 1, 0, 0, 0)  # the first day of zips: the same network gives the same bytes


def write(path: Path | str, network: Network) -> None:
    """Writes a chain of layers as Keras 3 saves it; an existing file is replaced.

    Where Keras has one bias and the layer two, their sum is written; no other number is computed.

    Args:
        path: ``NAME.keras`` for the model, or ``NAME.weights.h5`` for its weights alone.
        network: The network.

    Raises:
        ConversionError: The network is not a chain of layers that Keras has; the message names the part and the option.
            Or the file has another ending.
        ModelFileError: The file cannot be written.
        MissingLibraryError: h5py is not installed.
    """
    path = Path(path)
    if not path.name.endswith((".keras", ".weights.h5")):
        raise ConversionError(
            f"{path} ends neither in .keras nor in .weights.h5, and Keras recognises files by their ending."
        )
    layers = export_chain(network)
    content = _weights(layers)
    if path.name.endswith(".keras"):
        content = _archive(json.dumps(_configuration(layers)), content)
    try:
        replace_file(path, content)
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be written: {error.strerror}. Make room there or choose another folder."
        ) from error


def _configuration(layers: list[KerasLayer]) -> dict[str, Any]:
    """The document of ``model.to_json()``."""
    dtype = _dtype(layers)
    entries = []
    for layer in layers:
        config = {"name": layer.name, **layer.config}
        if layer.kind != "InputLayer":
            config = {"name": layer.name, "dtype": dtype, **layer.config}
        entries.append({"module": "keras.layers", "class_name": layer.kind, "config": config, "registered_name": None})
    config = {"name": "sequential", "trainable": True, "dtype": dtype, "layers": entries}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def _dtype(layers: list[KerasLayer]) -> str:
    dtypes = {array.dtype for layer in layers for arrays in layer.weights.values() for array in arrays}
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        names = ", ".join(sorted(str(dtype) for dtype in dtypes))
        raise ConversionError(f"The network has weights of {names}; expected all in torch.float32 or in torch.float64.")
    return str(next(iter(dtypes), torch.float32)).removeprefix("torch.")


def _weights(layers: list[KerasLayer]) -> bytes:
    """The bytes of an HDF5 file with the weights, under the classes of their layers."""
    try:
        import h5py
    except ImportError as error:
        raise MissingLibraryError(
            "Writing files of Keras needs the library h5py, which is not installed: pip install 'holdfast[h5]'."
        ) from error
    content, seen = BytesIO(), Counter[str]()
    with h5py.File(content, "w") as file:
        file.create_group("vars")
        for layer in layers:
            key = snake_case(layer.kind)
            place = f"layers/{key}_{seen[key]}" if seen[key] else f"layers/{key}"
            seen[key] += 1
            for inner in _places(layer):
                group = file.create_group(f"{place}/{inner}vars")
                for number, array in enumerate(layer.weights.get(inner.rstrip("/"), [])):
                    group[str(number)] = array.cpu().numpy()
    return content.getvalue()


def _places(layer: KerasLayer) -> list[str]:
    """The places of a layer and its inner layers; each has a group, even if it is empty."""
    places = {""}
    for place in layer.weights:
        parts = place.split("/")
        places |= {"/".join(parts[:end]) + "/" for end in range(1, len(parts) + 1) if place}
    return sorted(places)


def _archive(configuration: str, weights: bytes) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        metadata = json.dumps({"keras_version": _VERSION})
        for name, data in ((METADATA, metadata), (CONFIGURATION, configuration), (WEIGHTS, weights)):
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    return content.getvalue()
