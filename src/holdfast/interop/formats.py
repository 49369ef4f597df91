"""The formats that models are read from and written to, and how a file's is told.

The code of a format is loaded when it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import nn

from holdfast.errors import ConversionError, ModelFileError, OptionError, did_you_mean
from holdfast.files.pointers import refuse_pointers
from holdfast.interop.listing import Listing, listing
from holdfast.interop.network import Network
from holdfast.interop.selection import Selection, of_network
from holdfast.layers.recurrent_layer import RecurrentLayer

LAYERS = "layers"
"""The option that names the recurrent layers to read alone."""
_LOOKED_AT = 2**16


class Beginning(NamedTuple):
    """What a format is told by.

    Attributes:
        path: The file.
        start: Its first bytes, up to 65,536.
        end: Its last eight bytes.
    """

    path: Path
    start: bytes
    end: bytes


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: What it is called by ``--from`` and ``--to``.
        extensions: What its files' names end with.
        carries: What can be said in it, for the documentation.
        begins: Whether a file begins as its files do.
        reads: ``"module:function"`` of ``read(path, **options) -> Network``.
        writes: The same of ``write(path, network, **options)``, which may give how far the file is from the network;
            None where it is only read.
        compares: The same of ``difference(path, network) -> float``, the largest difference between what the format's
            own software makes of random input and what the network does; None where there is none.
        lists: The same of ``lines(path)``, which gives a :class:`~holdfast.interop.listing.Line` for each layer of a
            file that may be no network; None where there is none.
        selects: The same of ``select(path, **options)``, which gives the recurrent layers of a file alone, as a
            :class:`~holdfast.interop.selection.Selection`; None where they are taken from the network.
        whole: Whether a file says all of a model, so that what was written can be read back and compared.
        batch_first: Whether every model in it takes the batch first, so that one that takes the time first is written
            with the two exchanged.
        writes_trained: The same of ``write(path, task, model, **options)`` for models of every task, which gives the
            files and how far each is from the model; None where they are written as networks.
    """

    name: str
    extensions: tuple[str, ...]
    carries: str
    begins: Callable[[Beginning], bool]
    reads: str
    writes: str | None = None
    compares: str | None = None
    lists: str | None = None
    selects: str | None = None
    whole: bool = True
    batch_first: bool = False
    writes_trained: str | None = None


def _is_holdfast(file: Beginning) -> bool:
    return file.start[8:9] == b"{" and b'"holdfast_' in file.start


def _is_pytorch(file: Beginning) -> bool:
    if file.start.startswith(b"PK\x03\x04"):
        return b"data.pkl" in file.start or b"/version" in file.start
    return file.start.startswith(b"\x80\x02\x8a\nl\xfc\x9cF\xf9") or (
        file.start[8:9] == b"{" and b'"dtype"' in file.start and not _is_holdfast(file)
    )


def _is_tf1(file: Beginning) -> bool:
    return file.end == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # every table of LevelDB's ends so


def _is_keras(file: Beginning) -> bool:
    if file.start.startswith(b"PK\x03\x04"):
        return b"metadata.json" in file.start or b"config.json" in file.start
    return file.start.startswith(b"\x89HDF\r\n\x1a\n")


def _is_onnx(file: Beginning) -> bool:
    # A protobuf whose first field is the version, a small number; behind it stands one of those that a model has.
    start = file.start[:3]
    return len(start) == 3 and start[0] == 8 and 0 < start[1] < 64 and start[2] in b"\x12\x1a\x22\x28\x32\x3a\x42\x72"


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format(
            "holdfast",
            (".safetensors",),
            "everything; read also: trained classifiers, language models and taggers of numbers",
            _is_holdfast,
            "holdfast.interop.trained:read",
            "holdfast.interop.network:save",
        ),
        Format(
            "pytorch",
            (".pt", ".pth", ".bin"),
            "weights and names; read where they can only be embedding, recurrent layers, linear layer; or the "
            "recurrent layers alone",
            _is_pytorch,
            "holdfast.interop.pytorch.files:read",
            "holdfast.interop.pytorch.files:write",
            "holdfast.interop.pytorch.files:difference",
            "holdfast.interop.pytorch.files:lines",
            "holdfast.interop.pytorch.files:select",
            whole=False,
        ),
        Format(
            "onnx",
            (".onnx",),
            "graphs of operators, with and without lengths; with `streaming` the state goes in and comes out",
            _is_onnx,
            "holdfast.interop.onnx.files:read",
            "holdfast.interop.onnx.forms:write",
            "holdfast.interop.onnx.runtime:difference",
            writes_trained="holdfast.interop.onnx.task_forms:write",
        ),
        Format(
            "tf1",
            (".index", ".ckpt"),
            "variables by name; the recurrent cells among them are read",
            _is_tf1,
            "holdfast.interop.tf1.network:read",
            selects="holdfast.interop.tf1.network:select",
        ),
        Format(
            "keras",
            (".keras",),
            "a chain of layers; read also: graphs, models within models, and the `.h5` and `.weights.h5` of Keras 1, 2 "
            "and 3",
            _is_keras,
            "holdfast.interop.keras.files:read",
            "holdfast.interop.keras.files:write",
            batch_first=True,
            selects="holdfast.interop.keras.files:select",
        ),
    )
}
"""By name; a file is what the first of them says that it begins as."""


