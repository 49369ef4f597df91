"""The text of a recipe in its splits, and prompts: the beginnings of generated texts."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from holdfast.data import Records, Splits, split
from holdfast.data.batch import Batch
from holdfast.data.batches import Indices
from holdfast.data.disk import documents as stored
from holdfast.data.disk.documents import characters_of
from holdfast.data.disk.files import kept
from holdfast.data.disk.placement import on_disk
from holdfast.data.pieces import Source
from holdfast.data.pieces.lines import LinesSource
from holdfast.data.readers import documents
from holdfast.data.sets.published import locate
from holdfast.data.vocabulary import BEGIN, PADDING, Vocabulary
from holdfast.errors import RecipeError
from holdfast.tasks.generate.settings import GenerateData, GenerateRecipe
from holdfast.tasks.values import origins, texts_in


class Prompt(NamedTuple):
    """The beginning of a text; ``number`` distinguishes the samples of one prompt."""

    text: str
    number: int

    @property
    def key(self) -> tuple[int, int]:
        """The random numbers of its sample depend on this key and the seed."""
        return self.number, zlib.crc32(self.text.encode())


@dataclass(frozen=True, eq=False)
class PromptBatch(Batch):
    """Prompts as tokens, [B, T].

    Attributes:
        prompts: The prompts themselves.
    """

    prompts: tuple[Prompt, ...] = ()


class PromptDataset:
    """Prompts as tokens. Indexing by a list of positions gives a batch.

    Attributes:
        lengths: Tokens of each prompt, [N], int64.
    """

    def __init__(self, prompts: Sequence[Prompt], vocabulary: Vocabulary, *, begin: bool) -> None:
        """Turns the prompts into tokens.

        Args:
            prompts: The prompts.
            vocabulary: The vocabulary of the model.
            begin: Whether each prompt starts with ``BEGIN``; if not, only an empty prompt does.
        """
        self._prompts = prompts
        tokens = vocabulary.encode([prompt.text for prompt in prompts])
        self._tokens = [[BEGIN, *ids] if begin or not ids else ids for ids in tokens]
        self.lengths = np.array([len(tokens) for tokens in self._tokens], dtype=np.int64)

    def __len__(self) -> int:
        """The number of prompts, N."""
        return len(self._prompts)

    def __getitems__(self, indices: Indices) -> PromptBatch:
        """The prompts at these positions, in this order, as one batch."""
        tokens = [torch.tensor(self._tokens[index]) for index in indices]
        padded = pad_sequence(tokens, batch_first=True, padding_value=PADDING)
        lengths = torch.from_numpy(self.lengths[indices])
        return PromptBatch(padded, lengths, None, tuple(self._prompts[index] for index in indices))


def load(recipe: GenerateRecipe, data_dir: Path | None) -> Splits[Records[Any, str]]:
    """Reads the text of a recipe and splits it: a text is cut in order, lines are drawn at random.

    Raises:
        RecipeError: The state would be carried between lines, or there is no data to measure the model on.
    """
    data = recipe.data
    check(recipe)
    train_files, test_files = locate(data, "text", data_dir)
    disk = on_disk(data.storage, [*train_files, *test_files])
    train, test = read(train_files, data, disk=disk), read(test_files, data, disk=disk) if test_files else None
    if test is None and data.test_fraction:
        train, test = _held_out(train, data, data.test_fraction, recipe.train.seed)
    if data.limit:
        train, test = _first(train, data), None if test is None else _first(test, data)
    train, validation = hold_out(train, recipe)
    final = validation if test is None else test
    if final is None:
        raise RecipeError("data.test_fraction and data.validation are 0: there is no data to measure the model on.")
    return Splits(train, validation, final)


def read(paths: Sequence[Path], data: GenerateData, *, disk: bool = False) -> Records[Any, str]:
    """Text files, each as a whole or line by line, as ``data.sequences`` says; in memory, or kept on disk."""
    if disk and data.sequences == "lines":
        lines = kept(documents.lines_in_pieces(paths))
        return replace(lines, targets=lines.inputs)
    if disk:
        return stored.documents(documents.files_of(paths), data.unit)
    return documents.lines(paths) if data.sequences == "lines" else documents.whole(paths)


def sources(paths: Sequence[Path]) -> list[Source]:
    """The lines of text files, in pieces."""
    return [_source(path) for path in documents.files_of(paths)]


def _source(path: Path) -> Source:
    def read(lines: Sequence[str], places: Sequence[int]) -> Records[Any, str]:
        return Records(list(lines), None, [f"{path}[{place}]" for place in places])

    return LinesSource(path, read, plain=True)


def check(recipe: GenerateRecipe) -> None:
    """Raises RecipeError where the state would be carried between lines."""
    if recipe.data.sequences == "lines" and recipe.train.carry_state:
        raise RecipeError('train.carry_state goes with data.sequences = "streams"; lines are independent.')


def hold_out(train: Records[Any, str], recipe: GenerateRecipe) -> tuple[Records[Any, str], Records[Any, str] | None]:
    """Holds the validation split of the recipe out of the training text; None where it has none."""
    data = recipe.data
    return _held_out(train, data, data.validation, recipe.train.seed) if data.validation else (train, None)


def _held_out(
    examples: Records[Any, str], data: GenerateData, fraction: float, seed: int
) -> tuple[Records[Any, str], Records[Any, str]]:
    """The kept part and the held-out fraction: lines at random, or the end of the text."""
    if data.sequences == "lines":
        return split(examples, fraction, seed)
    count = characters_of(examples.inputs)
    return documents.cut(examples, count - math.ceil(fraction * count))


def _first(examples: Records[Any, str], data: GenerateData) -> Records[Any, str]:
    """The first lines or characters, as many as ``data.limit`` says."""
    if data.sequences == "lines":
        return examples.subset(range(min(data.limit, len(examples))))
    return documents.cut(examples, data.limit)[0]


def from_values(values: Any) -> Records[Any, str]:
    """Prompts from a list of texts.

    Raises:
        DataError: A value is no text.
    """
    prompts = [Prompt(text, 0) for text in texts_in(values)]
    return Records(prompts, None, origins(prompts))
