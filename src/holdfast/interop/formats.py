"""Model files of any format: read, written, listed and compared with the format's own software."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from holdfast.errors import ConversionError
from holdfast.interop.format_table import LAYERS, detect_format, format_to_write
from holdfast.interop.listing import listing
from holdfast.interop.network import Network
from holdfast.interop.selection import Selection, select_from_network
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.layers.summary import Summary, listed


def read(path: Path | str, format: str | None = None, **options: Any) -> Network:
    """The model in a file of any format, in evaluation mode. Nothing in a file can run code.

    Args:
        path: The file; a run directory of Holdfast; the prefix of a checkpoint.
        format: A name of :data:`~holdfast.interop.format_table.FORMATS`; None to detect it.
        **options: The options of the format's own ``read``, such as ``nonlinearity`` for PyTorch. Or ``layers``: the
            names of recurrent layers to read alone, separated by commas, or ``"*"`` for all, with the options of the
            format's ``read_layers``. Each such layer has its own input and output.

    Raises:
        ModelFileError: The file does not exist, is damaged, or is of no known format.
        ConversionError: Something in it has no counterpart in Holdfast; the message names it.
        OptionError: There is no such format or option.
        MissingLibraryError: The format needs a library that is not installed.
    """
    path = Path(path)
    if LAYERS in options:
        names = str(options.pop(LAYERS))
        return select_layers(path, format, **options).network(names, path)
    source = detect_format(path, format)
    return cast(Network, source.call(source.reads, path, **options))


def read_layers(path: Path | str, format: str | None = None, **options: Any) -> dict[str, RecurrentLayer]:
    """The recurrent layers alone of a file of any format; the rest of the file is ignored.

    Args:
        path: As in :func:`read`.
        format: As in :func:`read`.
        **options: The options of the format's own ``read_layers``, such as ``nonlinearity`` for PyTorch.

    Returns:
        Layers, batch first, by their names in the file.

    Raises:
        HoldfastError: As in :func:`read`, or there is no recurrent layer.
    """
    path = Path(path)
    return select_layers(path, format, **options).modules(path)


def select_layers(path: Path, format: str | None = None, **options: Any) -> Selection:
    """The recurrent layers of a file and the names of its other parts.

    Args:
        path: The file.
        format: As in :func:`read`.
        **options: As in :func:`read_layers`.
    """
    source = detect_format(path, format)
    if source.selects is None:
        return select_from_network(cast(Network, source.call(source.reads, path, **options)))
    return cast(Selection, source.call(source.selects, path, **options))


def write(path: Path | str, network: Network, format: str | None = None, **options: Any) -> float | None:
    """Writes a model, atomically; an existing file is replaced.

    Args:
        path: The file.
        network: The model.
        format: A name of :data:`~holdfast.interop.format_table.FORMATS`; None to choose it by the ending of ``path``.
        **options: The options of the format's own ``write``.

    Returns:
        The largest difference between the model and the file as the format's own software computes it, where the
        format's ``write`` measures it; else None.

    Raises:
        ConversionError: The format cannot hold a part of the model; the message names the layer and the option.
        ModelFileError: The file cannot be written.
        OptionError: There is no such format, or no format has this ending.
        MissingLibraryError: The format needs a library that is not installed.
    """
    path = Path(path)
    target = format_to_write(path, format)
    if target.writes is None:
        raise ConversionError(f"Files of the format {target.name!r} are read, not written. Choose another with --to.")
    return cast(float | None, target.call(target.writes, path, network, **options))


def difference(path: Path, network: Network, format: str) -> float | None:
    """The largest difference, on random input, between a network and its file as the format's own software computes it.

    Args:
        path: The file.
        network: The network.
        format: A name of :data:`~holdfast.interop.format_table.FORMATS`.

    Returns:
        The difference; None if the format has no such comparison.

    Raises:
        MissingLibraryError: That software is not installed.
    """
    source = detect_format(path, format)
    return cast(float, source.call(source.compares, path, network)) if source.compares else None


def list_layers(path: Path | str, format: str | None = None) -> Summary:
    """The layers in a file of any format: of its model, or one by one if the file does not determine the model.

    Args:
        path: As in :func:`read`.
        format: As in :func:`read`.

    Raises:
        HoldfastError: As in :func:`read`. A ConversionError only where the format cannot list layers without a model.
    """
    path = Path(path)
    source = detect_format(path, format)
    try:
        return listing(read(path, source.name))
    except ConversionError as error:
        if source.lists is not None:
            return listed(source.call(source.lists, path), str(error))
        if source.selects is None:
            raise
        selection = select_layers(path, source.name)
        if not selection.layers:
            raise
        network = selection.network("*", path)
        return listed(listing(network).rows, f"{selection.note(network)} {error}".strip())
