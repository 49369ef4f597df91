"""Models of Keras 1, 2 and 3, read and written without Keras: ``.keras``, ``.weights.h5`` and ``.h5``.

    ``.keras``       Keras 3: a zip of ``config.json``, ``metadata.json`` and ``model.weights.h5``.
    ``.weights.h5``  Keras 3: the weights alone, named after the classes of the layers.
    ``.h5``          Keras 1 and 2: the configuration is an attribute, or (``save_weights``) not there.

Nothing in a file is run: Lambda layers, pickles and classes of somebody's own are refused.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from torch import Tensor

from holdfast.errors import ModelFileError
from holdfast.interop.keras import archive as keras_archive
from holdfast.interop.keras import config as keras_config
from holdfast.interop.keras import derive as keras_derive
from holdfast.interop.keras import layers as keras_layers
from holdfast.interop.keras import select as keras_select
from holdfast.interop.keras import weights as keras_weights
from holdfast.interop.keras.expand import expanded
from holdfast.interop.keras.hdf5 import MAX_TEXT_BYTES, Group
from holdfast.interop.keras.hdf5 import read as read_hdf5
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
        architecture: What ``model.to_json()`` gave, as a file, for weights that come without a configuration. None for
            the file of the same name that ends in ``.json``, if there is one: ``model.json`` beside ``model.h5`` or
            ``model.weights.h5``. Without either, a chain of recurrent layers is made of what the weights say, with
            Keras's defaults.

    Raises:
        ModelFileError: The file is not there, truncated, damaged, or no model of Keras.
        ConversionError: A layer or an option has no counterpart here; the message names both. Or the file has weights
            alone, and does not say what model they are of.
        MissingLibraryError: h5py is not installed.
    """
    path = Path(path)
    if zipfile.is_zipfile(path):
        text, version, content = _archived(path)
        model = expanded(keras_config.parse(text, version, path))
        return keras_layers.network(model, keras_weights.by_class(read_hdf5(path, content), model.layers), path)
    root = read_hdf5(path)
    given = root.text("model_config") or _given(path, architecture)
    model, arrays = _derived(root, path) if given is None else _configured(root, given, _version_of(root), path)
    return keras_layers.network(model, arrays, path)


def read_layers(
    path: Path | str,
    architecture: Path | str | None = None,
    *,
    activation: str | None = None,
    recurrent_activation: str | None = None,
) -> dict[str, RecurrentLayer]:
    """The recurrent layers of a Keras file alone, whatever stands around them; other layers are passed over.

    Args:
        path: The file; one of weights alone, and of a model of somebody's own, will do.
        architecture: As :func:`read` takes it. Without one, what the shapes of the weights do not say is Keras's
            default.
        activation: That of every layer, by Keras's name, in a file of weights alone; None for the default.
        recurrent_activation: The same of the gates.

    Returns:
        Layers, batch first, by their names; in a file of weights of Keras 3, by the names of their classes, such as
        ``lstm_1``. A layer in a model within the model is called ``MODEL/LAYER``. One that goes backwards has
        ``reverse=True``. The two layers of a Bidirectional that are no two directions of one are ``NAME/forward`` and
        ``NAME/backward``.

    Raises:
        ModelFileError: The file is not there, truncated, damaged, or no model of Keras.
        ConversionError: It has no recurrent layer.
        MissingLibraryError: h5py is not installed.

    Example::

        lstm = read_layers("model.weights.h5")["lstm"]
    """
    chosen = select(Path(path), architecture, activation=activation, recurrent_activation=recurrent_activation)
    return chosen.modules(Path(path))


def select(
    path: Path,
    architecture: Path | str | None = None,
    *,
    activation: str | None = None,
    recurrent_activation: str | None = None,
) -> Selection:
    """The recurrent layers of a file, and the names of its other layers; the arguments are :func:`read_layers`'.

    Raises:
        ModelFileError: As in :func:`read_layers`.
        MissingLibraryError: As in :func:`read_layers`.
    """
    text: str | None
    if zipfile.is_zipfile(path):
        text, version, content = _archived(path)
        root = read_hdf5(path, content)
    else:
        root = read_hdf5(path)
        text, version = root.text("model_config") or _given(path, architecture), _version_of(root)
    if text is not None and keras_config.is_whole(text):
        return keras_select.of_model(*_configured(root, text, version, path), path)
    said = {"activation": activation, "recurrent_activation": recurrent_activation}
    options = {name: value for name, value in said.items() if value is not None}
    return keras_select.of_weights(root, version, options, path)


def _configured(root: Group, text: str, version: str, path: Path) -> tuple[Model, dict[str, list[Tensor]]]:
    """The model of a configuration, and its weights in an HDF5 file."""
    model = expanded(keras_config.parse(text, version, path, _backend_of(root)))
    if keras_weights.all_layers(root) is None:
        return model, keras_weights.spread(keras_weights.by_name(root), model.layers)
    return model, keras_weights.by_class(root, model.layers)


def _archived(path: Path) -> tuple[str, str, bytes]:
    """The configuration, the version and the weights' file of a ``.keras`` file."""
    entries = keras_archive.read(path)
    version, text = _version(entries[keras_archive.METADATA], path), _text(entries[keras_archive.CONFIGURATION], path)
    return text, version, entries[keras_archive.WEIGHTS]


def _derived(root: Group, path: Path) -> tuple[Model, dict[str, list[Tensor]]]:
    """The model that weights alone say, and these."""
    if keras_weights.all_layers(root) is not None:
        return keras_derive.by_class(root, path)
    weights = {name: list(arrays.values()) for name, arrays in keras_weights.by_name(root).items()}
    return keras_derive.by_name(weights, _version_of(root), path), weights


def _version_of(root: Group) -> str:
    return root.text("keras_version") or (root.group("model_weights") or root).text("keras_version") or ""


def _backend_of(root: Group) -> str:
    return root.text("backend") or (root.group("model_weights") or root).text("backend") or ""


def _given(path: Path, architecture: Path | str | None) -> str | None:
    """The configuration that comes in a file of its own."""
    if architecture is None:
        architecture = path.with_name(path.name.removesuffix(".h5").removesuffix(".weights") + ".json")
        if not architecture.is_file():
            return None
    architecture = Path(architecture)
    try:
        if architecture.stat().st_size > MAX_TEXT_BYTES:
            raise ModelFileError(
                f"{architecture} is larger than the {MAX_TEXT_BYTES:,} bytes that are read of a model.json."
            )
        return _text(architecture.read_bytes(), architecture)
    except OSError as error:
        raise ModelFileError(f"{architecture} cannot be read: {error.strerror}. Check the path.") from error


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFileError(
            f"{path} is damaged: its configuration is no UTF-8 text. Take another copy of it."
        ) from error


def _version(metadata: bytes, path: Path) -> str:
    """The version of Keras that wrote a ``.keras`` file."""
    try:
        version = json.loads(_text(metadata, path))["keras_version"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{path} is damaged: its metadata say no keras_version. Take another copy of it."
        ) from error
    if not isinstance(version, str):
        raise ModelFileError(f"{path} is damaged: its keras_version is no text. Take another copy of it.")
    return version
