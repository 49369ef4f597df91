"""The table of model formats, and how a file's format is found: by name, by its bytes, or by ending.

The code of a format is imported when it is first used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, NamedTuple, cast

from holdfast.errors import ModelFileError, OptionError, did_you_mean
from holdfast.files.pointers import refuse_pointers

LAYERS = "layers"
"""The option that names the recurrent layers to read alone."""
_START_BYTES = 2**16
_LEVELDB_MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
_SECOND_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42\x72"  # the tags of the fields that follow the version in an ONNX model


class FileEnds(NamedTuple):
    """The bytes that tell a file's format.

    Attributes:
        start: The first bytes, up to 65,536.
        end: The last eight bytes.
    """

    start: bytes
    end: bytes


def _read_ends(path: Path) -> FileEnds:
    """Reads the first and the last bytes of a file.

    Raises:
        ModelFileError: The file does not exist or cannot be read.
    """
    try:
        with index_or_file(path).open("rb") as handle:
            start = handle.read(_START_BYTES)
            handle.seek(-min(8, handle.seek(0, os.SEEK_END)), os.SEEK_END)
            return FileEnds(start, handle.read())
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there. Check the path.") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error


def index_or_file(path: Path) -> Path:
    """The file itself, or ``PATH.index`` where ``PATH`` is the prefix of a TensorFlow checkpoint's files."""
    index = path.with_name(f"{path.name}.index")
    return index if index.exists() and not path.exists() else path


def _is_holdfast(file: FileEnds) -> bool:
    """Whether the file is a safetensors file with Holdfast's metadata."""
    return file.start[8:9] == b"{" and b'"holdfast_' in file.start


def _is_pytorch(file: FileEnds) -> bool:
    """Whether ``torch.save`` wrote the file (in its zip or its older form), or it is another safetensors file."""
    if file.start.startswith(b"PK\x03\x04"):
        return b"data.pkl" in file.start or b"/version" in file.start
    return file.start.startswith(b"\x80\x02\x8a\nl\xfc\x9cF\xf9") or (
        file.start[8:9] == b"{" and b'"dtype"' in file.start and not _is_holdfast(file)
    )


def _is_tf1(file: FileEnds) -> bool:
    """Whether the file is a LevelDB table: every one ends in the same eight bytes."""
    return file.end == _LEVELDB_MAGIC


def _is_keras(file: FileEnds) -> bool:
    """Whether the file is the zip of a ``.keras`` file, or an HDF5 file."""
    if file.start.startswith(b"PK\x03\x04"):
        return b"metadata.json" in file.start or b"config.json" in file.start
    return file.start.startswith(b"\x89HDF\r\n\x1a\n")


def _is_onnx(file: FileEnds) -> bool:
    """Whether the file is a protobuf whose first field is a small version number, followed by a field of a model."""
    start = file.start[:3]
    return len(start) == 3 and start[0] == 8 and 0 < start[1] < 64 and start[2] in _SECOND_FIELDS


