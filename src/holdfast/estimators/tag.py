"""Taggers: a label for each step of sequences of numbers, or for each word of sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_consistent_length

from holdfast.data import Records, SequenceEncoder
from holdfast.errors import DataError
from holdfast.estimators.base import Estimator
from holdfast.estimators.checking import plain, required
from holdfast.estimators.labels import LabelTexts
from holdfast.estimators.sequences import SequenceInputs
from holdfast.tasks import RecipeTask
from holdfast.tasks.tag.data import SentenceEncoder
from holdfast.tasks.tag.numbers import NumberEncoder
from holdfast.tasks.tag.task import TagTask
from holdfast.tasks.values import examples_in


class _Tagger(Estimator):
    """What both taggers share."""

    _labels: LabelTexts

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The tags, sorted, in the type of ``y``."""
        if not hasattr(self, "_labels"):
            raise AttributeError(f"This {type(self).__name__} has no classes_ before fit.")
        return self._labels.classes

    def predict_proba(self, X: Any) -> Any:
        """The probability of each tag at each step, in the order of ``classes_``.

        Args:
            X: N inputs, as in ``fit``.

        Returns:
            An array [N, T, classes] for an array, else a list of N arrays [T_i, classes].

        Raises:
            DataError: The inputs do not fit those of ``fit``.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        batches = self._computed(X, "probabilities")
        order = self._labels.order(cast(TagTask, self.task_).encoder.tags.classes)
        rows = [row.cpu()[:, order].numpy() for batch in batches for row in batch]
        return np.stack(rows) if _is_array(X) else rows

    def _tags(self, X: Any) -> list[npt.NDArray[Any]]:
        """The most likely tag of each step, N arrays [T_i]."""
        return [self._labels.decode(answer["tags"]) for answer in self._answers(X)]

    def _targets(self, y: Any, inputs: Any, *, reset: bool) -> list[list[str]]:
        y = required(y, self, "a tag for each step")
        check_consistent_length(range(len(inputs)), y)
        rows = [np.asarray(plain(row)) for row in y]
        for index, (row, steps) in enumerate(zip(rows, inputs.inputs, strict=True)):
            if row.shape != (len(steps),):
                raise DataError(
                    f"y[{index}] has shape {row.shape}; expected {(len(steps),)}, a tag for each step of X[{index}]."
                )
        if reset:
            self._labels = LabelTexts.of(np.concatenate([row for row in rows if len(row)] or [np.zeros(0)]))
        return [[str(tag) for tag in row.tolist()] for row in rows]

    def _notes(self) -> dict[str, Any]:
        return {**super()._notes(), "labels": self._labels.kind}

    def _restore(self, notes: Mapping[str, Any]) -> None:
        super()._restore(notes)
        classes = cast(TagTask, self.task_).encoder.tags.classes
        self._labels = LabelTexts.from_texts(classes, str(notes.get("labels", "str")))


class SequenceTagger(_Tagger, SequenceInputs):
    """Gives each step of sequences of numbers a tag: an LSTM, a GRU or a simple RNN, and a linear layer.

    ``X`` is an array [N, T, F] (N sequences, T steps, F values per step), an array or a frame [N, T] (one value per
    step), or a list of N sequences [T_i, F] or [T_i] of unequal lengths; tensors are taken like arrays. ``y`` is an
    array [N, T] or a list of N lists or arrays [T_i]: integers, floats, truth values or texts. ``score`` is the
    accuracy of the steps; for tags that mark spans (``B-x``, ``I-x``, ``O``) it is the F1 of the spans.

    Example:
        >>> import numpy as np
        >>> from holdfast import SequenceTagger
        >>> X = np.random.default_rng(0).normal(size=(100, 20, 3))
        >>> y = X[:, :, 0].cumsum(1) > 0
        >>> SequenceTagger(hidden_size=32, max_steps=50).fit(X, y).predict(X[:2]).shape
        (2, 20)

    Attributes:
        classes_: The tags, sorted, in the type of ``y``.
        n_features_in_: F; after ``fit`` on an array [N, T], T.
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "tag"
    fields = ("data.scaling", "data.missing", "data.window", "data.validation")
    without = ("word_size", "character_size", "spelling_size", "word_dropout")

    def predict(self, X: Any) -> Any:
        """The most likely tag of each step, in the type of ``y``.

        Args:
            X: N sequences, as in ``fit``.

        Returns:
            An array [N, T] for an array, else a list of N arrays [T_i].

        Raises:
            DataError: The inputs do not fit those of ``fit``.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        rows = self._tags(X)
        return np.stack(rows) if _is_array(X) else rows

    def _inputs(self, X: Any, *, reset: bool) -> Any:
        examples = super()._inputs(X, reset=reset)
        return Records(list(examples.inputs), None, examples.origins)

    def _restore(self, notes: Mapping[str, Any]) -> None:
        super()._restore(notes)
        self.window = cast(TagTask, self.task_).window

    def _encoder(self) -> SequenceEncoder:
        return cast(NumberEncoder, cast(TagTask, self.task_).encoder).sequences

    @classmethod
    def _opens(cls, task: RecipeTask[Any]) -> bool:
        return isinstance(cast(TagTask, task).encoder, NumberEncoder)


class TextTagger(_Tagger):
    """Gives each word of sentences a tag, from the word, its spelling and its context.

    ``X`` is a list of N sentences, each a list of words; ``y`` is a list of N lists, with a tag for each word: texts,
    integers, floats or truth values. ``score`` is the accuracy of the words; for tags that mark spans (``B-x``,
    ``I-x``, ``O``) it is the F1 of the spans. Words are looked up with the library ``tokenizers``: ``pip install
    'holdfast[text]'``.

    Example:
        >>> from holdfast import TextTagger
        >>> X, y = [["the", "cat", "sleeps"], ["a", "dog", "barks"]] * 50, [["DET", "NOUN", "VERB"]] * 100
        >>> TextTagger(epochs=3).fit(X, y).predict([["the", "dog", "sleeps"]])
        [['DET', 'NOUN', 'VERB']]

    Attributes:
        classes_: The tags, sorted, in the type of ``y``.
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "tag"
    fields = ("data.lower", "data.least", "data.validation")
    own: ClassVar = {}

    def predict(self, X: Any) -> list[list[Any]]:
        """The most likely tag of each word, N lists, in the type of ``y``.

        Args:
            X: N lists of words.

        Raises:
            DataError: The inputs are not lists of words.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        return [row.tolist() for row in self._tags(X)]

    def _inputs(self, X: Any, *, reset: bool) -> Any:
        sentences = examples_in(X, "a list of sentences, each a list of words")
        words = [plain(sentence) for sentence in sentences]
        found = SentenceEncoder.from_values([list(row) if isinstance(row, np.ndarray) else row for row in words])
        if not len(found):
            raise DataError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required.")
        return found

    @classmethod
    def _opens(cls, task: RecipeTask[Any]) -> bool:
        return isinstance(cast(TagTask, task).encoder, SentenceEncoder)


def _is_array(X: Any) -> bool:
    """Whether the inputs are one array, tensor or frame, and not a list."""
    return not isinstance(X, list | tuple) and getattr(X, "ndim", 2) > 1
