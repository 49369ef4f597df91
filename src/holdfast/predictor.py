"""Load a model once, predict many times. The command line and programs use this."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from holdfast.data import Batches
from holdfast.engines.devices import choose_device
from holdfast.errors import DataError
from holdfast.files.pointers import refuse_pointers
from holdfast.inspect.figures.canvas import write_figure
from holdfast.recipes import changed
from holdfast.tasks import model_file
from holdfast.tasks.task import RecipeTask

Result = TypeVar("Result")


class Predictor:
    """Predicts with a trained model: for files, lines of text or examples in memory.

    Several threads may use one predictor at the same time; each gets the same bits as alone. The settings of
    ``predictor.task`` must not be changed meanwhile.

    Args:
        path: A run directory or a model file.
        device: Where to compute: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...; ``"auto"`` takes a GPU if there is one.
        options: How to predict, ``"key=value"`` each; they override the recipe's ``[predict]`` table.

    Raises:
        ModelFileError: There is no usable model.
        OptionError: There is no such device.
        RecipeError: The task has no such option, or the value is not allowed.

    Example:
        >>> import numpy as np
        >>> import holdfast
        >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
        >>> classifier = holdfast.SequenceClassifier(hidden_size=4, epochs=1).fit(X, X[:, 0, 0] > 0)
        >>> classifier.save("rising.safetensors")
        >>> predictor = holdfast.Predictor("rising.safetensors")
        >>> sorted(next(predictor.predict(X[:1])))
        ['label', 'origin', 'probabilities']
    """

    def __init__(self, path: Path | str, device: str = "cpu", options: Sequence[str] = ()) -> None:
        self.device = choose_device(device)
        self.task: RecipeTask[Any]
        self.task, model = model_file.load(Path(path))
        if options:
            self.task.answering = changed(self.task.answering, options)
        self.model = model.to(self.device)

    @classmethod
    def of(cls, task: RecipeTask[Any], model: nn.Module, device: str = "cpu") -> Predictor:
        """Predicts with a model in memory.

        Args:
            task: The fitted task.
            model: Its trained model; it is moved to the device and set to evaluation.
            device: As in the constructor.

        Raises:
            OptionError: There is no such device.
        """
        predictor = cls.__new__(cls)
        predictor.device, predictor.task = choose_device(device), task
        predictor.model = model.eval().to(predictor.device)
        return predictor

    def answering(self, settings: Any) -> Predictor:
        """A predictor with the same model and another ``[predict]`` table.

        Args:
            settings: The table, as the recipe of the task has it; ``task.answering`` is the present one.
        """
        task = copy.copy(self.task)
        task.answering = settings
        return Predictor.of(task, self.model, str(self.device))

    def predict(self, examples: Any, batch_size: int = 256) -> Iterator[dict[str, Any]]:
        """Predicts for files or for values in memory: one answer per example, in their order.

        Args:
            examples: Files or folders, of the same kinds as for training; labels are not needed. Or values as in
                :meth:`predict_values`, except that a list of texts is a list of paths here.
            batch_size: Examples per batch.

        Returns:
            Dicts with ``origin`` (the file and place of the example) and the entries of the task's answer: for
            classification ``label`` and ``probabilities``.

        Raises:
            DataError: A file is not there, cannot be read, or does not fit the training files.
        """
        if isinstance(examples, list | tuple) and all(isinstance(example, str | Path) for example in examples):
            return self.answer(self.read(examples), batch_size)
        return self.predict_values(examples, batch_size)

    def read(self, paths: Sequence[Path | str]) -> Any:
        """Reads the examples in files, in the same way as the training files; targets may be missing.

        Args:
            paths: Files or folders.

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
            values: A list of examples. To classify and to regress: sequences [T, C] (lists, arrays; [T] for one value
                per step), or texts. To tag: lists of words, or pairs of numbers. To translate or to generate from:
                texts. To transcribe: samples [N] from -1 to 1 at the rate of the recipe. To forecast: the columns of a
                series by name, or its rows; see :func:`holdfast.tasks.forecast.values.from_values`.
            batch_size: Number of examples to compute at once.

        Returns:
            As :meth:`predict`; ``origin`` is ``values[0]``, ``values[1]``, ...

        Raises:
            DataError: A value does not fit.
        """
        return self.answer(self.task.from_values(values), batch_size)

    def plot(self, paths: Sequence[Path | str], picture: Path) -> list[dict[str, Any]]:
        """As :meth:`predict`, and draws the examples and the answers into a picture.

        Args:
            paths: Files or folders.
            picture: The file of the picture; its ending says the format.

        Raises:
            OptionError: The task has no plot, or the picture cannot be written.
        """
        examples = self.read(paths)
        answers = list(self.answer(examples))
        write_figure(self.task.plot(examples, answers), picture)
        return answers

    def answer(
        self, examples: Any, batch_size: int = 256, *, most_steps: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """As :meth:`predict`, for examples in memory.

        Args:
            examples: Examples, as :meth:`read` and the readers give them.
            batch_size: Examples that are computed together.
            most_steps: As for :meth:`compute`.
        """
        unlabelled = examples.unlabelled()
        origins = iter(unlabelled.origins)
        for answers in self.compute(unlabelled, self.task.answers, batch_size, most_steps=most_steps):
            for answer in answers:
                yield {"origin": next(origins), **answer}

    def compute(
        self,
        unlabelled: Any,
        function: Callable[[nn.Module, Any], Result],
        batch_size: int = 256,
        *,
        most_steps: int | None = None,
    ) -> Iterator[Result]:
        """The value of a function for each batch of examples, in their order.

        Args:
            unlabelled: Examples without targets.
            function: Takes the model and a batch on its device; it is called in inference mode.
            batch_size: Examples per batch.
            most_steps: The largest number of steps of a batch, padding included; None for any number.

        Raises:
            DataError: A batch has more steps.
        """
        batches = self.task.batches(unlabelled, size=batch_size)
        if most_steps is not None and isinstance(batches, Batches):
            _check_steps(batches, most_steps)
        for batch in batches.epoch(0):
            with torch.inference_mode():
                result = function(self.model, batch.to(self.device))
            yield result


def _check_steps(batches: Batches, most: int) -> None:
    """Refuses batches that would take much memory: the longest example of a batch sets the size of all its rows."""
    lengths = batches.dataset.lengths
    for indices in batches.order(0):
        steps = len(indices) * int(lengths[indices].max())
        if steps > most:
            raise DataError(
                f"{len(indices)} examples of up to {int(lengths[indices].max()):,} steps have {steps:,} steps with "
                f"their padding; expected at most {most:,}. Send fewer or shorter examples at once."
            )
