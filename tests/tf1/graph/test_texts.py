from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from holdfast.errors import DataError, OptionError
from holdfast.tf1 import graph as tf

VocabularyProcessor = tf.contrib.learn.preprocessing.VocabularyProcessor
pad_sequences = tf.keras.preprocessing.sequence.pad_sequences
Tokenizer = tf.keras.preprocessing.text.Tokenizer
TEXTS = ["the cat sat on the mat", "the dog don't sit, HTML CamelCase well-known"]


def test_words_get_numbers_in_their_order() -> None:
    processor = VocabularyProcessor(8)
    rows = np.array(list(processor.fit_transform(TEXTS)))
    assert rows.dtype == np.int64
    assert rows.tolist() == [[1, 2, 3, 4, 1, 5, 0, 0], [1, 6, 7, 8, 9, 10, 11, 12]]
    assert list(processor.reverse(rows[1:])) == ["the dog don't sit HTML Camel Case well-known"]
    assert len(processor.vocabulary_) == 13
    assert next(iter(processor.transform(["a dog sat a"]))).tolist() == [0, 6, 3, 0, 0, 0, 0, 0]


def test_rare_words_are_left_out() -> None:
    processor = VocabularyProcessor(4, min_frequency=1)
    rows = list(processor.fit_transform(["b a", "a c b", "a"]))
    assert [row.tolist() for row in rows] == [[2, 1, 0, 0], [1, 0, 2, 0], [1, 0, 0, 0]]
    assert len(processor.vocabulary_) == 3


def test_a_vocabulary_is_saved_and_a_pickle_is_not_opened(tmp_path: Path) -> None:
    processor = VocabularyProcessor(4, tokenizer_fn=lambda texts: (text.split() for text in texts))
    processor.fit(["x-y z"])
    processor.save(tmp_path / "vocab")
    again = VocabularyProcessor.restore(str(tmp_path / "vocab"))
    assert next(iter(again.transform(["z new x-y"]))).tolist() == [2, 0, 1, 0]
    (tmp_path / "pickle").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(DataError, match="is not a vocabulary that Holdfast saved"):
        VocabularyProcessor.restore(tmp_path / "pickle")


def test_sequences_are_padded_and_cut() -> None:
    rows = [[1, 2, 3, 4], [5], []]
    assert pad_sequences(rows, 3).tolist() == [[2, 3, 4], [0, 0, 5], [0, 0, 0]]
    assert pad_sequences(rows, 3, padding="post", truncating="post", value=9).tolist() == [
        [1, 2, 3],
        [5, 9, 9],
        [9] * 3,
    ]
    assert pad_sequences(rows).shape == (3, 4)
    assert pad_sequences(rows, dtype="float32").dtype == np.float32
    assert pad_sequences([[[1, 2]], [[3, 4], [5, 6]]], 2).shape == (2, 2, 2)
    with pytest.raises(OptionError, match="pad_sequences got padding='left'; expected 'pre' or 'post'"):
        pad_sequences(rows, padding="left")
    with pytest.raises(DataError, match="expected one shape"):
        pad_sequences([[[1, 2]], [[3]]])


def test_classes_as_rows() -> None:
    to_categorical = tf.keras.utils.to_categorical
    assert to_categorical([0, 2]).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert to_categorical(np.array([[1], [0]]), 2).tolist() == [[0, 1], [1, 0]]
    assert to_categorical([[0, 1]], 2).shape == (1, 2, 2)
    assert to_categorical([1]).dtype == np.float32


def test_the_tokenizer() -> None:
    tokenizer = Tokenizer(num_words=4, oov_token="?")
    tokenizer.fit_on_texts(["The cat. the hat", "the cat's hat, hat"])
    assert tokenizer.word_index == {"?": 1, "the": 2, "hat": 3, "cat": 4, "cat's": 5}
    assert tokenizer.texts_to_sequences(["the new hat cat"]) == [[2, 1, 3, 1]]
    assert tokenizer.sequences_to_texts([[2, 3, 0]]) == ["the hat"]
    assert tokenizer.word_counts["hat"] == 3
    assert tokenizer.word_docs["the"] == tokenizer.document_count == 2
    plain = Tokenizer(char_level=True)
    plain.fit_on_texts(["abca"])
    assert plain.texts_to_sequences(["cab!"]) == [[3, 1, 2]]
    assert plain.texts_to_matrix(["aab"], "count").tolist() == [[0, 2, 1, 0]]
    assert plain.texts_to_matrix(["aab"], "binary").tolist() == [[0, 1, 1, 0]]
    assert plain.texts_to_matrix(["aabb"], "freq").tolist() == [[0, 0.5, 0.5, 0]]
    with pytest.raises(OptionError, match="mode='tfidf'; expected 'binary', 'count' or 'freq'"):
        plain.texts_to_matrix(["a"], "tfidf")
