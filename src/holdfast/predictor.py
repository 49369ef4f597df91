"""Load a model once, answer many times: the command line and programs both use this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from holdfast.engines.devices import choose_device
from holdfast.files.pointers import refuse_pointers
from holdfast.recipes import changed
from holdfast.tasks import model_file
from holdfast.tasks.task import RecipeTask


class Predictor:
    """A trained model that answers for files, for lines of text or for examples in memory.

    Args:
        path: A run directory or a model file.
        device: Where to compute: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...; ``"auto"`` takes a GPU where there is one.
        options: How to answer, ``"key=value"`` each, beyond what the recipe's ``[predict]`` table says.

    Raises:
        ModelFileError: There is no usable model.
        OptionError: There is no such device.
        RecipeError: The task has no such option, or the value is not allowed.
    """

    def __init__(self, path: Path | str, device: str = "cpu", options: Sequence[str] = ()) -> None:
        self.device = choose_device(device)
        self.task: RecipeTask[Any]
        self.task, model = model_file.load(Path(path))
        if options:
            self.task.answering = changed(self.task.answering, options)
        self.model = model.to(self.device)

    def predict(self, paths: Sequence[Path | str], batch_size: int = 256) -> Iterator[dict[str, Any]]:
        """One answer an example, in the order of the files.

        Args:
            paths: Files or folders of the kinds that could be trained on; labels are not needed.
            batch_size: Examples computed at once.

        Returns:
            ``origin`` (where the example came from), and what the task says of it: for classification ``label`` and
            ``probabilities``.

        Raises:
            DataError: A file is not there, cannot be read, or does not fit those trained on.
        """
        return self.answer(self.read(paths), batch_size)

    def read(self, paths: Sequence[Path | str]) -> Any:
        """The examples in files, read in the way that the training files were read; targets may be missing.

        Raises:
            DataError: A file is not there, is a Git LFS pointer, cannot be read, or does not fit those trained on.
        """
        files = [Path(path) for path in paths]
        refuse_pointers(files)
        return self.task.read(files)

    def predict_lines(self, lines: Iterable[str], at_once: int = 256) -> Iterator[dict[str, Any]]:
        """One answer a line of text, in their order.

        Args:
            lines: Texts, with or without a line break at the end.
            at_once: Lines read before they are answered: 1 to answer a person who types.

        Raises:
            DataError: The task reads no text.
        """
        rest = iter(lines)
        groups = iter(lambda: [line.rstrip("\r\n") for line in islice(rest, at_once)], [])
        return self.predict_groups(groups)

    def predict_groups(self, groups: Iterable[Sequence[str]]) -> Iterator[dict[str, Any]]:
        """As :meth:`predict_lines`, for lines that come in groups; each group is answered before the next is asked for.

        Args:
            groups: Lines without their breaks, at least one in a group.

        Raises:
            DataError: The task reads no text.
        """
        read = 0
        for group in groups:
            for number, answer in enumerate(self.answer(self.task.from_lines(group), len(group)), read + 1):
                yield {**answer, "origin": f"line {number}"}
            read += len(group)

    def plot(self, paths: Sequence[Path | str], picture: Path) -> list[dict[str, Any]]:
        """As :meth:`predict`, and draws what was asked and answered into a picture.

        Raises:
            OptionError: The task draws nothing, or the picture cannot be written.
            MissingLibraryError: matplotlib is not installed.
        """
        examples = self.read(paths)
        answers = list(self.answer(examples))
        self.task.plot(examples, answers, picture)
        return answers

    def answer(self, examples: Any, batch_size: int = 256) -> Iterator[dict[str, Any]]:
        """As :meth:`predict`, for examples in memory."""
        asked = examples.unlabelled()
        batches = self.task.batches(asked, size=batch_size)
        origins = iter(asked.origins)
        for batch in batches.epoch(0):
            with torch.inference_mode():
                answers = self.task.answers(self.model, batch.to(self.device))
            for answer in answers:
                yield {"origin": next(origins), **answer}
