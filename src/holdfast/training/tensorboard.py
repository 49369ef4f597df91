"""TensorBoard: the rows of a history as scalars, beside each other in its pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast.errors import MissingLibraryError
from holdfast.training.listener import Listener, Plan


class TensorBoard(Listener):
    """Writes event files that ``tensorboard --logdir FOLDER`` shows.

    The loss and each metric have one chart with the curves ``train`` and ``validation``; ``learning_rate`` has its own.
    The horizontal axis is the number of updates. A run that is resumed goes on in the same curves.

    Args:
        folder: Where to write; it is created.

    Raises:
        MissingLibraryError: The library tensorboard is not installed.

    Example:
        >>> experiment.train(recipe, Path("runs/digits"), listeners=[TensorBoard(Path("runs/digits/tensorboard"))])
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingLibraryError(
                "TensorBoard's library is missing: pip install 'holdfast[tensorboard]'."
            ) from error
        self._writer_class, self._folder = SummaryWriter, folder
        self._writers: dict[str, Any] = {}

    def begin(self, plan: Plan) -> None:
        """Opens the files; what was written after the checkpoint of a resumed run is hidden."""
        purge = plan.done + 1 if plan.done else None
        self._writers = {
            part: self._writer_class(str(self._folder / part), purge_step=purge) for part in ("train", "validation")
        }

    def log(self, row: dict[str, Any]) -> None:
        """Writes the training metrics since the last such row."""
        self._write("train", row, suffix=" (since the last row)")

    def epoch(self, row: dict[str, Any]) -> None:
        """Writes the metrics of an epoch."""
        self._write("train", row)
        self._writers["train"].add_scalar("learning_rate", row["learning_rate"], row["step"])
        if "validation" in row:
            self._write("validation", row)

    def end(self) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _write(self, part: str, row: dict[str, Any], suffix: str = "") -> None:
        for name, value in row[part].items():
            self._writers[part].add_scalar(name + suffix, value, row["step"])