def read(path: Path | str, format: str | None = None, **options: Any) -> Network:
    """The model in a file of any format, in evaluation mode. Nothing in a file can run code.

    Args:
        path: The file; a run directory of Holdfast; the prefix of a checkpoint.
        format: A name of :data:`FORMATS`; None to tell it by the file.
        **options: What the format's own ``read`` takes, such as ``nonlinearity`` for PyTorch; or ``layers``, the names
            of recurrent layers that are read alone, apart by commas, or ``"*"`` for all, with what the format's
            ``read_layers`` takes. Each then has an input and an output of its own.

    Raises:
        ModelFileError: The file is not there, damaged, or of no format that is known.
        ConversionError: Something in it has no counterpart in Holdfast; the message names it.
        OptionError: There is no such format or option.
        MissingLibraryError: The format needs a library that is not installed.
    """
    path = Path(path)
    _refuse_pointer(path)
    found = known(format) if format else told(path)
    if LAYERS in options:
        names = str(options.pop(LAYERS))
        return select(path, found.name, **options).network(names, path)
    return cast(Network, _called(found.reads, found, path, **options))


def read_layers(path: Path | str, format: str | None = None, **options: Any) -> dict[str, RecurrentLayer]:
    """The recurrent layers alone of a file of any format, whatever stands beside them.

    Args:
        path: As :func:`read` takes it.
        format: As :func:`read` takes it.
        **options: What the format's own ``read_layers`` takes, such as ``nonlinearity`` for PyTorch.

    Returns:
        Layers, batch first, by their names in the file.

    Raises:
        ModelFileError: As in :func:`read`.
        ConversionError: There is no recurrent layer.
        OptionError: As in :func:`read`.
        MissingLibraryError: As in :func:`read`.
    """
    path = Path(path)
    return select(path, format, **options).modules(path)


def select(path: Path, format: str | None = None, **options: Any) -> Selection:
    """The recurrent layers of a file, and what else it has; the arguments are :func:`read_layers`'.

    Raises:
        ModelFileError: As in :func:`read`.
        ConversionError: As in :func:`read`, of a format whose layers are taken from the network.
    """
    _refuse_pointer(path)
    found = known(format) if format else told(path)
    if found.selects is None:
        return of_network(cast(Network, _called(found.reads, found, path, **options)))
    return cast(Selection, _called(found.selects, found, path, **options))


def write(path: Path | str, network: Network, format: str | None = None, **options: Any) -> float | None:
    """Writes a model, atomically; a file that is there is replaced.

    Args:
        path: The file.
        network: The model.
        format: A name of :data:`FORMATS`; None to tell it by the ending of ``path``.
        **options: What the format's own ``write`` takes.

    Returns:
        How far what its own software makes of the file is from the model, where its ``write`` looks; else None.

    Raises:
        ConversionError: The format cannot say something of the model; the message names the layer and the option.
        ModelFileError: The file cannot be written.
        OptionError: There is no such format, or no format has this ending.
        MissingLibraryError: The format needs a library that is not installed.
    """
    path = Path(path)
    found = known(format) if format else by_ending(path)
    if found.writes is None:
        raise ConversionError(f"Files of the format {found.name!r} are read, not written. Choose another with --to.")
    return cast(float | None, _called(found.writes, found, path, network, **options))


def write_trained(path: Path, task: Any, model: nn.Module, format: Format, **options: Any) -> dict[Path, float]:
    """Writes a trained model of Holdfast by what its format has for them.

    Returns:
        The files, each with its largest difference from the model.
    """
    return cast(dict[Path, float], _called(format.writes_trained, format, path, task, model, **options))


