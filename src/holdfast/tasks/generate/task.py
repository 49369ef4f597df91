"""Generate: a language model, which says what comes next in a text, and so makes texts up."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Records, Splits, split
from holdfast.data.readers import documents
from holdfast.data.sets.published import locate
from holdfast.data.vocabulary import BEGIN, END, PADDING, UNKNOWN, Vocabulary
from holdfast.decoding.sampling import Sampling, generate, uniform
from holdfast.errors import RecipeError
from holdfast.settings import TrainSettings
from holdfast.tasks.generate.metrics import LanguageMetrics
from holdfast.tasks.generate.network import LanguageModel
from holdfast.tasks.generate.prompts import Prompt, PromptDataset
from holdfast.tasks.generate.settings import GenerateAnswers, GenerateData, GenerateModel, GenerateRecipe
from holdfast.tasks.generate.streams import Streams, TokenLines, Tokens
from holdfast.tasks.task import Epochs, RecipeTask, TaskStep

MEASURED_ROWS = 8
"""Streams that a text is measured in. Each begins with a state of zeros: one would be exact, and slow."""
_AT_ONCE = 1 << 16  # characters turned into tokens at once, for the sake of memory


class GenerateTask(RecipeTask[Records[Any, str]]):
    """The loss, metrics and texts of a language model.

    Attributes:
        data: The ``[data]`` table of the recipe.
        settings: The ``[model]`` table of the recipe.
        vocabulary: Of the training text.
        several: Whether training saw several texts or lines begin and end; if not, a prompt is a part of the one
            text, and no end is made up.
    """

    name = "generate"
    answer_key = "text"
    score = "loss"
    higher_is_better = False

    def __init__(
        self,
        data: GenerateData,
        settings: GenerateModel,
        answering: GenerateAnswers,
        vocabulary: Vocabulary,
        *,
        several: bool,
    ) -> None:
        self.data, self.settings, self.vocabulary, self.several = data, settings, vocabulary, several
        self.answering: GenerateAnswers = answering

    @classmethod
    def load(cls, recipe: GenerateRecipe, data_dir: Path | None) -> Splits[Records[Any, str]]:
        """Reads the text of a recipe, in its splits: a text is cut, lines are drawn.

        Raises:
            RecipeError: The state would be carried between lines, or there is nothing to measure the model on.
        """
        data = recipe.data
        if data.sequences == "lines" and recipe.train.carry_state:
            raise RecipeError('train.carry_state goes with data.sequences = "streams"; lines are independent.')
        train_files, test_files = locate(data, cls.name, data_dir)
        train, test = _read(train_files, data), _read(test_files, data) if test_files else None
        if test is None and data.test_fraction:
            train, test = _held_out(train, data, data.test_fraction, recipe.train.seed)
        if data.limit:
            train, test = _first(train, data), None if test is None else _first(test, data)
        validation = None
        if data.validation:
            train, validation = _held_out(train, data, data.validation, recipe.train.seed)
        final = validation if test is None else test
        if final is None:
            raise RecipeError("data.test_fraction and data.validation are 0: there is nothing to measure the model on.")
        return Splits(train, validation, final)

    @classmethod
    def fit(cls, recipe: GenerateRecipe, train: Records[Any, str]) -> Self:
        """The task with the vocabulary of the training text."""
        data = recipe.data
        found = Vocabulary.fit(train.inputs, data.unit, size=data.vocabulary_size, lower=data.lower, least=data.least)
        return cls(data, recipe.model, recipe.predict, found, several=data.sequences == "lines" or len(train) > 1)

    def build(self) -> LanguageModel:
        """A model with initial values drawn from torch's random state."""
        return LanguageModel(len(self.vocabulary), self.settings)

    def encode(self, examples: Records[Any, str]) -> PromptDataset | TokenLines:
        """Lines as tokens; of examples without targets, prompts."""
        if examples.targets is None:
            prompts = [one if isinstance(one, Prompt) else Prompt(one, 0) for one in examples.inputs]
            return PromptDataset(prompts, self.vocabulary, begin=self.several)
        characters = sum(len(line) + 1 for line in examples.inputs)
        return TokenLines([np.array(line, np.int32) for line in self.vocabulary.encode(examples.inputs)], characters)

    def batches(self, examples: Records[Any, str], training: TrainSettings | None = None, *, size: int = 256) -> Epochs:
        """Of a text, its streams; of lines and of prompts, batches of them."""
        if examples.targets is None or self.data.sequences == "lines":
            return super().batches(examples, training, size=size)
        return Streams(
            [self.tokens(one) for one in examples.inputs],
            training.batch_size if training else MEASURED_ROWS,
            self.data.window,
            characters=sum(map(len, examples.inputs)),
            vary=self.data.vary_window and training is not None,
            restart=self.data.restart if training else 0.0,
            seed=training.seed if training else 0,
        )

    def tokens(self, one: str) -> Tokens:
        """A text as tokens, [N]."""
        cut = "" if self.data.unit == "characters" else "[^ ]*"  # a word or a piece never crosses a space
        parts = re.findall(rf"(?s).{{1,{_AT_ONCE}}}{cut}", one)
        return np.concatenate([np.array(self.vocabulary.encode([part])[0], np.int32) for part in parts or [""]])

    def loss(self, model: nn.Module, batch: Any, state: Any = None) -> TaskStep:
        """The mean cross-entropy of the tokens of a batch in nats, weighted by its share of a full window.

        While training, the penalties of the recipe are added. The outputs are the cross-entropy of each row, [B].
        """
        before = _kept(state, ~batch.fresh) if batch.goes_on else None
        scores, state, outputs, dropped = model(batch.inputs, batch.lengths, before, return_outputs=True)
        targets = batch.known_targets
        each = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=PADDING, reduction="none")
        each = each.view(targets.shape).sum(1)
        real = targets != PADDING
        loss = each.sum() / real.sum()
        if model.training:
            loss = loss + self._penalty(outputs, dropped, real)
        return TaskStep(loss * batch.share, each, state)

    def _penalty(self, outputs: Tensor, dropped: Tensor, real: Tensor) -> Tensor | float:
        """Activation regularisation and temporal activation regularisation (Merity et al. 2017), past no row's end.

        Args:
            outputs: Of the recurrent layers, [B, T, O].
            dropped: The same after dropout.
            real: Whether a step counts, [B, T].
        """
        penalty: Tensor | float = 0.0
        if self.settings.activation_regularisation:
            penalty += self.settings.activation_regularisation * dropped[real].square().mean()
        if self.settings.temporal_regularisation and outputs.shape[1] > 1:
            change = (outputs[:, 1:] - outputs[:, :-1])[real[:, 1:]]
            penalty += self.settings.temporal_regularisation * change.square().mean()
        return penalty

    def metrics(self) -> LanguageMetrics:
        """Fresh loss, perplexity and bits per character."""
        return LanguageMetrics()

    def read(self, paths: Sequence[Path]) -> Records[Any, str]:
        """Reads text files as those that were trained on; without any, the prompt of ``[predict]``, once a sample."""
        if paths:
            return _read(paths, self.data)
        numbers = range(self.answering.samples)
        prompts = [Prompt(self.answering.prompt, number) for number in numbers]
        return Records(prompts, None, [f"sample {number + 1}" for number in numbers])

    def from_lines(self, lines: Sequence[str]) -> Records[Any, str]:
        """A prompt a line."""
        return Records([Prompt(line, 0) for line in lines], None, [f"line {k}" for k in range(1, len(lines) + 1)])

    def answers(self, model: nn.Module, batch: Any) -> list[dict[str, Any]]:
        """The ``text`` that goes on from each ``prompt``, the prompt included."""
        how = self.answering
        drawn = generate(
            model,
            batch.inputs,
            batch.lengths,
            uniform(how.seed, [prompt.key for prompt in batch.prompts], how.length),
            Sampling(how.temperature, how.top_k, how.top_p),
            end=END,
            never=(PADDING, UNKNOWN, BEGIN) if self.several else (PADDING, UNKNOWN, BEGIN, END),
        )
        said = []
        for prompt, row, length, more in zip(batch.prompts, batch.inputs, batch.lengths, drawn, strict=True):
            before = row[:length].tolist()  # decoded together with what follows, for the space between them
            added = self.vocabulary.decode([*before, *more])[len(self.vocabulary.decode(before)) :]
            said.append({"prompt": prompt.text, "text": prompt.text + added})
        return said

    def example_inputs(self, size: int) -> tuple[Tensor]:
        """Tokens, [size, size]."""
        return (torch.full((size, size), BEGIN),)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_dict` reads."""
        tables = {"data": self.data, "model": self.settings, "predict": self.answering}
        return {
            **{name: table.model_dump(mode="json") for name, table in tables.items()},
            "vocabulary": self.vocabulary.to_dict(),
            "several": self.several,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The task that :meth:`to_dict` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        return cls(
            GenerateData.model_validate(data["data"]),
            GenerateModel.model_validate(data["model"]),
            GenerateAnswers.model_validate(data["predict"]),
            Vocabulary.from_dict(data["vocabulary"]),
            several=data["several"],
        )


def _kept(state: Any, rows: Tensor) -> Any:
    """A state, [.., B, H] in all its parts, with zeros in all but some rows; None stays None."""
    if isinstance(state, Tensor):
        return state if bool(rows.all()) else state * rows[:, None]
    return None if state is None else tuple(_kept(part, rows) for part in state)


def _read(paths: Sequence[Path], data: GenerateData) -> Records[Any, str]:
    return documents.lines(paths) if data.sequences == "lines" else documents.whole(paths)


def _held_out(
    examples: Records[Any, str], data: GenerateData, fraction: float, seed: int
) -> tuple[Records[Any, str], Records[Any, str]]:
    """What is kept, and the fraction that is held out: lines at random, or the end of the text."""
    if data.sequences == "lines":
        return split(examples, fraction, seed)
    count = sum(map(len, examples.inputs))
    return documents.cut(examples, count - math.ceil(fraction * count))


def _first(examples: Records[Any, str], data: GenerateData) -> Records[Any, str]:
    """As much as ``data.limit`` asks for."""
    if data.sequences == "lines":
        return examples.subset(range(min(data.limit, len(examples))))
    return documents.cut(examples, data.limit)[0]


TASK = GenerateTask
