"""``holdfast.convert``: converts a model to another format and checks that it still computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError, MissingLibraryError, OptionError
from holdfast.inspect import Summary, summarise
from holdfast.interop import formats, trained
from holdfast.interop.examples import STEPS, example_inputs
from holdfast.interop.format_table import LAYERS, Format, detect_format, format_to_write
from holdfast.interop.listing import first_names, listing
from holdfast.interop.network import Network
from holdfast.interop.time_first import batch_first
from holdfast.tasks import model_file

_EXCHANGED = "The model takes the time first. The file written takes and gives the batch first: [B, T, I]."


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` did; ``print`` it.

    Attributes:
        source: The file that was read.
        source_format: Its format.
        dest: The file that was written.
        dest_format: Its format.
        layers: The layers, by their names in the source.
        checks: The largest differences between the model's outputs and others on random input. ``"source"``: the
            source, computed by its own software; ``"dest"``: the written file, computed by its format's software or
            read back.
        unchecked: Why a difference is missing, by the same names.
        note: How the written file differs from the model, in a sentence: which parts it does not hold, or that time and
            batch are exchanged; empty if it does not differ. The note of ``layers`` says what was ignored in the
            source.
    """

    source: Path
    source_format: str
    dest: Path
    dest_format: str
    layers: Summary
    checks: dict[str, float]
    unchecked: dict[str, str]
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """All attributes, for JSON."""
        layers = self.layers.as_dict()
        note = " ".join(part for part in (layers.pop("note", ""), self.note) if part)
        return {
            "source": {"path": str(self.source), "format": self.source_format},
            "dest": {"path": str(self.dest), "format": self.dest_format},
            **layers,
            "largest_difference": self.checks,
            "not_measured": self.unchecked,
        } | ({"note": note} if note else {})

    def __str__(self) -> str:
        lines = [str(self.layers)]
        for name, words in (("source", f"from {self.source_format}'s own results"), ("dest", "of the file written")):
            if name in self.checks:
                lines.append(f"Largest difference {words}: {self.checks[name]:.1e}")
            elif name in self.unchecked:
                lines.append(f"Largest difference {words}: not measured; {self.unchecked[name]}")
        lines += [self.note] if self.note else []
        return "\n".join([*lines, f"{self.source} ({self.source_format}) -> {self.dest} ({self.dest_format})"])


def convert(
    source: Path | str,
    dest: Path | str,
    *,
    source_format: str | None = None,
    dest_format: str | None = None,
    options: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Conversion:
    """Converts a model from one format to another. Nothing in the source can run code.

    Args:
        source: A model file, a run directory of Holdfast, or the prefix of a checkpoint.
        dest: The file to write.
        source_format: A name of :data:`holdfast.interop.format_table.FORMATS`; None to detect it.
        dest_format: The same; None to choose it by the ending of ``dest``.
        options: The options of the source's format, such as ``nonlinearity`` for PyTorch; the others go to the format
            of ``dest``. ``layers`` names the recurrent layers to read alone, separated by commas, or all of them
            (``"*"``); other parts with weights are ignored, and the summary names them.
        force: Replace an existing file.

    Raises:
        ModelFileError: The source cannot be read, or ``dest`` cannot be written.
        ConversionError: A part of the model has no counterpart; the message names the layer and the option.
        OptionError: There is no such format or option, or ``dest`` exists already.
        MissingLibraryError: A format needs a library that is not installed.

    Example:
        >>> import torch
        >>> import holdfast
        >>> torch.save(torch.nn.LSTM(3, 4).state_dict(), "lstm.pt")
        >>> conversion = holdfast.convert("lstm.pt", "lstm.safetensors")
        >>> list(holdfast.interop.formats.read_layers("lstm.safetensors"))
        ['lstm']
    """
    source, dest = Path(source), Path(dest)
    target = format_to_write(dest, dest_format)
    if dest.exists() and not force:
        raise OptionError(f"{dest} is there already. Give another name, or --force (force=True) to replace it.")
    origin = detect_format(source, source_format)
    write_options = dict(options or {})
    read_options = {name: write_options.pop(name) for name in list(write_options) if origin.has_read_option(name)}
    has_form = target.writes_trained and origin.name == "holdfast" and LAYERS not in read_options
    if has_form and not trained.is_network(source):
        return _write_trained(source, dest, target, write_options)
    network, passed_over = _read(source, origin, read_options)
    complete = LAYERS not in read_options or origin.selects is not None  # else the other software runs the whole model
    checks: dict[str, float] = {}
    unchecked: dict[str, str] = {}
    if complete:
        _measure("source", lambda: formats.difference(source, network, origin.name), checks, unchecked)
    written = batch_first(network) if target.batch_first else network
    difference = formats.write(dest, written, target.name, **write_options)
    if difference is not None:
        checks["dest"] = difference
    elif target.whole:
        _measure("dest", lambda: _difference(written, formats.read(dest, target.name)), checks, unchecked)
    exchanged = "" if written is network else _EXCHANGED
    note = exchanged if target.whole else _parts_not_held(written)
    layers = replace(listing(network), note=passed_over)
    return Conversion(source, origin.name, dest, target.name, layers, checks, unchecked, note)


def _write_trained(source: Path, dest: Path, target: Format, options: dict[str, Any]) -> Conversion:
    """Converts a trained model of Holdfast to a format that has a form for the models of every task."""
    task, model = model_file.load(source)
    differences: dict[Path, float] = target.call(target.writes_trained, dest, task, model, **options)
    table = summarise(model, task.example_inputs)
    return Conversion(source, "holdfast", dest, target.name, table, {"dest": max(differences.values())}, {})


def _read(source: Path, origin: Format, options: dict[str, Any]) -> tuple[Network, str]:
    """The network of the source, and a sentence about what was not read; with ``layers``, of those layers alone."""
    if LAYERS not in options:
        return formats.read(source, origin.name, **options), ""
    names = str(options.pop(LAYERS))
    selection = formats.select_layers(source, origin.name, **options)
    network = selection.network(names, source)
    return network, selection.note(network)


def _measure(
    name: str, compare: Callable[[], float | None], checks: dict[str, float], unchecked: dict[str, str]
) -> None:
    """Puts the result of a comparison into ``checks``, or the reason why it cannot be made into ``unchecked``."""
    try:
        difference = compare()
    except (ConversionError, MissingLibraryError) as error:
        unchecked[name] = str(error)
    else:
        checks |= {} if difference is None else {name: difference}


def _difference(network: Network, other: Network) -> float:
    """The largest difference between the outputs of two networks on the same random input.

    Raises:
        ConversionError: The first network does not run on the number of steps in the random input.
    """
    inputs = example_inputs(network)
    with torch.inference_mode():
        try:
            outputs = network(*inputs)
        except RuntimeError as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise ConversionError(
                f"it does not run on the sequences of {STEPS} steps made up for that ({reason})"
            ) from error
        pairs = zip(_outputs(outputs), _outputs(other(*inputs)), strict=True)
        return max(float((a - b).abs().max()) for a, b in pairs)


def _outputs(value: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else list(value)


def _parts_not_held(network: Network) -> str:
    """A sentence about the parts that a file of weights alone does not hold, as they have none; "" if all have."""
    names = [f"{node.name} ({node.kind})" for node in network.nodes if not network.module(node.name).state_dict()]
    if not names:
        return ""
    return (
        f"The file holds weights only, so it does not hold the parts without weights: {first_names(names)}. The model "
        "that loads it must have them."
    )
