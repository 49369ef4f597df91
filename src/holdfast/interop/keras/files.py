"""Reads and writes models of Keras 1, 2 and 3 without Keras: ``.keras``, ``.weights.h5`` and ``.h5``.

    ``.keras``       Keras 3: a zip of ``config.json``, ``metadata.json`` and ``model.weights.h5``.
    ``.weights.h5``  Keras 3: the weights alone, named after the classes of the layers.
    ``.h5``          Keras 1 and 2: the configuration is an attribute, or missing (``save_weights``).

Nothing in a file is run: Lambda layers, pickles and custom classes are refused.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from torch import Tensor

from holdfast.errors import ModelFileError
from holdfast.interop.keras import archive as keras_archive
from holdfast.interop.keras import config as keras_config
from holdfast.interop.keras import layers as keras_layers
from holdfast.interop.keras import model_from_weights
from holdfast.interop.keras import selection as keras_selection
from holdfast.interop.keras import weights as keras_weights
from holdfast.interop.keras.hdf5 import MAX_TEXT_BYTES, Group, read_hdf5
from holdfast.interop.keras.inlining import inline_models
from holdfast.interop.keras.model import Model
from holdfast.interop.keras.writing import write
from holdfast.interop.network import Network
from holdfast.interop.selection import Selection
from holdfast.layers.recurrent_layer import RecurrentLayer

__all__ = ["read", "read_layers", "select", "write"]


def read(path: Path | str, architecture: Path | str | None = None) -> Network:
    """The network of a Keras file, in evaluation mode.

    Args:
        path: The file.
        architecture: A file with the text of ``model.to_json()``, for weights without a configuration. None for the
            file of the same name that ends in ``.json``, if it exists: ``model.json`` beside ``model.h5`` or
            ``model.weights.h5``. Without either, the model is a chain of recurrent layers from the shapes of the
            weights, with Keras's defaults.

    Raises:
        ModelFileError: The file does not exist, is truncated or damaged, or is not a model of Keras.
        ConversionError: A layer or an option has no counterpart here; the message names both. Or the file holds only
            weights that do not determine a model.
        MissingLibraryError: h5py is not installed.
    """
    path = Path(path)
    if zipfile.is_zipfile(path):
        text, version, content = _read_archive(path)
        model = inline_models(keras_config.parse_configuration(text, version, path))
        return keras_layers.network(model, keras_weights.by_class(read_hdf5(path, content), model.layers), path)
    root = read_hdf5(path)
    document = root.text("model_config") or _architecture_text(path, architecture)
    if document is None:
        model, arrays = _infer_model(root, path)
    else:
        model, arrays = _parse_model(root, document, _version_of(root), path)
    return keras_layers.network(model, arrays, path)


def read_layers(
    path: Path | str,
    architecture: Path | str | None = None,
    *,
    activation: str | None = None,
    recurrent_activation: str | None = None,
) -> dict[str, RecurrentLayer]:
    """The recurrent layers alone of a Keras file; other layers are ignored.

    Args:
        path: The file. It may hold weights alone, or a custom model.
        architecture: As in :func:`read`. Without one, the options that the weights' shapes do not show have Keras's
            defaults.
        activation: The activation of every layer, by Keras's name, for a file of weights alone; None for the default.
        recurrent_activation: The activation of the gates, in the same way.

    Returns:
        Layers, batch first, by their names; in a file of weights of Keras 3, by the names of their classes, such as
        ``lstm_1``. A layer in a nested model is called ``MODEL/LAYER``. A backward layer has ``reverse=True``. If the
        two layers of a Bidirectional cannot become one layer, they are ``NAME/forward`` and ``NAME/backward``.

    Raises:
        ModelFileError: The file does not exist, is truncated or damaged, or is not a model of Keras.
        ConversionError: It has no recurrent layer.
        MissingLibraryError: h5py is not installed.

    Example::

        lstm = read_layers("model.weights.h5")["lstm"]
    """
    selection = select(Path(path), architecture, activation=activation, recurrent_activation=recurrent_activation)
    return selection.modules(Path(path))


def select(
    path: Path,
    architecture: Path | str | None = None,
    *,
    activation: str | None = None,
    recurrent_activation: str | None = None,
) -> Selection:
    """The recurrent layers of a file, and the names of its other layers.

    Args:
        path: The file.
        architecture: As in :func:`read_layers`.
        activation: As in :func:`read_layers`.
        recurrent_activation: As in :func:`read_layers`.

    Raises:
        ModelFileError: As in :func:`read_layers`.
        MissingLibraryError: As in :func:`read_layers`.
    """
    text: str | None
    if zipfile.is_zipfile(path):
        text, version, content = _read_archive(path)
        root = read_hdf5(path, content)
    else:
        root = read_hdf5(path)
        text, version = root.text("model_config") or _architecture_text(path, architecture), _version_of(root)
    if text is not None and keras_config.lists_layers(text):
        return keras_selection.of_model(*_parse_model(root, text, version, path), path)
    activations = {"activation": activation, "recurrent_activation": recurrent_activation}
    options = {name: value for name, value in activations.items() if value is not None}
    return keras_selection.of_weights(root, version, options, path)


def _parse_model(root: Group, text: str, version: str, path: Path) -> tuple[Model, dict[str, list[Tensor]]]:
    """The model of a configuration, and its weights in an HDF5 file."""
    model = inline_models(keras_config.parse_configuration(text, version, path, _backend_of(root)))
    if keras_weights.all_layers(root) is None:
        return model, keras_weights.by_layer(keras_weights.by_name(root), model.layers)
    return model, keras_weights.by_class(root, model.layers)


def _read_archive(path: Path) -> tuple[str, str, bytes]:
    """The configuration, the version and the bytes of the weights' file in a ``.keras`` file."""
    entries = keras_archive.read_archive(path)
    version, text = _version(entries[keras_archive.METADATA], path), _text(entries[keras_archive.CONFIGURATION], path)
    return text, version, entries[keras_archive.WEIGHTS]