def takes(format: Format, option: str) -> bool:
    """Whether the reading of a format has an option of that name."""
    places = [place for place in (format.reads, format.selects) if place]
    taken = [_options_of(_function(place)) for place in places]
    return option == LAYERS or any(names is None or option in names for names in taken)


def difference(path: Path, network: Network, format: str) -> float | None:
    """The largest difference between a network and what the software that its file is of computes, on random input.

    Returns:
        The difference; None where there is no such software.

    Raises:
        MissingLibraryError: It is not installed.
    """
    found = known(format)
    return cast(float, _called(found.compares, found, path, network)) if found.compares else None


def layers(path: Path | str, format: str | None = None) -> Listing:
    """The layers in a file of any format: of the model in it, or, where it cannot be told what that is, one by one.

    Args:
        path: The file, as in :func:`read`.
        format: As in :func:`read`.

    Raises:
        ModelFileError: As in :func:`read`.
        ConversionError: As in :func:`read`, of a format that lists no layers of what it cannot read.
        MissingLibraryError: As in :func:`read`.
    """
    path = Path(path)
    found = known(format) if format else told(path)
    try:
        return listing(read(path, found.name))
    except ConversionError as error:
        if found.lists is not None:
            return Listing(tuple(_called(found.lists, found, path)), note=str(error))
        if found.selects is None:
            raise
        chosen = select(path, found.name)
        if not chosen.layers:
            raise
        network = chosen.network("*", path)
        return Listing(listing(network).lines, note=f"{chosen.note(network)} {error}".strip())


def known(name: str) -> Format:
    """The format of that name.

    Raises:
        OptionError: There is none.
    """
    if name not in FORMATS:
        raise OptionError(f"There is no format {name!r}: {did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def told(path: Path) -> Format:
    """The format of a file, by how it begins; a folder is a run of Holdfast's or TensorFlow's checkpoints.

    Raises:
        ModelFileError: It is not there, or of no format that is known.
    """
    _refuse_pointer(path)
    if path.is_dir():
        return FORMATS["tf1" if (path / "checkpoint").is_file() else "holdfast"]
    try:
        with looked_at(path).open("rb") as handle:
            start = handle.read(_LOOKED_AT)
            handle.seek(-min(8, handle.seek(0, os.SEEK_END)), os.SEEK_END)
            file = Beginning(path, start, handle.read())
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there. Check the path.") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error
    for one in FORMATS.values():
        if one.begins(file):
            return one
    raise ModelFileError(
        f"{path} begins as no file of {', '.join(FORMATS)} does. If it is one of them, name it with --from."
    )


def _refuse_pointer(path: Path) -> None:
    refuse_pointers([] if path.is_dir() else [looked_at(path)], ModelFileError)


def looked_at(path: Path) -> Path:
    """The file itself; or ``PATH.index``, where the names of a TensorFlow checkpoint's files begin with ``PATH``."""
    index = path.with_name(f"{path.name}.index")
    return index if index.exists() and not path.exists() else path


def by_ending(path: Path) -> Format:
    """The format that files with this ending are written in.

    Raises:
        OptionError: There is none.
    """
    for one in FORMATS.values():
        if path.name.endswith(one.extensions):
            return one
    endings = ", ".join(f"{ending} ({one.name})" for one in FORMATS.values() for ending in one.extensions if one.writes)
    raise OptionError(f"{path} says by its ending no format; expected {endings}, or name the format with --to.")


def _called(place: str | None, format: Format, *arguments: Any, **options: Any) -> Any:
    """What a function of a format gives, loaded now."""
    function = _function(place)
    taken = _options_of(function)
    for option in options:
        if taken is not None and option not in taken:
            hint = did_you_mean(option, taken) if taken else "it has none."
            raise OptionError(f"The format {format.name!r} has no option {option!r}: {hint}")
    return function(*arguments, **options)


def _function(place: str | None) -> Callable[..., Any]:
    module, _, name = str(place).partition(":")
    return cast(Callable[..., Any], getattr(import_module(module), name))


def _options_of(function: Callable[..., Any]) -> list[str] | None:
    """The keyword arguments of a function: the options of a format; None where it takes any and checks them itself."""
    parameters = signature(function).parameters.values()
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters if parameter.default is not Parameter.empty]
