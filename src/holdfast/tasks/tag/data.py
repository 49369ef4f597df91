"""What a tagger reads: sentences as ids of words, and each distinct word as ids of characters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from holdfast.data import Records, Splits, divided
from holdfast.data.batch import Batch
from holdfast.data.batches import Indices
from holdfast.data.disk.columns import Column, sizes
from holdfast.data.disk.files import kept
from holdfast.data.disk.placement import on_disk
from holdfast.data.labels import Labels
from holdfast.data.pieces import Source
from holdfast.data.pieces.lines import LinesSource
from holdfast.data.pieces.whole import WholeSource
from holdfast.data.readers import tagged
from holdfast.data.readers.paths import check_paths
from holdfast.data.readers.tagged import Sentences
from holdfast.data.saved import Saved
from holdfast.data.sets.published import locate
from holdfast.data.spans import looks_like_spans, spans
from holdfast.data.vocabulary import PADDING, UNKNOWN, Vocabulary
from holdfast.errors import DataError
from holdfast.tasks.tag import sums
from holdfast.tasks.tag.settings import TagData, TagRecipe
from holdfast.tasks.values import examples_in, origins

NO_TARGET = -100
"""The target of a padding step."""
UNSEEN = -1
"""The target of a step whose tag is not in the training data: no answer is right."""


@dataclass(frozen=True, eq=False)
class SentenceBatch(Batch):
    """A few sentences.

    Attributes:
        inputs: The id of each word, [B, T], int64.
        lengths: As in :class:`Batch`.
        targets: The tag of each step, [B, T], int64; ``UNSEEN`` for a tag that is not in the training data,
            ``NO_TARGET`` past a row's length.
        spellings: The characters of each distinct word, [W, L], int64.
        spelling_lengths: Characters of each distinct word, [W], int64; 0 for the word of padding steps.
        places: The position of each step's word among the W distinct words, [B, T], int64.
        sentences: The words themselves.
    """

    spellings: Tensor
    spelling_lengths: Tensor
    places: Tensor
    sentences: list[list[str]]


class SentenceDataset:
    """Encoded sentences. Indexing by a list of positions gives a batch.

    Attributes:
        lengths: Words of each sentence, [N], int64.
    """

    def __init__(
        self, sentences: Sentences, tags: Mapping[str, int], words: Vocabulary, characters: Vocabulary
    ) -> None:
        """Looks up each distinct word once.

        Args:
            sentences: N sentences, in memory or on disk.
            tags: The number of each tag.
            words: The vocabulary of the words, of the unit ``"tokens"``.
            characters: The vocabulary of their characters.
        """
        self.sentences = sentences.inputs
        self.lengths, self.on_disk = sizes(self.sentences), isinstance(self.sentences, Column)
        # Position 0 is an empty word, for padding steps.
        distinct = {word: k for k, word in enumerate(dict.fromkeys(w for row in self.sentences for w in row), start=1)}
        texts = list(distinct)
        # A word of the vocabulary is one id, unless it contains the name of a special token, such as <end>.
        ids = [word_ids[0] if len(word_ids) == 1 else UNKNOWN for word_ids in words.encode(texts)]
        self._ids = torch.tensor([PADDING, *ids])
        spellings = (torch.tensor(row, dtype=torch.int64) for row in characters.encode(texts))
        self._spellings = [torch.tensor([], dtype=torch.int64), *spellings]
        self._places = _numbered(self.sentences, lambda row: [distinct[word] for word in row])
        self._targets: Sequence[Tensor] | None = None
        if sentences.targets is not None:
            self._targets = _numbered(sentences.targets, lambda row: [tags.get(tag, UNSEEN) for tag in row])

    def __len__(self) -> int:
        """The number of sentences, N."""
        return len(self.lengths)

    def __getitems__(self, indices: Sequence[int] | Indices) -> SentenceBatch:
        """The sentences at these positions, in this order, as one batch."""
        chosen = [int(index) for index in indices]
        lengths = torch.from_numpy(self.lengths[np.asarray(chosen, dtype=np.int64)])
        places = pad_sequence([self._places[k] for k in chosen], batch_first=True)
        if not places.shape[1]:  # no sentence has a word: one step of padding, as the network needs a step
            places = places.new_zeros(len(chosen), 1)
        distinct, places_in_batch = np.unique(places.numpy(), return_inverse=True)
        spelled = [self._spellings[k] for k in distinct.tolist()]
        spellings = pad_sequence(spelled, batch_first=True, padding_value=PADDING)
        if not spellings.shape[1]:  # no word in the batch: one character of padding
            spellings = spellings.new_full((len(spelled), 1), PADDING)
        targets = None
        if self._targets is not None:
            rows = [self._targets[k] for k in chosen]
            targets = pad_sequence(rows, batch_first=True, padding_value=NO_TARGET)
        return SentenceBatch(
            self._ids[places],
            None if bool((lengths == places.shape[1]).all()) else lengths,
            targets,
            spellings,
            torch.tensor([len(characters) for characters in spelled]),
            torch.from_numpy(places_in_batch.reshape(places.shape)),
            [self.sentences[k] for k in chosen],
        )


def _numbered(rows: Sequence[list[str]], numbers: Callable[[list[str]], list[int]]) -> Sequence[Tensor]:
    """The numbers of each row, [T] each; of rows on disk, computed when they are read."""

    def tensor(row: list[str]) -> Tensor:
        return torch.tensor(numbers(row), dtype=torch.int64)

    return rows.map(tensor) if isinstance(rows, Column) else [tensor(row) for row in rows]


def _words(sentences: Sentences) -> Iterator[str]:
    return (word for sentence in sentences.inputs for word in sentence)


class SentenceEncoder(Saved):
    """Vocabularies and tags, fitted on the training sentences, and the settings for reading files.

    Attributes:
        words: The vocabulary of the words.
        characters: The vocabulary of their characters.
        tags: The tags.
        settings: The settings with which the training files were read.
    """

    kind: Literal["sentences"] = "sentences"
    words: Vocabulary
    characters: Vocabulary
    tags: Labels
    settings: TagData
    answer_key: ClassVar[str] = "tagged"

    @classmethod
    def fit(cls, train: Sentences, settings: TagData) -> SentenceEncoder:
        """Fits the vocabularies and the tags.

        Args:
            train: The training split only.
            settings: ``lower`` and ``least`` are used; all settings are kept.

        Raises:
            DataError: There are no sentences, they have no tags, or all tags are the same.
        """
        if not len(train):
            raise DataError("There are no sentences to train on; expected at least one.")
        if train.targets is None:
            raise DataError(
                f"{train.origins[0]} has no tags, like the other training sentences; expected a tag for each word: "
                "CoNLL-U, or lines of a word with its tag last."
            )
        tags = Labels.fit(tag for tags in train.targets for tag in tags)
        return cls(
            words=Vocabulary.fit(_words(train), "tokens", lower=settings.lower, least=settings.least),
            characters=Vocabulary.fit(_words(train), "characters"),
            tags=tags,
            settings=settings,
        )

    def read(self, paths: Sequence[Path]) -> Sentences:
        """Reads files with the settings of the training files; tags may be missing."""
        return tagged.read(paths, self.settings)

    def sources(self, paths: Sequence[Path], aside: Sequence[str]) -> list[Source]:
        """Plain text in pieces, a sentence per line; files with tags are read whole, one after another."""
        check_paths(paths, kind="file")
        return [self._source(path) for path in paths]

    def _source(self, path: Path) -> Source:
        if not tagged.is_plain(path, self.settings):
            return WholeSource(str(path), lambda: self.read([path]))

        def read(some: Sequence[str], at: Sequence[int]) -> Sentences:
            return tagged.plain(some, [f"{path}, line {number + 1}" for number in at])

        return LinesSource(path, read, plain=True)

    def parsed(self, texts: Sequence[str], origins: Sequence[str]) -> Sentences:
        """One sentence per text, with spaces between its words."""
        return tagged.plain(texts, origins)

    @staticmethod
    def from_values(values: Any) -> Sentences:
        """Sentences without tags.

        Args:
            values: A list of sentences, each a list of words.

        Raises:
            DataError: A value does not fit.
        """
        sentences = examples_in(values, "a list of sentences, each a list of words")
        for index, words in enumerate(sentences):
            if isinstance(words, str):
                raise DataError(f"values[{index}] is a text; expected a list of words. Cut it: text.split().")
            if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
                raise DataError(f"values[{index}] is of type {type(words).__name__}; expected a list of words (str).")
        return Records([list(words) for words in sentences], None, origins(sentences))

    def encode(self, sentences: Sentences) -> SentenceDataset:
        """The sentences as ids, and their tags as numbers."""
        places = {tag: k for k, tag in enumerate(self.tags.classes)}
        return SentenceDataset(sentences, places, self.words, self.characters)

    @staticmethod
    def step_tokens(sentence: list[str]) -> list[str]:
        """The words of a sentence."""
        return list(sentence)

    def arguments(self, batch: SentenceBatch) -> tuple[Tensor | None, ...]:
        """The arguments of the model."""
        return batch.inputs, batch.lengths, batch.spellings, batch.spelling_lengths, batch.places

    def example(self, size: int) -> tuple[Tensor | None, ...]:
        """Example arguments for the model."""
        words = torch.full((size, size), UNKNOWN)
        return words, None, words, torch.full((size,), size), torch.zeros_like(words)

    def answers(self, batch: SentenceBatch, tags: Tensor) -> list[dict[str, Any]]:
        """The words and tags of each sentence, and the spans that the tags mark.

        Args:
            batch: B sentences.
            tags: The predicted tag of each word, [B, T], int64.
        """
        answers, has_spans = [], looks_like_spans(self.tags.classes)
        for words, row in zip(batch.sentences, tags.tolist(), strict=True):
            names = [self.tags.classes[tag] for tag in row[: len(words)]]
            answer: dict[str, Any] = {"words": words, "tags": names}
            if has_spans:
                answer["spans"] = [
                    {"label": label, "start": begin, "end": end, "text": " ".join(words[begin:end])}
                    for label, begin, end in spans(names)
                ]
            answer["tagged"] = " ".join(f"{word}/{name}" for word, name in zip(words, names, strict=True))
            answers.append(answer)
        return answers


def load(recipe: TagRecipe, data_dir: Path | None) -> Splits[Records[Any, Any]]:
    """Reads or generates the data of a recipe, and splits them."""
    data, seed = recipe.data, recipe.train.seed
    train_files, test_files = locate(data, "sentences", data_dir, made=["addition"])
    train: Records[Any, Any]
    test: Records[Any, Any] | None
    if data.source == "addition":
        train, test = sums.generated(data.bits, data.sums, seed)
    else:
        disk = on_disk(data.storage, [*train_files, *test_files])

        def read(files: Sequence[Path]) -> Sentences:
            return kept(tagged.in_pieces(files, data)) if disk else tagged.read(files, data)

        train, test = read(train_files), read(test_files) if test_files else None
    return divided(train, test, data, seed)