def _infer_model(root: Group, path: Path) -> tuple[Model, dict[str, list[Tensor]]]:
    """The model that weights alone determine, and the weights."""
    if keras_weights.all_layers(root) is not None:
        return model_from_weights.by_class(root, path)
    weights = {name: list(arrays.values()) for name, arrays in keras_weights.by_name(root).items()}
    return model_from_weights.by_name(weights, _version_of(root), path), weights


def _version_of(root: Group) -> str:
    return root.text("keras_version") or (root.group("model_weights") or root).text("keras_version") or ""


def _backend_of(root: Group) -> str:
    return root.text("backend") or (root.group("model_weights") or root).text("backend") or ""


def _architecture_text(path: Path, architecture: Path | str | None) -> str | None:
    """The configuration from its own file; None if there is no such file."""
    if architecture is None:
        architecture = path.with_name(path.name.removesuffix(".h5").removesuffix(".weights") + ".json")
        if not architecture.is_file():
            return None
    architecture = Path(architecture)
    try:
        if architecture.stat().st_size > MAX_TEXT_BYTES:
            raise ModelFileError(
                f"{architecture} has more than {MAX_TEXT_BYTES:,} bytes, the most that are read of a model.json."
            )
        return _text(architecture.read_bytes(), architecture)
    except OSError as error:
        raise ModelFileError(f"{architecture} cannot be read: {error.strerror}. Check the path.") from error


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFileError(
            f"{path} is damaged: its configuration is not UTF-8 text. Take another copy of it."
        ) from error


def _version(metadata: bytes, path: Path) -> str:
    """The version of Keras that wrote a ``.keras`` file."""
    try:
        version = json.loads(_text(metadata, path))["keras_version"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{path} is damaged: its metadata have no keras_version. Take another copy of it."
        ) from error
    if not isinstance(version, str):
        raise ModelFileError(f"{path} is damaged: its keras_version is not a text. Take another copy of it.")
    return version
