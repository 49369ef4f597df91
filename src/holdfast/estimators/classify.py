"""Classifiers of sequences of numbers and of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from holdfast.data import TextEncoder
from holdfast.errors import DataError
from holdfast.estimators.base import Estimator
from holdfast.estimators.checking import in_our_words, required
from holdfast.estimators.labels import LabelSets, LabelTexts
from holdfast.estimators.sequences import SequenceInputs
from holdfast.estimators.texts import TextInputs
from holdfast.tasks import RecipeTask
from holdfast.tasks.classify.task import ClassifyTask


class _Classifier(ClassifierMixin, Estimator):
    """What both classifiers share.

    Attributes:
        classes_: The labels, sorted, in the type of ``y``.
    """

    class_weight: Any
    _labels: LabelTexts

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The labels, sorted, in the type of ``y``."""
        if not hasattr(self, "_labels"):
            raise AttributeError(f"This {type(self).__name__} has no classes_ before fit.")
        return self._labels.classes

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The most likely label of each input, [N], in the type of ``y``.

        After ``fit`` on an array of zeros and ones, one for each label with a probability of 1/2 or more, [N, classes].

        Args:
            X: N inputs, as in ``fit``.

        Raises:
            DataError: The inputs do not fit those of ``fit``.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        probabilities = self.predict_proba(X)
        return self._labels.predictions(probabilities)

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """The probability of each label, [N, classes], in the order of ``classes_``; errors as :meth:`predict`.

        Args:
            X: N inputs, as in ``fit``.
        """
        rows = torch.cat(list(self._computed(X, "probabilities"))).cpu()
        order = self._labels.order(cast(ClassifyTask, self.task_).encoder.labels.classes)
        return cast("npt.NDArray[np.float64]", rows[:, order].numpy())

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The accuracy: the fraction of inputs whose labels are right.

        Args:
            X: N inputs.
            y: N labels, or zeros and ones [N, classes].
            sample_weight: The weight of each example, [N]; None for equal weights.

        Raises:
            DataError: The examples cannot be used, or a label is not in the training data.
        """
        self._fitted()
        with in_our_words():
            answers = self._labels.encode(self.predict(X))
            right = self._labels.encode(self._checked_labels(y, len(answers)))
            hits = [answer == label for answer, label in zip(answers, right, strict=True)]
            return float(np.average(hits, weights=sample_weight))

    def _checked_labels(self, y: Any, count: int) -> npt.NDArray[Any]:
        labels = required(y, self, "a label for each input")
        if type_of_target(labels, input_name="y") == "multilabel-indicator":
            labels = check_array(labels, input_name="y", dtype=None)
        else:
            labels = column_or_1d(labels, warn=True)
        check_consistent_length(range(count), labels)
        check_classification_targets(labels)
        return cast("npt.NDArray[Any]", labels)

    def _targets(self, y: Any, inputs: Any, *, reset: bool) -> list[str]:
        labels = self._checked_labels(y, len(inputs))
        if not reset:
            return self._labels.encode(labels)
        known = LabelSets.of(labels) if labels.ndim == 2 else LabelTexts.of(labels)
        if len(known.classes) < 2:
            raise DataError(
                f"y has one class, {known.texts[0]!r}, in {len(labels)} examples; expected at least two classes to "
                "tell apart."
            )
        self._labels = known
        return known.encode(labels)

    def _changes(self) -> dict[str, Any]:
        return {"class_weight": self._labels.weights(self.class_weight)}

    def _decided(self) -> dict[str, Any]:
        return {**super()._decided(), "data.label_separator": self._labels.separator}

    def _notes(self) -> dict[str, Any]:
        return {**super()._notes(), "labels": self._labels.kind}

    def _restore(self, notes: Mapping[str, Any]) -> None:
        super()._restore(notes)
        task = cast(ClassifyTask, self.task_)
        labels = task.encoder.labels
        if not labels.separator:
            self._labels = LabelTexts.from_texts(labels.classes, str(notes.get("labels", "str")))
        elif "labels" in notes:
            self._labels = LabelSets(np.arange(len(labels)), str(notes["labels"]))
        else:
            self._labels = LabelSets(np.array(labels.classes))
        if isinstance(self.class_weight, Mapping):
            self.class_weight = {
                label: self.class_weight[text]
                for label, text in zip(self.classes_.tolist(), self._labels.texts, strict=True)
                if text in self.class_weight
            }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class SequenceClassifier(_Classifier, SequenceInputs):
    """Classifies sequences of numbers: an LSTM, a GRU or a simple RNN, and a linear layer.

    ``X`` is an array [N, T, F] (N sequences, T steps, F values per step), an array or a frame [N, T] (one value per
    step), or a list of N sequences [T_i, F] or [T_i] of unequal lengths; tensors are taken like arrays. ``y`` has N
    labels: integers, floats, truth values or texts; or it is an array [N, classes] of zeros and ones, with any number
    of labels for each sequence.

    Example:
        >>> import numpy as np
        >>> from holdfast import SequenceClassifier
        >>> X = np.random.default_rng(0).normal(size=(100, 20, 3))
        >>> y = X[:, :, 0].sum(1) > 0
        >>> classifier = SequenceClassifier(hidden_size=32, max_steps=50).fit(X, y)
        >>> classifier.predict(X[:2]).dtype, classifier.predict_proba(X[:2]).shape
        (dtype('bool'), (2, 2))

    Attributes:
        classes_: The labels, sorted, in the type of ``y``.
        n_features_in_: F; after ``fit`` on an array [N, T], T.
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "classify"
    fields = ("data.scaling", "data.missing", "data.validation")
    without = (
        "embedding_size",
        "embedding_std",
        "embedding_file",
        "freeze_embedding",
        "token_dropout",
        "input_dropout",
    )

    @classmethod
    def _opens(cls, task: RecipeTask[Any]) -> bool:
        return not isinstance(cast(ClassifyTask, task).encoder, TextEncoder)


class TextClassifier(_Classifier, TextInputs):
    """Classifies texts: an embedding, an LSTM, a GRU or a simple RNN, and a linear layer.

    ``X`` is a list or an array of N texts, ``y`` has N labels: integers, floats, truth values or texts; or it is an
    array [N, classes] of zeros and ones, with any number of labels for each text. The library ``tokenizers`` cuts the
    texts: ``pip install 'holdfast[text]'``.

    Example:
        >>> from holdfast import TextClassifier
        >>> texts, y = ["good", "very good", "bad", "very bad"] * 25, [1, 1, 0, 0] * 25
        >>> TextClassifier(max_steps=50).fit(texts, y).predict(["bad"])
        array([0])

    Attributes:
        classes_: The labels, sorted, in the type of ``y``.
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "classify"
    fields = ("data.unit", "data.vocabulary_size", "data.least", "data.lower", "data.validation")
    without = ("input_noise",)
    own: ClassVar = {"unit": ("words", "What a step of a text is: ``words``, ``characters`` or byte-pair ``pieces``.")}

    @classmethod
    def _opens(cls, task: RecipeTask[Any]) -> bool:
        return isinstance(cast(ClassifyTask, task).encoder, TextEncoder)