@dataclass(frozen=True)
class Format:
    """A format. Its functions are given as ``"module:function"``.

    Attributes:
        name: Its name, as ``--from`` and ``--to`` take it.
        extensions: The endings of its files.
        carries: What it can hold, for the documentation.
        matches: Whether the bytes of a file are of this format.
        reads: ``read(path, **options) -> Network``.
        writes: ``write(path, network, **options)``; may return the difference between the file and the network. None
            for a format that is only read.
        compares: ``difference(path, network) -> float``: the largest difference, on random input, between the format's
            own software and the network; None if there is no such function.
        lists: ``describe_layers(path)``: a :class:`~holdfast.layers.summary.LayerRow` per layer of a file that may not
            be a network; None if there is no such function.
        selects: ``select(path, **options)``: the recurrent layers of a file alone, as a
            :class:`~holdfast.interop.selection.Selection`; None to take them from the network.
        whole: Whether a file holds a complete model, so that a written file can be read back and compared. If not, it
            holds the weights alone.
        batch_first: Whether every model of the format takes the batch first. A network that takes the time first is
            then written with the two exchanged.
        writes_trained: ``write(path, task, model, **options)`` for trained models of every task; returns the files and
            the difference of each from the model. None to write them as networks.
    """

    name: str
    extensions: tuple[str, ...]
    carries: str
    matches: Callable[[FileEnds], bool]
    reads: str
    writes: str | None = None
    compares: str | None = None
    lists: str | None = None
    selects: str | None = None
    whole: bool = True
    batch_first: bool = False
    writes_trained: str | None = None

    def call(self, function: str | None, *arguments: Any, **options: Any) -> Any:
        """Imports one of the format's functions and calls it.

        Raises:
            OptionError: The function does not have one of the options.
        """
        loaded = _load(function)
        known = _option_names(loaded)
        for option in options:
            if known is not None and option not in known:
                hint = did_you_mean(option, known) if known else "it has none."
                raise OptionError(f"The format {self.name!r} has no option {option!r}: {hint}")
        return loaded(*arguments, **options)

    def has_read_option(self, option: str) -> bool:
        """Whether reading this format takes an option of that name."""
        known = [_option_names(_load(function)) for function in (self.reads, self.selects) if function]
        return option == LAYERS or any(names is None or option in names for names in known)


def _load(function: str | None) -> Callable[..., Any]:
    module, _, name = str(function).partition(":")
    return cast(Callable[..., Any], getattr(import_module(module), name))


def _option_names(function: Callable[..., Any]) -> list[str] | None:
    """The optional arguments of a function; None for a function that takes any and checks them itself."""
    parameters = signature(function).parameters.values()
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters if parameter.default is not Parameter.empty]


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format(
            "holdfast",
            (".safetensors",),
            "everything; read also: trained classifiers, regressors, language models and taggers of numbers",
            _is_holdfast,
            "holdfast.interop.trained:read",
            "holdfast.interop.network:save",
            lists="holdfast.interop.trained:describe_layers",
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
            "holdfast.interop.pytorch.files:describe_layers",
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
            writes_trained="holdfast.interop.onnx.forms:write_trained",
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
"""The formats by name. A file is of the first format that matches it."""


def detect_format(path: Path, name: str | None = None) -> Format:
    """The format of a file to read, by its bytes; a folder is a run of Holdfast or holds TensorFlow's checkpoints.

    Args:
        path: The file or folder.
        name: The format's name, if it is known.

    Raises:
        ModelFileError: The file does not exist, is a Git LFS pointer, or is of no known format.
        OptionError: There is no format of that name.
    """
    refuse_pointers([] if path.is_dir() else [index_or_file(path)], ModelFileError)
    if name:
        return _format_named(name)
    if path.is_dir():
        return FORMATS["tf1" if (path / "checkpoint").is_file() else "holdfast"]
    ends = _read_ends(path)
    for format in FORMATS.values():
        if format.matches(ends):
            return format
    raise ModelFileError(
        f"{path} does not begin like a file of any known format: {', '.join(FORMATS)}. If it is of one of them, "
        "convert it by `holdfast convert --from FORMAT`."
    )


def format_to_write(path: Path, name: str | None = None) -> Format:
    """The format to write a file in, by its ending.

    Args:
        path: The file.
        name: The format's name, if it is known.

    Raises:
        OptionError: There is no format of that name, or no format has this ending.
    """
    if name:
        return _format_named(name)
    for format in FORMATS.values():
        if path.name.endswith(format.extensions):
            return format
    endings = ", ".join(f"{ending} ({one.name})" for one in FORMATS.values() for ending in one.extensions if one.writes)
    raise OptionError(f"{path} has the ending of no format; expected {endings}, or name the format with --to.")


def _format_named(name: str) -> Format:
    if name not in FORMATS:
        raise OptionError(f"There is no format {name!r}: {did_you_mean(name, FORMATS)}")
    return FORMATS[name]
