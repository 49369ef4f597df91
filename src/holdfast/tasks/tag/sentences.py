"""Sentences as a tagger reads them: words by their place in a vocabulary, and each distinct word by its characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from holdfast.data.batches import Batch, Indices
from holdfast.data.labels import Labels
from holdfast.data.readers import tagged
from holdfast.data.readers.tagged import Sentences
from holdfast.data.spans import looks_like_spans, spans
from holdfast.data.vocabulary import PADDING, UNKNOWN, Vocabulary
from holdfast.errors import DataError
from holdfast.tasks.tag.settings import TagData

NO_TARGET = -100
"""The target of a step in the padding."""
UNSEEN = -1
"""The target of a step whose tag training never saw: no answer is right."""


@dataclass(frozen=True, eq=False)
class SentenceBatch(Batch):
    """A few sentences.

    Attributes:
        inputs: The word of each step, [B, T], int64.
        lengths: As in :class:`Batch`.
        targets: The tag of each step, [B, T], int64; ``UNSEEN`` for a tag that training never saw,
            ``NO_TARGET`` past a row's length.
        spellings: The characters of each distinct word, [W, L], int64.
        spelling_lengths: How many each has, [W], int64; 0 for what stands in the padding.
        places: Which of the W words each step has, [B, T], int64.
        sentences: The words themselves.
    """

    spellings: Tensor
    spelling_lengths: Tensor
    places: Tensor
    sentences: list[list[str]]


class SentenceDataset:
    """Encoded sentences; indexed by lists of positions, it gives batches.

    Attributes:
        lengths: Words of each sentence, [N], int64.
    """

    def __init__(self, sentences: Sentences, targets: Tensor | None, words: Vocabulary, characters: Vocabulary) -> None:
        """Looks all distinct words up, once.

        Args:
            sentences: N of them.
            targets: The tags of all words of all sentences in one row; None without.
            words: The vocabulary of the words, of the unit ``"tokens"``.
            characters: That of their characters.
        """
        self.sentences = sentences.inputs
        self.lengths = np.array([len(words) for words in self.sentences], dtype=np.int64)
        # The first distinct word is none: what stands in the padding.
        distinct = {word: k for k, word in enumerate(dict.fromkeys(w for row in self.sentences for w in row), start=1)}
        texts = list(distinct)
        # A token of the vocabulary is one id, unless it holds the name of a special one, such as <end>.
        ids = [found[0] if len(found) == 1 else UNKNOWN for found in words.encode(texts)]
        self._ids = torch.tensor([PADDING, *ids])
        self._spellings = [torch.tensor([], dtype=torch.int64), *map(torch.tensor, characters.encode(texts))]
        self._places = [torch.tensor([distinct[word] for word in row], dtype=torch.int64) for row in self.sentences]
        self._targets, self._starts = targets, (self.lengths.cumsum() - self.lengths).tolist()

    def __len__(self) -> int:
        """The number of sentences, N."""
        return len(self.lengths)

    def __getitems__(self, indices: Sequence[int] | Indices) -> SentenceBatch:
        """The sentences at these positions, in this order, as one batch."""
        chosen = [int(index) for index in indices]
        lengths = torch.from_numpy(self.lengths[np.asarray(chosen, dtype=np.int64)])
        places = pad_sequence([self._places[k] for k in chosen], batch_first=True)
        if not places.shape[1]:  # sentences without words: one step of padding, so that the network has something to do
            places = places.new_zeros(len(chosen), 1)
        found, where = np.unique(places.numpy(), return_inverse=True)
        spelled = [self._spellings[k] for k in found.tolist()]
        spellings = pad_sequence(spelled, batch_first=True, padding_value=PADDING)
        if not spellings.shape[1]:  # the same where there is no word in the batch
            spellings = spellings.new_full((len(spelled), 1), PADDING)
        targets = None
        if self._targets is not None:
            rows = [self._targets[self._starts[k] :][: len(self._places[k])] for k in chosen]
            targets = pad_sequence(rows, batch_first=True, padding_value=NO_TARGET)
        return SentenceBatch(
            self._ids[places],
            None if bool((lengths == places.shape[1]).all()) else lengths,
            targets,
            spellings,
            torch.tensor([len(characters) for characters in spelled]),
            torch.from_numpy(where.reshape(places.shape)),
            [self.sentences[k] for k in chosen],
        )


@dataclass(frozen=True)
class SentenceEncoder:
    """What is fitted on the training sentences, and how files are read.

    Attributes:
        words: The vocabulary of the words.
        characters: That of their characters.
        tags: The tags.
        settings: How the training files were read.
    """

    words: Vocabulary
    characters: Vocabulary
    tags: Labels
    settings: TagData
    kind: ClassVar[str] = "sentences"
    answer_key: ClassVar[str] = "tagged"

    @classmethod
    def fit(cls, train: Sentences, settings: TagData) -> SentenceEncoder:
        """Takes the vocabularies and the tags.

        Args:
            train: The training split, and nothing else.
            settings: ``lower`` and ``least`` are used; all of it is kept.

        Raises:
            DataError: There are no sentences, or they have no tags, or all the same.
        """
        if not len(train):
            raise DataError("There are no sentences to train on; expected at least one.")
        if train.targets is None:
            raise DataError(
                f"{train.origins[0]} has no tags, nor have the other training sentences; expected one for each word: "
                "CoNLL-U, or a line a word with its tag last."
            )
        tags = Labels.fit([tag for tags in train.targets for tag in tags])
        tokens = [word for sentence in train.inputs for word in sentence]
        return cls(
            Vocabulary.fit(tokens, "tokens", lower=settings.lower, least=settings.least),
            Vocabulary.fit(tokens, "characters"),
            tags,
            settings,
        )

    def read(self, paths: Sequence[Path]) -> Sentences:
        """Reads files in the way that the training files were read; tags may be missing."""
        return tagged.read(paths, self.settings)

    def parsed(self, texts: Sequence[str], origins: Sequence[str]) -> Sentences:
        """A sentence of each text, its words apart by spaces."""
        return tagged.plain(texts, origins)

    def encode(self, sentences: Sentences) -> SentenceDataset:
        """Encodes sentences with what was fitted."""
        targets = None
        if sentences.targets is not None:
            places = {tag: k for k, tag in enumerate(self.tags.classes)}
            targets = torch.tensor([places.get(tag, UNSEEN) for tags in sentences.targets for tag in tags])
        return SentenceDataset(sentences, targets, self.words, self.characters)

    def arguments(self, batch: SentenceBatch) -> tuple[Tensor | None, ...]:
        """What the model is called with."""
        return batch.inputs, batch.lengths, batch.spellings, batch.spelling_lengths, batch.places

    def example(self, size: int) -> tuple[Tensor | None, ...]:
        """Arguments for the model, made up."""
        words = torch.full((size, size), UNKNOWN)
        return words, None, words, torch.full((size,), size), torch.zeros_like(words)

    def answers(self, batch: SentenceBatch, tags: Tensor) -> list[dict[str, Any]]:
        """The words and tags of each sentence, and the spans that they mark.

        Args:
            batch: B sentences.
            tags: What the model gave for each word, [B, T], int64.
        """
        found, marking = [], looks_like_spans(self.tags.classes)
        for words, row in zip(batch.sentences, tags.tolist(), strict=True):
            names = [self.tags.classes[tag] for tag in row[: len(words)]]
            answer: dict[str, Any] = {"words": words, "tags": names}
            if marking:
                answer["spans"] = [
                    {"label": label, "start": begin, "end": end, "text": " ".join(words[begin:end])}
                    for label, begin, end in spans(names)
                ]
            answer["tagged"] = " ".join(f"{word}/{name}" for word, name in zip(words, names, strict=True))
            found.append(answer)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that ``from_dict`` reads."""
        return {
            "kind": self.kind,
            "words": self.words.to_dict(),
            "characters": self.characters.to_dict(),
            "tags": self.tags.to_dict(),
            "settings": self.settings.model_dump(mode="json"),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SentenceEncoder:
        """The encoder that ``to_dict`` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        words, characters = (Vocabulary.from_dict(data[name]) for name in ("words", "characters"))
        return cls(words, characters, Labels.from_dict(data["tags"]), TagData.model_validate(data["settings"]))
