"""Generate: a language model, which predicts the next token of a text and so generates texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Records, Splits
from holdfast.data.defaults import batch_size
from holdfast.data.disk.columns import Column
from holdfast.data.disk.documents import Documents, characters_of, pieces_of
from holdfast.data.pieces import Source
from holdfast.data.vocabulary import BEGIN, END, PADDING, SPECIAL, UNKNOWN, Vocabulary
from holdfast.data.vocabulary_rules import rules
from holdfast.decoding.sampling import Model, Sampling, generate, tokens, uniform
from holdfast.settings import TrainSettings
from holdfast.tasks.epochs import SizedEpochs
from holdfast.tasks.excerpts import checked_example
from holdfast.tasks.generate.data import Prompt, PromptDataset, from_values, load, read, sources
from holdfast.tasks.generate.metrics import LanguageMetrics
from holdfast.tasks.generate.network import LanguageModel
from holdfast.tasks.generate.one_step import for_steps
from holdfast.tasks.generate.presentation import GeneratePresentation
from holdfast.tasks.generate.settings import GenerateAnswers, GenerateData, GenerateModel, GenerateRecipe
from holdfast.tasks.generate.stored import stored_tokens
from holdfast.tasks.generate.streams import StoredTokens, Streams, TokenLines, Tokens
from holdfast.tasks.interface import Interface, NextAnswer, TextInput, TextSample
from holdfast.tasks.saved import SavedTask
from holdfast.tasks.task import RecipeTask, TaskStep

MEASURED_ROWS = 8
"""Number of streams in which a text is measured. Each starts from zeros; a single stream would be exact, but slow."""
_MOST_READ = 1_000_000  # characters of a text on disk in which an excerpt is
_CHUNK = 1 << 16  # characters that are turned into tokens at once, to limit memory


class SavedGenerateTask(SavedTask):
    """What a model file says of a language model."""

    data: GenerateData
    settings: GenerateModel = Field(alias="model")
    answering: GenerateAnswers = Field(alias="predict")
    vocabulary: Vocabulary
    several: bool


class GenerateTask(RecipeTask[Records[Any, str]]):
    """Language modelling.

    Attributes:
        data: The ``[data]`` table of the recipe.
        settings: The ``[model]`` table of the recipe.
        vocabulary: The vocabulary of the training text.
        several: Whether the training data have several texts or lines, with beginnings and ends; if not, a prompt is a
            part of the one text, and no end is generated.
    """

    name = "generate"
    part_rows = 2**11
    saved = SavedGenerateTask
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
        """Reads the text of a recipe and splits it: a text is cut in order, lines are drawn at random.

        Raises:
            RecipeError: The state would be carried between lines, or there is no data to measure the model on.
        """
        return load(recipe, data_dir)

    @classmethod
    def fit(cls, recipe: GenerateRecipe, train: Records[Any, str]) -> Self:
        """The task, with the vocabulary of the training text."""
        data = recipe.data
        size, lower, least = data.vocabulary_size, data.lower, data.least
        vocabulary = Vocabulary.fit(pieces_of(train.inputs), data.unit, size=size, lower=lower, least=least)
        return cls(data, recipe.model, recipe.predict, vocabulary, several=data.sequences == "lines" or len(train) > 1)

    def build(self) -> LanguageModel:
        """A new model with random initial values from torch's random state."""
        return LanguageModel(len(self.vocabulary), self.settings)

    def interface(self, examples: Records[Any, str] | None = None, *, alone: bool = True) -> Interface:
        """The beginning of a text in; the rest out."""
        settings = self.answering
        prompt = TextSample("the prompt of the recipe", settings.prompt)
        names = ("length", "temperature", "top_k", "top_p", "seed")
        return Interface(
            TextInput(rules(self.vocabulary) if alone else None, (prompt,), begin=self.several, multiline=True),
            NextAnswer(**{name: getattr(settings, name) for name in names}, ends=self.several),
        )

    def encode(self, examples: Records[Any, str]) -> PromptDataset | TokenLines:
        """Lines as tokens; examples without targets are prompts."""
        if examples.targets is None:
            prompts = [text if isinstance(text, Prompt) else Prompt(text, 0) for text in examples.inputs]
            return PromptDataset(prompts, self.vocabulary, begin=self.several)
        characters = sum(len(line) + 1 for line in examples.inputs)
        lines = self.vocabulary.encode_all(examples.inputs)
        return TokenLines(
            lines if isinstance(lines, Column) else [np.array(line, np.int32) for line in lines], characters
        )

    def batches(
        self, examples: Records[Any, str], training: TrainSettings | None = None, *, size: int = 256
    ) -> SizedEpochs:
        """The streams of a text; batches of lines or prompts."""
        if examples.targets is None or self.data.sequences == "lines":
            return super().batches(examples, training, size=size)
        texts: list[Tokens] | StoredTokens
        if isinstance(examples.inputs, Documents):
            texts = stored_tokens(examples.inputs, self.tokens, self.vocabulary)
            windows = texts.tokens // self.data.window
        else:
            texts = [self.tokens(text) for text in examples.inputs]
            windows = sum(map(len, texts)) // self.data.window
        return Streams(
            texts,
            batch_size(training.batch_size, windows) if training else MEASURED_ROWS,
            self.data.window,
            characters=characters_of(examples.inputs),
            vary=self.data.vary_window and training is not None,
            restart=self.data.restart if training else 0.0,
            seed=training.seed if training else 0,
        )

    def tokens(self, text: str) -> Tokens:
        """A text as tokens, [N]."""
        cut = "" if self.data.unit == "characters" else "[^ ]*"  # no word or piece contains a space, so cut at spaces
        parts = re.findall(rf"(?s).{{1,{_CHUNK}}}{cut}", text)
        return np.concatenate([np.array(self.vocabulary.encode([part])[0], np.int32) for part in parts or [""]])

    def loss(self, model: nn.Module, batch: Any, state: Any = None) -> TaskStep:
        """The mean cross-entropy of the tokens of a batch in nats, weighted by its share of a full window.

        In training, the loss includes the penalties of the recipe. The outputs are the cross-entropy of each row, [B].
        """
        before = _carried(state, ~batch.fresh) if batch.goes_on else None
        scores, state, outputs, dropped = model(batch.inputs, batch.lengths, before, return_outputs=True)
        targets = batch.known_targets
        by_token = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=PADDING, reduction="none")
        by_row = by_token.view(targets.shape).sum(1)
        real = targets != PADDING
        tokens = real.sum()
        loss = (by_row if batch.weights is None else by_row * batch.weights).sum() / tokens
        if model.training:
            loss = loss + self._penalty(outputs, dropped, real)
        return TaskStep(loss * batch.share, by_row, state, amount=int(tokens))

    def _penalty(self, outputs: Tensor, dropped: Tensor, real: Tensor) -> Tensor | float:
        """Activation and temporal activation regularisation (Merity et al. 2017), within the length of each row.

        Args:
            outputs: The output of the recurrent layers, [B, T, O].
            dropped: The same output after dropout.
            real: Which steps are within the length of their row, [B, T].
        """
        penalty: Tensor | float = 0.0
        if self.settings.activation_regularisation:
            penalty += self.settings.activation_regularisation * dropped[real].square().mean()
        if self.settings.temporal_regularisation and outputs.shape[1] > 1:
            change = (outputs[:, 1:] - outputs[:, :-1])[real[:, 1:]]
            penalty += self.settings.temporal_regularisation * change.square().mean()
        return penalty

    @property
    def input_vocabulary(self) -> Vocabulary:
        """The vocabulary of the text."""
        return self.vocabulary

    def metrics(self) -> LanguageMetrics:
        """New metrics: loss, perplexity and bits per character."""
        return LanguageMetrics()

    @property
    def presentation(self) -> GeneratePresentation:
        """As :attr:`RecipeTask.presentation`."""
        return GeneratePresentation(self)

    def read(self, paths: Sequence[Path]) -> Records[Any, str]:
        """Reads text files with the settings of training; without files, repeats the prompt per sample."""
        if paths:
            return read(paths, self.data)
        numbers = range(self.answering.samples)
        prompts = [Prompt(self.answering.prompt, number) for number in numbers]
        return Records(prompts, None, [f"sample {number + 1}" for number in numbers])

    def sources(self, paths: Sequence[Path], aside: Sequence[str] = ()) -> list[Source]:
        """Lines as prompts, in pieces, where the training texts were lines; else whole files."""
        return sources(paths) if self.data.sequences == "lines" else super().sources(paths, aside)

    def from_lines(self, lines: Sequence[str]) -> Records[Any, str]:
        """One prompt per line."""
        return Records([Prompt(line, 0) for line in lines], None, [f"line {k}" for k in range(1, len(lines) + 1)])

    def from_values(self, values: Any) -> Records[Any, str]:
        """A prompt per text.

        Args:
            values: As :func:`holdfast.tasks.generate.data.from_values` takes them.

        Raises:
            DataError: A value does not fit.
        """
        return from_values(values)

    def excerpt(self, examples: Records[Any, str], index: int, steps: int) -> Records[Any, str]:
        """As :meth:`RecipeTask.excerpt`, as a prompt: a line, or a part of the texts with ``steps`` tokens.

        Raises:
            OptionError: There is no such line or part.
        """
        if examples.targets is None:
            return cast(Records[Any, str], super().excerpt(examples, index, steps))
        if self.data.sequences == "lines":
            line = checked_example(index, len(examples))
            return Records([Prompt(examples.inputs[line], 0)], None, [examples.origins[line]])
        texts: Sequence[str] = examples.inputs
        if isinstance(texts, Documents):
            texts = texts.cut(_MOST_READ)[0]
        tokens = np.concatenate([self.tokens(text) for text in texts])
        part = checked_example(index, max(1, len(tokens) // steps)) * steps
        text = self.vocabulary.decode(tokens[part : part + steps].tolist())
        return Records([Prompt(text, 0)], None, [f"{examples.origins[0]}, token {part}"])

    @property
    def reads_tokens(self) -> bool:
        """True: each step is a token of the text."""
        return True

    def step_tokens(self, example: Records[Any, str]) -> list[str]:
        """As :meth:`RecipeTask.step_tokens`: the tokens of a prompt, after ``BEGIN`` where the network reads it."""
        prompt = example.inputs[0]
        text = prompt.text if isinstance(prompt, Prompt) else prompt
        tokens = self.vocabulary.spelled(text) if text else []
        return [SPECIAL[BEGIN], *tokens] if self.several or not tokens else tokens

    def answers(self, model: nn.Module, batch: Any) -> list[dict[str, Any]]:
        """The generated ``text`` for each ``prompt``, which starts with the prompt."""
        drawn = generate(*self._sampled(model, batch), **self._ends)
        answers = []
        for prompt, row, length, more in zip(batch.prompts, batch.inputs, batch.lengths, drawn, strict=True):
            answers.append({"prompt": prompt.text, "text": prompt.text + self._continued(row[:length].tolist(), more)})
        return answers

    def stream(self, model: nn.Module, batch: Any) -> Iterator[str]:
        """The text that continues one prompt, in pieces as they are generated.

        Joined, they are what :meth:`answers` adds to the prompt. A token that does not end a character gives no piece.

        Args:
            model: The model.
            batch: One prompt.
        """
        before, more, sent = batch.inputs[0].tolist(), list[int](), ""
        for token in tokens(*self._sampled(model, batch), **self._ends):
            if int(token[0]) == END:
                break
            more.append(int(token[0]))
            text = self._continued(before, more)
            if text.startswith(sent) and not text.endswith("\ufffd"):
                yield text[len(sent) :]
                sent = text
        rest = self._continued(before, more)[len(sent) :]
        if rest:
            yield rest

    def _sampled(self, model: nn.Module, batch: Any) -> tuple[Model, Tensor, Tensor, Tensor, Sampling]:
        """The arguments of :func:`holdfast.decoding.sampling.generate`."""
        settings = self.answering
        return (
            for_steps(model, len(batch.prompts), settings.length),
            batch.inputs,
            batch.lengths,
            uniform(settings.seed, [prompt.key for prompt in batch.prompts], settings.length),
            Sampling(settings.temperature, settings.top_k, settings.top_p),
        )

    @property
    def _ends(self) -> dict[str, Any]:
        """The token that ends a text, and those that are never drawn."""
        return {"end": END, "never": (PADDING, UNKNOWN, BEGIN) if self.several else (PADDING, UNKNOWN, BEGIN, END)}

    def _continued(self, before: list[int], more: list[int]) -> str:
        """The text of new tokens; they are decoded together with those before them, for the space between them."""
        return self.vocabulary.decode([*before, *more])[len(self.vocabulary.decode(before)) :]

    def example_inputs(self, size: int) -> tuple[Tensor]:
        """Tokens, [size, size]."""
        return (torch.full((size, size), BEGIN),)


def _carried(state: Any, rows: Tensor) -> Any:
    """A state with tensors [.., B, H], set to zero in all other rows; None stays None."""
    if isinstance(state, Tensor):
        return state if bool(rows.all()) else state * rows[:, None]
    return None if state is None else tuple(_carried(part, rows) for part in state)


TASK = GenerateTask
