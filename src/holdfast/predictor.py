"""Load a model once, predict many times. The command line and programs use this."""

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
    """Predicts with a trained model: for files, lines of text or examples in memory.

    Args:
        path: A run directory or a model file.
        device: Where to compute: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...; ``"auto"`` takes a GPU if there is one.
        options: How to predict, ``"key=value"`` each; they override the recipe's ``[predict]`` table.

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
        """Predicts for files: one answer per example, in the order of the files.

        Args:
            paths: Files or folders, of the same kinds as for training; labels are not needed.
            batch_size: Examples per batch.

        Returns:
            Dicts with ``origin`` (the file and place of the example) and the entries of the task's answer: for
            classification ``label`` and ``probabilities``.

        Raises:
            DataError: A file is not there, cannot be read, or does not fit the training files.
        """
        return self.answer(self.read(paths), batch_size)

    def read(self, paths: Sequence[Path | str]) -> Any:
        """Reads the examples in files, in the same way as the training files; targets may be missing.

        Raises:
            DataError: A file is not there, is a Git LFS pointer, cannot be read, or does not fit the training files.
        """
        files = [Path(path) for path in paths]
        refuse_pointers(files)
        return self.task.read(files)

    def predict_lines(self, lines: Iterable[str], at_once: int = 256) -> Iterator[dict[str, Any]]:
        """Predicts for lines of text: one answer per line, in order.

        Args:
            lines: Texts, with or without a line break at the end.
            at_once: Lines to read before the first is answered; 1 for a person who types.

        Raises:
            DataError: The task reads no text.
        """
        rest = iter(lines)
        groups = iter(lambda: [line.rstrip("\r\n") for line in islice(rest, at_once)], [])
        return self.predict_groups(groups)

    def predict_groups(self, groups: Iterable[Sequence[str]]) -> Iterator[dict[str, Any]]:
        """As :meth:`predict_lines`, for groups of lines. Each group is answered before the next one is read.

        Args:
            groups: Lines without line breaks, at least one per group.

        Raises:
            DataError: The task reads no text.
        """
        count = 0
        for group in groups:
            for number, answer in enumerate(self.answer(self.task.from_lines(group), len(group)), count + 1):
                yield {**answer, "origin": f"line {number}"}
            count += len(group)

    def predict_values(self, values: Any, batch_size: int = 256) -> Iterator[dict[str, Any]]:
        """Predicts for examples in memory; the answers are those of :meth:`predict` for files of these examples.

        Args:
            values: A list of examples. To classify: sequences [T, C] (lists, arrays; [T] for one value per step), or
                texts. To tag: lists of words, or pairs of numbers. To translate or to generate from: texts. To
                transcribe: samples [N] from -1 to 1 at the rate of the recipe. To forecast: the columns of a series by
                name, or its rows; see :func:`holdfast.tasks.forecast.data.from_values`.
            batch_size: Number of examples to compute at once.

        Returns:
            As :meth:`predict`; ``origin`` is ``values[0]``, ``values[1]``, ...

        Raises:
            DataError: A value does not fit.
        """
        return self.answer(self.task.from_values(values), batch_size)

    def plot(self, paths: Sequence[Path | str], picture: Path) -> list[dict[str, Any]]:
        """As :meth:`predict`, and draws the examples and the answers into a picture.

        Raises:
            OptionError: The task has no plot, or the picture cannot be written.
            MissingLibraryError: matplotlib is not installed.
        """
        examples = self.read(paths)
        answers = list(self.answer(examples))
        self.task.plot(examples, answers, picture)
        return answers

    def answer(self, examples: Any, batch_size: int = 256) -> Iterator[dict[str, Any]]:
        """As :meth:`predict`, for examples in memory."""
        unlabelled = examples.unlabelled()
        batches = self.task.batches(unlabelled, size=batch_size)
        origins = iter(unlabelled.origins)
        for batch in batches.epoch(0):
            with torch.inference_mode():
                answers = self.task.answers(self.model, batch.to(self.device))
            for answer in answers:
                yield {"origin": next(origins), **answer}
