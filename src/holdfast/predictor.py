"""Load a model once, answer many times: the command line and the server both use this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from holdfast.data import Batches, Examples, read
from holdfast.tasks import model_file


class Predictor:
    """A trained model that answers for files or for sequences in memory.

    Args:
        path: A run directory or a model file.
        device: Where to compute, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ModelFileError: There is no usable model.
    """

    def __init__(self, path: Path | str, device: str = "cpu") -> None:
        self.task, model = model_file.load(Path(path))
        self.device = torch.device(device)
        self.model = model.to(self.device)

    def read(self, paths: Sequence[Path | str]) -> Examples:
        """Reads files in the way the training files were read.

        Raises:
            MissingDataError: A file is not there.
            DataError: A file cannot be read.
        """
        return read([Path(path) for path in paths], self.task.encoder.settings)

    def predict(self, paths: Sequence[Path | str], batch_size: int = 256) -> Iterator[dict[str, Any]]:
        """One answer a sequence, in the order of the files.

        Args:
            paths: Files or folders of the kinds that could be trained on; labels are not needed.
            batch_size: Sequences computed at once.

        Returns:
            For classification: ``origin`` (where the sequence came from), ``label``, ``probabilities``.

        Raises:
            DataError: As in :meth:`read`, or a sequence has another number of channels than those trained on.
        """
        return self.answer(self.read(paths), batch_size)

    def answer(self, examples: Examples, batch_size: int = 256) -> Iterator[dict[str, Any]]:
        """As :meth:`predict`, for sequences in memory."""
        unlabelled = Examples(examples.inputs, None, examples.origins)
        batches = Batches(self.task.encoder.encode(unlabelled), batch_size)
        origins = iter(examples.origins)
        for batch in batches.epoch(0):
            with torch.inference_mode():
                answers = self.task.answers(self.model, batch.to(self.device))
            for answer in answers:
                yield {"origin": next(origins), **answer}
