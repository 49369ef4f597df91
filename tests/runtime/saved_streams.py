"""Streams that tests save, and files that they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save

import holdfast
from holdfast import runtime
from holdfast.errors import ModelFileError
from holdfast.files import container


def exported(path: Path, **options: Any) -> holdfast.Stream:
    """A stream of two layers of different sizes, exported to ``path``."""
    layer = holdfast.LSTM(3, [5, 4], **{"peepholes": True, "cell_clip": 2.0, "zoneout_c": 0.2, **options})
    stream = holdfast.Stream(layer)
    stream.export(path)
    return stream


def changed(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> str:
    """What is said of the file when its arrays and document were changed."""
    arrays, document = container.read(path, "model", "np")
    change(arrays, document)
    container.write(path, save, arrays, document, "model")
    with pytest.raises(ModelFileError) as error:
        runtime.load(path)
    assert str(error.value).startswith(f"{path} is ")
    return str(error.value).removeprefix(f"{path} is ")


def as_before(path: Path) -> None:
    """Writes an exported layer anew, with the document and the names that format version 2 had."""
    stream = runtime.load(path)
    arrays = {}
    for name, array in stream.network.arrays.items():
        parameter, number = name.rsplit("_l", 1)
        arrays[f"layers.{number}.{parameter}"] = array
    cells = [asdict(spec) for spec in stream.network.specs]
    document = {"task": "stream", "cells": cells, "residual": [*stream.network.residual], "scaling": None, "labels": []}
    container.write(path, save, arrays, document, "model")
