"""``holdfast.convert``: a model from one format to another, with a look at whether it still says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError, MissingLibraryError, OptionError
from holdfast.inspect import Summary, summarise
from holdfast.interop import formats
from holdfast.interop import trained as as_network
from holdfast.interop.examples import STEPS, example_inputs
from holdfast.interop.formats import LAYERS
from holdfast.interop.listing import Listing, listing
from holdfast.interop.network import Network
from holdfast.interop.time_first import batch_first
from holdfast.tasks import model_file

_EXCHANGED = "The model takes the time first, and the file written the batch first: [B, T, I], and so for its outputs."


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` did; ``print`` it.

    Attributes:
        source: The file that was read.
        source_format: Its format.
        dest: The file that was written.
        dest_format: Its format.
        layers: The layers, by their names in the source.
        checks: The largest difference between the outputs on random input, of the model and of what it was compared
            with: ``"source"``, the source as its own software computes it; ``"dest"``, the file that was written, as
            its format's software computes it or as it is read again.
        unchecked: Why there is no such difference, by the same names.
        note: What is different in the file written, in a sentence; empty for nothing. The note of ``layers`` says what
            was passed over in the source.
    """

    source: Path
    source_format: str
    dest: Path
    dest_format: str
    layers: Listing | Summary
    checks: dict[str, float]
    unchecked: dict[str, str]
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
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
        source_format: A name of :data:`holdfast.interop.formats.FORMATS`; None to tell it by the file.
        dest_format: The same; None to tell it by the ending of ``dest``.
        options: What the format of the source takes beside the file, such as ``nonlinearity`` for PyTorch; others go to
            the format of ``dest``. With ``layers``, the recurrent layers of these names alone, apart by commas, or all
            of them for ``"*"``; whatever else has weights is passed over, and named in the summary.
        force: Replace a file that is there.

    Raises:
        ModelFileError: The source cannot be read, or ``dest`` not be written.
        ConversionError: The model has something that has no counterpart; the message names the layer and the option.
        OptionError: There is no such format or option, or ``dest`` is there already.
        MissingLibraryError: A format needs a library that is not installed.
    """
    source, dest = Path(source), Path(dest)
    target = formats.known(dest_format) if dest_format else formats.by_ending(dest)
    if dest.exists() and not force:
        raise OptionError(f"{dest} is there already. Give another name, or --force (force=True) to replace it.")
    found = formats.known(source_format) if source_format else formats.told(source)
    given = dict(options or {})
    reading = {name: given.pop(name) for name in list(given) if formats.takes(found, name)}
    if LAYERS in reading:
        network, passed_over = _chosen(source, found, **reading)
    elif target.writes_trained and found.name == "holdfast" and not as_network.is_network(source):
        task, model = model_file.load(source)
        files = formats.write_trained(dest, task, model, target, **given)
        table = summarise(model, task.example_inputs)
        return Conversion(source, found.name, dest, target.name, table, {"dest": max(files.values())}, {})
    else:
        network, passed_over = formats.read(source, found.name, **reading), ""
    checks: dict[str, float] = {}
    unchecked: dict[str, str] = {}
    try:
        whole = LAYERS not in reading or found.selects is not None  # else the source's software runs all of the model
        difference = formats.difference(source, network, found.name) if whole else None
        checks |= {} if difference is None else {"source": difference}
    except (ConversionError, MissingLibraryError) as error:
        unchecked["source"] = str(error)
    written, note = network, ""
    if target.batch_first:
        written = batch_first(network)
        note = "" if written is network else _EXCHANGED
    found_by_writer = formats.write(dest, written, target.name, **given)
    if found_by_writer is not None:
        checks["dest"] = found_by_writer
    elif target.whole:
        try:
            checks["dest"] = _difference(written, formats.read(dest, target.name))
        except ConversionError as error:
            unchecked["dest"] = str(error)
    layers = replace(listing(network), note=passed_over)
    return Conversion(source, found.name, dest, target.name, layers, checks, unchecked, note)


def _chosen(source: Path, found: formats.Format, **options: Any) -> tuple[Network, str]:
    """Some recurrent layers of the source alone, and what is passed over."""
    names = str(options.pop(LAYERS))
    chosen = formats.select(source, found.name, **options)
    network = chosen.network(names, source)
    return network, chosen.note(network)


def _difference(one: Network, other: Network) -> float:
    """The largest difference between the outputs of two networks on the same random input.

    Raises:
        ConversionError: The first one takes another number of steps than is made up.
    """
    inputs = example_inputs(one)
    with torch.inference_mode():
        try:
            mine = one(*inputs)
        except RuntimeError as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise ConversionError(
                f"it does not run on the sequences of {STEPS} steps made up for that ({reason})"
            ) from error
        pairs = zip(_outputs(mine), _outputs(other(*inputs)), strict=True)
        return max(float((a - b).abs().max()) for a, b in pairs)


def _outputs(value: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else list(value)
