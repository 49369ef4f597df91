"""Files of Keras in each of its formats, put together by hand from what is documented of them."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Arrays = Mapping[str, Sequence[tuple[str, np.ndarray]]]
"""The weights of each layer: names and arrays, in order."""


def entry(kind: str, name: str, **options: Any) -> dict[str, Any]:
    """A layer in a configuration."""
    return {"class_name": kind, "config": {"name": name, **options}}


def sequential(*layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A configuration as Keras 2.2 and later write it."""
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": list(layers)}, **more}


def legacy(path: Path, config: Any, weights: Arrays, version: str = "2.2.4-tf") -> Path:
    """A file of Keras 1 or 2: ``model.save``, or ``model.save_weights`` where there is no configuration."""
    with h5py.File(path, "w") as file:
        group = file
        if config is not None:
            file.attrs["model_config"] = (config if isinstance(config, str) else json.dumps(config)).encode()
            group = file.create_group("model_weights")
        for place in [file, group] if version else []:
            place.attrs["keras_version"] = version.encode()
            place.attrs["backend"] = b"tensorflow"
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            layer = group.create_group(name)
            layer.attrs["weight_names"] = [key.encode() for key, _ in arrays]
            for key, array in arrays:
                layer.create_dataset(key, data=array)
    return path


def weights3(content: Any, weights: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Weights as Keras 3 lays them out; the names are paths such as ``lstm/cell``."""
    with h5py.File(content, "w") as file:
        file.create_group("vars")
        for place, arrays in weights.items():
            group = file.create_group(f"layers/{place}/vars")
            for number, array in enumerate(arrays):
                group[str(number)] = array


def archive(
    path: Path,
    config: Any,
    weights: Mapping[str, Sequence[np.ndarray]] | bytes,
    version: str = "3.5.0",
    compression: int = zipfile.ZIP_STORED,
    **more: bytes,
) -> Path:
    """A ``.keras`` file."""
    content = BytesIO()
    if not isinstance(weights, bytes):
        weights3(content, weights)
        weights = content.getvalue()
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "2024-01-01@00:00:00"}))
        file.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        file.writestr("model.weights.h5", weights)
        for name, data in more.items():
            file.writestr(name, data)
    return path


def drawn(*shapes: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    """Arrays of random float32 numbers."""
    draw = np.random.default_rng(seed)
    return [draw.normal(0, 0.5, shape).astype("float32") for shape in shapes]


def lstm_weights(inputs: int = 3, units: int = 4, seed: int = 0) -> list[np.ndarray]:
    """Kernel, recurrent kernel and bias of an LSTM of Keras 2 or 3."""
    return drawn((inputs, 4 * units), (units, 4 * units), (4 * units,), seed=seed)


def named(prefix: str, arrays: Sequence[np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """Names as Keras 2 gives them, for kernel, recurrent kernel and bias."""
    parts = ("kernel", "recurrent_kernel", "bias") if len(arrays) == 3 and arrays[1].ndim == 2 else ("kernel", "bias")
    return [(f"{prefix}/{part}:0", array) for part, array in zip(parts, arrays, strict=True)]


def line(text: str) -> str:
    """A message without the place of the file, which is another every time."""
    return re.sub(r"\S*/([\w.]+)", r"\1", text)
