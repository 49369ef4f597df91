"""A language model: fitted on texts, it continues texts."""

from __future__ import annotations

from typing import Any, Self

from holdfast.data import Records
from holdfast.errors import DataError
from holdfast.estimators.base import Estimator
from holdfast.tasks.generate.data import check, hold_out
from holdfast.tasks.values import texts_in


class LanguageModel(Estimator):
    """Learns which token of a text comes next, and generates texts.

    ``X`` is a text or a list of texts; there is no ``y``. With ``sequences="streams"`` the texts are read one after
    another, in parallel streams (set ``carry_state=True``); with ``"lines"`` each text is independent. The library
    ``tokenizers`` cuts the texts: ``pip install 'holdfast[text]'``. ``score`` is the mean log-probability of a token,
    in nats.

    Example:
        >>> from holdfast import LanguageModel
        >>> model = LanguageModel(sequences="lines", max_steps=50).fit(["hello", "help", "held"] * 30)
        >>> len(model.generate("he", samples=2, length=5))
        2

    Attributes:
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "generate"
    fields = (
        "data.sequences",
        "data.unit",
        "data.vocabulary_size",
        "data.least",
        "data.lower",
        "data.window",
        "data.vary_window",
        "data.restart",
        "data.validation",
        "predict.length",
        "predict.temperature",
        "predict.top_k",
        "predict.top_p",
    )
    without = ("bidirectional", "merge")

    def fit(self, X: Any, y: None = None, sample_weight: Any = None) -> Self:
        """Trains a model on texts.

        Args:
            X: A text, or a list of texts.
            y: Not used.
            sample_weight: With ``sequences="lines"``, the weight of each text in the loss, [N]; None for equal weights.

        Returns:
            The estimator itself.

        Raises:
            DataError: The texts or weights cannot be used.
            OptionError: An argument of the constructor is not allowed.
            RunError: The loss is no longer finite.
        """
        if sample_weight is not None and self.sequences != "lines":
            raise DataError('sample_weight needs sequences="lines"; streams have no separate examples to weight.')
        return super().fit(X, None, sample_weight)

    def predict(self, X: Any) -> list[str]:
        """A text for each prompt, which starts with the prompt.

        Args:
            X: A prompt, or a list of prompts.

        Raises:
            DataError: The prompts are not texts.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        return [answer["text"] for answer in self._answers(X)]

    def generate(self, prompt: str = "", samples: int = 1, seed: int = 0, **options: Any) -> list[str]:
        """Several texts that start with one prompt.

        Args:
            prompt: The beginning of the texts.
            samples: The number of texts.
            seed: The seed of the random draws.
            options: ``length``, ``temperature``, ``top_k`` or ``top_p``, instead of the constructor's.

        Raises:
            RecipeError: An option is unknown or out of range.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        predictor = self._fitted()
        wanted = self._answering(prompt=prompt, samples=samples, seed=seed, **options)
        return [answer["text"] for answer in predictor.answering(wanted).predict([])]

    def _inputs(self, X: Any, *, reset: bool) -> Records[str, Any]:
        texts = [X] if isinstance(X, str) else texts_in(X, "a text or a list of texts")
        if not texts:
            raise DataError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required.")
        return Records([str(text) for text in texts], None, [f"X[{index}]" for index in range(len(texts))])

    def _targets(self, y: Any, inputs: Any, *, reset: bool) -> list[str]:
        return list(inputs.inputs)

    def _described(self) -> Any:
        recipe = super()._described()
        check(recipe)
        return recipe

    def _split(self, examples: Any, recipe: Any) -> tuple[Any, Any]:
        return hold_out(examples, recipe)
