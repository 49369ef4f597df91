"""Linear chains of tags, against the sum over all sequences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf

crf = tf.contrib.crf
DRAW = np.random.RandomState(5)
SCORES = DRAW.standard_normal((3, 4, 3)).astype("float32")
MOVES = DRAW.standard_normal((3, 3)).astype("float32")
TAGS = DRAW.randint(0, 3, (3, 4))
LENGTHS = np.array([4, 1, 3])


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def score(row: int, tags: tuple[int, ...]) -> float:
    return sum(float(SCORES[row, t, tag]) for t, tag in enumerate(tags)) + sum(
        float(MOVES[a, b]) for a, b in itertools.pairwise(tags)
    )


def every(row: int) -> dict[tuple[int, ...], float]:
    return {tags: score(row, tags) for tags in itertools.product(range(3), repeat=int(LENGTHS[row]))}


def test_likelihood(session: tf.Session) -> None:
    likelihood, moves = crf.crf_log_likelihood(SCORES, TAGS, LENGTHS, MOVES)
    expected = []
    for row in range(3):
        total = np.log(sum(np.exp(value) for value in every(row).values()))
        expected.append(score(row, tuple(TAGS[row, : LENGTHS[row]])) - total)
    np.testing.assert_allclose(session.run(likelihood), expected, rtol=1e-5)
    assert session.run(moves).tolist() == MOVES.tolist()
    parts = [
        crf.crf_unary_score(TAGS, LENGTHS, SCORES) + crf.crf_binary_score(TAGS, LENGTHS, MOVES),
        crf.crf_sequence_score(SCORES, TAGS, LENGTHS, MOVES),
        crf.crf_log_norm(SCORES, LENGTHS, MOVES) + likelihood,
    ]
    for part in session.run(parts)[1:]:
        np.testing.assert_allclose(part, session.run(parts[0]), rtol=1e-5)


def test_decoding(session: tf.Session) -> None:
    tags, best = session.run(crf.crf_decode(SCORES, MOVES, LENGTHS))
    for row, count in enumerate(LENGTHS):
        paths = every(row)
        right = max(paths, key=lambda path: paths[path])
        assert crf.viterbi_decode(SCORES[row, :count], MOVES)[0] == list(right)
        assert tags[row, :count].tolist() == list(right)
        assert not tags[row, count:].any()
        assert best[row] == pytest.approx(paths[right], rel=1e-5)


def test_training_finds_the_tags(session: tf.Session) -> None:
    x = tf.constant(np.eye(3)[TAGS], tf.float32)
    logits = tf.layers.dense(x, 3)
    likelihood, moves = crf.crf_log_likelihood(logits, TAGS, LENGTHS)
    assert moves.op.name == "transitions"
    train = tf.train.AdamOptimizer(0.2).minimize(-tf.reduce_mean(likelihood))
    session.run(tf.global_variables_initializer())
    for _ in range(40):
        session.run(train)
    found, _ = session.run(crf.crf_decode(logits, moves, LENGTHS))
    inside = np.arange(4) < LENGTHS[:, None]
    assert (found == TAGS)[inside].all()
