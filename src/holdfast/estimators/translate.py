"""A translator: from a text to another text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sklearn.utils.validation import check_consistent_length

from holdfast.data import Records
from holdfast.data.readers import pairs
from holdfast.errors import DataError
from holdfast.estimators.base import Estimator
from holdfast.estimators.checking import required
from holdfast.tasks.values import texts_in


class Translator(Estimator):
    """Turns a text into another text: an encoder, attention and a decoder.

    ``X`` is a list of N texts; ``y`` has N texts, or N lists of texts where several targets are right. The libraries
    ``tokenizers`` and ``sacrebleu`` are needed: ``pip install 'holdfast[text]'``. ``evaluate`` gives BLEU, chrF and the
    fraction of exact matches; ``score`` is the loss that chooses the best epoch, negated.

    Example:
        >>> from holdfast import Translator
        >>> X, y = ["1 2", "2 1", "2 2", "1 1"] * 30, ["one two", "two one", "two two", "one one"] * 30
        >>> Translator(unit="words", max_steps=100).fit(X, y).predict(["2 1"])
        ['two one']

    Attributes:
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "translate"
    fields = (
        "data.unit",
        "data.vocabulary",
        "data.shared",
        "data.lower",
        "data.validation",
        "predict.beam",
        "predict.length_penalty",
        "predict.longest",
    )

    def predict(self, X: Any) -> list[str]:
        """The translation of each text, N texts.

        Args:
            X: N texts.

        Raises:
            DataError: The inputs are not texts.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        return [answer["translation"] for answer in self._answers(X)]

    def _inputs(self, X: Any, *, reset: bool) -> Records[str, Any]:
        texts = [pairs.plain(text) for text in texts_in(X, "a list of texts")]
        if not texts:
            raise DataError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required.")
        return Records(texts, None, [f"X[{index}]" for index in range(len(texts))])

    def _targets(self, y: Any, inputs: Any, *, reset: bool) -> list[list[str]]:
        y = required(y, self, "a text for each input")
        check_consistent_length(range(len(inputs)), y)
        targets = []
        for index, (source, entry) in enumerate(zip(inputs.inputs, y, strict=True)):
            texts = [entry] if isinstance(entry, str) else entry
            if not isinstance(texts, Sequence) or not texts or not all(isinstance(text, str) for text in texts):
                raise DataError(f"y[{index}] is {entry!r:.60}; expected a text, or a list of texts that are all right.")
            if not source or not all(text.strip() for text in texts):
                raise DataError(f"X[{index}] or y[{index}] is empty; expected a source and a target. Leave both out.")
            targets.append([pairs.plain(text) for text in texts])
        return targets

    def _examples(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Any:
        records = super()._examples(X, y, sample_weight, reset=reset)
        if records.weights is not None:
            return records
        each = pairs.apart(records)  # all targets of a repeated source go together, as in files
        return replace(pairs.grouped(each.inputs, [texts[0] for texts in each.targets or []], each.origins))
