"""Texts as numbers: ``tf.contrib.learn.preprocessing`` and ``tf.keras.preprocessing``."""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.errors import DataError, OptionError
from holdfast.tf1.graph.names import public

Array = np.ndarray[Any, Any]
# Capitals; the first words of CamelCase; words with apostrophes and hyphens.
_WORDS = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z][a-z]+(?=[A-Z])|[-'\w]+")
_NO_LETTERS = "".join(sign for sign in string.punctuation if sign != "'") + "\t\n"


@public("contrib.learn.preprocessing.tokenizer")
def words(iterator: Iterable[str]) -> Iterator[list[str]]:
    """The words of each text."""
    for text in iterator:
        yield _WORDS.findall(text)


@public("contrib.learn.preprocessing.CategoricalVocabulary")
class CategoricalVocabulary:
    """Numbers for words: 0 for those that it does not know, then 1, 2, ... in the order in which they came."""

    def __init__(self, unknown_token: str = "<UNK>", support_reverse: bool = True) -> None:
        self._unknown_token = unknown_token
        self._mapping: dict[str, int] = {unknown_token: 0}
        self._reverse_mapping = [unknown_token]
        self._freq: Counter[str] = Counter()
        self._frozen = False

    def __len__(self) -> int:
        return len(self._mapping)

    def freeze(self, freeze: bool = True) -> None:
        """Whether new words are unknown from now on."""
        self._frozen = freeze

    def get(self, category: str) -> int:
        """The number of a word; a new one gets the next number, or 0 if the vocabulary is frozen."""
        if category not in self._mapping:
            if self._frozen:
                return 0
            self._mapping[category] = len(self._mapping)
            self._reverse_mapping.append(category)
        return self._mapping[category]

    def add(self, category: str, count: int = 1) -> None:
        """Counts a word."""
        if self.get(category):
            self._freq[category] += count

    def trim(self, min_frequency: int, max_frequency: int = -1) -> None:
        """Keeps words that came more often than ``min_frequency``, the most frequent first, then by the alphabet."""
        ordered = sorted(self._freq.items(), key=lambda item: (-item[1], item[0]))
        kept = [word for word, count in ordered if count > min_frequency and not 0 < max_frequency <= count]
        self._reverse_mapping = [self._unknown_token, *kept]
        self._mapping = {word: number for number, word in enumerate(self._reverse_mapping)}
        self._freq = Counter({word: self._freq[word] for word in kept})

    def reverse(self, class_id: int) -> str:
        """The word of a number."""
        return self._reverse_mapping[class_id]


@public("contrib.learn.preprocessing.VocabularyProcessor")
class VocabularyProcessor:
    """Texts as rows of the numbers of their words, ended with zeros.

    Args:
        max_document_length: The length of a row; longer texts are cut.
        min_frequency: Words must come more often than this to have a number.
        vocabulary: Numbers for words; None for a new vocabulary.
        tokenizer_fn: Cuts texts into words.
    """

    def __init__(
        self, max_document_length: int, min_frequency: int = 0, vocabulary: CategoricalVocabulary | None = None,
        tokenizer_fn: Callable[[Iterable[str]], Iterable[Any]] | None = None,
    ) -> None:  # fmt: skip
        self.max_document_length, self.min_frequency = int(max_document_length), min_frequency
        self.vocabulary_ = vocabulary or CategoricalVocabulary()
        self._tokenizer: Callable[[Iterable[str]], Iterable[Any]] = tokenizer_fn or words

    def fit(self, raw_documents: Iterable[str], unused_y: Any = None) -> VocabularyProcessor:
        """Gives numbers to the words of these texts, and to no others after them."""
        for tokens in self._tokenizer(raw_documents):
            for token in tokens:
                self.vocabulary_.add(token)
        if self.min_frequency > 0:
            self.vocabulary_.trim(self.min_frequency)
        self.vocabulary_.freeze()
        return self

    def fit_transform(self, raw_documents: Iterable[str], unused_y: Any = None) -> Iterator[Array]:
        """:meth:`fit`, then :meth:`transform` of the same texts."""
        texts = list(raw_documents)
        self.fit(texts)
        return self.transform(texts)

    def transform(self, raw_documents: Iterable[str]) -> Iterator[Array]:
        """A row [max_document_length], int64, for each text."""
        for tokens in self._tokenizer(raw_documents):
            row = np.zeros(self.max_document_length, np.int64)
            numbers = [self.vocabulary_.get(token) for token in list(tokens)[: self.max_document_length]]
            row[: len(numbers)] = numbers
            yield row

    def reverse(self, documents: Iterable[Any]) -> Iterator[str]:
        """The words of each row, with spaces between them."""
        for row in documents:
            yield " ".join(self.vocabulary_.reverse(int(number)) for number in row)

    def save(self, filename: Any) -> None:
        """Writes the vocabulary to a file, as JSON."""
        names = ("_unknown_token", "_reverse_mapping", "_freq", "_frozen")
        content = {name.strip("_"): getattr(self.vocabulary_, name) for name in names}
        content |= {"max_document_length": self.max_document_length, "min_frequency": self.min_frequency}
        Path(filename).write_text(json.dumps(content, ensure_ascii=False), "utf-8")

    @classmethod
    def restore(cls, filename: Any) -> VocabularyProcessor:
        """Reads what :meth:`save` wrote.

        Raises:
            DataError: It is another file, such as a pickle of TensorFlow: opening one can run code.
        """
        try:
            content = json.loads(Path(filename).read_text("utf-8"))
            vocabulary = CategoricalVocabulary(content["unknown_token"])
            vocabulary._reverse_mapping, vocabulary._frozen = list(content["reverse_mapping"]), content["frozen"]
            vocabulary._mapping = {word: number for number, word in enumerate(vocabulary._reverse_mapping)}
            vocabulary._freq = Counter(content["freq"])
            return cls(content["max_document_length"], content["min_frequency"], vocabulary)
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{filename} is not a vocabulary that Holdfast saved (a pickle of TensorFlow is not opened, because "
                "that can run code); expected JSON. Call fit() with the texts again."
            ) from None


@public("keras.preprocessing.sequence.pad_sequences")
def pad_sequences(
    sequences: Any, maxlen: int | None = None, dtype: Any = "int32", padding: str = "pre", truncating: str = "pre",
    value: Any = 0.0,
) -> Array:  # fmt: skip
    """Sequences as rows [N, maxlen, ...], filled with ``value`` and cut at their beginning (``pre``) or end (``post``).

    Raises:
        OptionError: ``padding`` or ``truncating`` is neither ``"pre"`` nor ``"post"``.
        DataError: The steps of the sequences have different shapes.
    """
    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise OptionError(f"pad_sequences got {name}={given!r}; expected 'pre' or 'post'.")
    rows = [np.asarray(sequence) for sequence in sequences]
    longest = max(map(len, rows), default=0) if maxlen is None else int(maxlen)
    shapes = {row.shape[1:] for row in rows if len(row)} or {()}
    if len(shapes) > 1:
        raise DataError(f"pad_sequences got steps of the shapes {sorted(shapes)}; expected one shape.")
    padded = np.full((len(rows), longest, *shapes.pop()), value, dtype=object if dtype is object else dtype)
    for row, sequence in zip(padded, rows, strict=True):
        kept = sequence[max(0, len(sequence) - longest) :] if truncating == "pre" else sequence[:longest]
        if len(kept):
            row[slice(longest - len(kept), None) if padding == "pre" else slice(0, len(kept))] = kept
    return padded


@public("keras.utils.to_categorical")
def to_categorical(y: Any, num_classes: int | None = None, dtype: Any = "float32") -> Array:
    """Classes [...] as rows [..., num_classes] with 1 at the class."""
    classes = np.asarray(y, dtype=np.int64)
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    count = int(classes.max(initial=-1)) + 1 if num_classes is None else num_classes
    return np.eye(count, dtype=dtype)[classes]


@public("keras.preprocessing.text.text_to_word_sequence")
def text_to_word_sequence(text: str, filters: str = _NO_LETTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text: parts between ``split`` signs, without the signs in ``filters``."""
    cleaned = (text.lower() if lower else text).translate({ord(sign): split for sign in filters})
    return [word for word in cleaned.split(split) if word]


@public("keras.preprocessing.text.Tokenizer")
class Tokenizer:
    """Texts as lists of the numbers of their words; 1 for the most frequent word.

    Args:
        num_words: Only numbers below this one are used; None for all.
        filters: Signs that are left out.
        lower: Whether capitals count as small letters.
        split: What separates words.
        char_level: Whether every sign is a word.
        oov_token: Stands for unknown words, which are left out without it.
    """

    def __init__(
        self, num_words: int | None = None, filters: str = _NO_LETTERS, lower: bool = True, split: str = " ",
        char_level: bool = False, oov_token: str | None = None, document_count: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.document_count = char_level, oov_token, document_count
        self.word_counts: dict[str, int] = {}
        self.word_docs: dict[str, int] = {}
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> list[str]:
        if not isinstance(text, str):
            return list(text)
        if self.char_level:
            return list(text.lower() if self.lower else text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Counts the words of more texts too, and numbers all words."""
        for text in texts:
            found = self._words(text)
            self.document_count += 1
            for word in found:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(found):
                self.word_docs[word] = self.word_docs.get(word, 0) + 1
        ordered = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        if self.oov_token is not None:
            ordered = [self.oov_token, *(word for word in ordered if word != self.oov_token)]
        self.word_index = {word: number for number, word in enumerate(ordered, 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}

    def _numbers(self, text: Any) -> list[int]:
        unknown = self.word_index.get(self.oov_token) if self.oov_token is not None else None
        numbers = []
        for word in self._words(text):
            number = self.word_index.get(word)
            if number is None or (self.num_words and number >= self.num_words):
                number = unknown
            if number is not None:
                numbers.append(number)
        return numbers

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """The numbers of the words of each text."""
        return [self._numbers(text) for text in texts]

    def sequences_to_texts(self, sequences: Iterable[Any]) -> list[str]:
        """The words of each list of numbers, with spaces between them."""
        return [" ".join(self.index_word[int(n)] for n in row if int(n) in self.index_word) for row in sequences]

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> Array:
        """A row for each text and a column for each number of a word.

        Args:
            texts: The texts.
            mode: ``"binary"``: 1 if the word is there; ``"count"``: how often; ``"freq"``: its share of the words.

        Raises:
            OptionError: It is another mode.
        """
        if mode not in ("binary", "count", "freq"):
            raise OptionError(f"texts_to_matrix got mode={mode!r}; expected 'binary', 'count' or 'freq'.")
        width = self.num_words or len(self.word_index) + 1
        rows = self.texts_to_sequences(texts)
        counts = np.stack([np.bincount(row, minlength=width)[:width] for row in rows]).astype(np.float64)
        if mode == "binary":
            return (counts > 0).astype(np.float64)
        sizes = np.array([[max(1, len(row))] for row in rows])
        return counts if mode == "count" else counts / sizes
