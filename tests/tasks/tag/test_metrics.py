from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from holdfast.data import Batch
from holdfast.data.spans import Span, looks_like_spans, spans
from holdfast.tasks.tag.metrics import TaggingMetrics

TAGS = ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-PER I-PER O B-LOC", [("PER", 0, 2), ("LOC", 3, 4)]),
        ("B-PER B-PER I-PER", [("PER", 0, 1), ("PER", 1, 3)]),
        ("I-PER I-PER O I-LOC", [("PER", 0, 2), ("LOC", 3, 4)]),  # IOB1
        ("B-PER I-LOC I-LOC", [("PER", 0, 1), ("LOC", 1, 3)]),
        ("O I-LOC B-LOC", [("LOC", 1, 2), ("LOC", 2, 3)]),
        ("S-PER O B-LOC I-LOC E-LOC S-LOC", [("PER", 0, 1), ("LOC", 2, 5), ("LOC", 5, 6)]),  # BIOES
        ("U-PER B-LOC L-LOC U-LOC", [("PER", 0, 1), ("LOC", 1, 3), ("LOC", 3, 4)]),  # BILOU
        ("B-LOC M-LOC E-LOC", [("LOC", 0, 3)]),  # BMES
        ("B-LOC E-LOC I-LOC E-PER", [("LOC", 0, 2), ("LOC", 2, 3), ("PER", 3, 4)]),
        ("E-LOC E-LOC S-LOC I-LOC", [("LOC", 0, 1), ("LOC", 1, 2), ("LOC", 2, 3), ("LOC", 3, 4)]),
        ("B-LOC O E-LOC", [("LOC", 0, 1), ("LOC", 2, 3)]),
    ],
)
def test_spans_as_conlleval_reads_them(tags: str, expected: list[Span]) -> None:
    assert spans(tags.split()) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (TAGS, True),
        (["B-X"], True),
        (["B-X", "E-X", "S-X", "O"], True),
        (["U-X", "L-X"], True),
        (["X-X"], False),
        (["O"], False),
        ([], False),
        (["NOUN", "O"], False),
        (["B-", "O"], False),
        (["0", "1"], False),
    ],
)
def test_tags_that_mark_spans_are_told_from_others(tags: list[str], expected: bool) -> None:
    assert looks_like_spans(tags) is expected


def padded(rows: list[list[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


pairs = st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6), min_size=1)


@given(pairs, st.integers(1, 3))
def test_metrics_agree_with_counts_taken_one_by_one_however_the_batches_are_cut(
    sentences: list[list[tuple[int, int]]], size: int
) -> None:
    metrics = TaggingMetrics(TAGS)
    for begin in range(0, len(sentences), size):
        part = sentences[begin : begin + size]
        answers, targets = ([[pair[side] for pair in row] for row in part] for side in (0, 1))
        metrics.update(padded(answers, 3), Batch(torch.zeros(len(part), 1), None, padded(targets, -100)))
    found = metrics.compute()
    flat = [pair for row in sentences for pair in row]
    assert found["accuracy"] == pytest.approx(sum(a == b for a, b in flat) / len(flat))
    assert found["sequence_accuracy"] == pytest.approx(
        sum(all(a == b for a, b in row) for row in sentences) / len(sentences)
    )
    # every span that could be there is a decision: answered or not, there or not
    said, true = [], []
    for row in sentences:
        sides = [set(spans([TAGS[pair[side]] for pair in row])) for side in (0, 1)]
        for one in sorted(sides[0] | sides[1]):
            said.append(one in sides[0])
            true.append(one in sides[1])
    precision, recall, f1, _ = precision_recall_fscore_support(
        [*true, False], [*said, False], average="binary", zero_division=0
    )
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((precision, recall, f1))


def test_a_tag_that_training_never_saw_counts_and_is_never_right() -> None:
    metrics = TaggingMetrics(TAGS)
    targets = torch.tensor([[1, -1, -1, 4], [4, 4, -100, -100]])
    metrics.update(torch.tensor([[1, 3, 4, 4], [4, 4, 4, 4]]), Batch(torch.zeros(2, 4), None, targets))
    found = metrics.compute()
    assert (found["accuracy"], found["sequence_accuracy"]) == (4 / 6, 0.5)
    assert metrics.spans == {"LOC": [0, 0, 0], "PER": [0, 1, 1], "?": [0, 0, 1]}


def test_tags_without_spans_have_accuracies_alone_and_a_line_each() -> None:
    metrics = TaggingMetrics(["DET", "NOUN"])
    assert metrics.compute() == {"accuracy": 0.0, "sequence_accuracy": 0.0}
    batch = Batch(torch.zeros(2, 3), None, torch.tensor([[0, 1, 1], [1, -100, -100]]))
    metrics.update(torch.tensor([[0, 1, 0], [1, 0, 1]]), batch)
    assert metrics.compute() == {"accuracy": 0.75, "sequence_accuracy": 0.5}
    assert metrics.table().splitlines() == [
        "tag   precision  recall      f1    count",
        "DET      0.5000  1.0000  0.6667        1",
        "NOUN     1.0000  0.6667  0.8000        3",
    ]


def test_spans_have_a_line_a_label_and_a_stored_state_goes_on() -> None:
    targets = torch.tensor([[1, 3, 4], [0, 4, 0]])  # PER; LOC and LOC
    answers = torch.tensor([[1, 3, 4], [0, 4, 1]])
    whole, first, second = (TaggingMetrics(TAGS) for _ in range(3))
    whole.update(answers, Batch(torch.zeros(2, 3), None, targets))
    first.update(answers[:1], Batch(torch.zeros(1, 3), None, targets[:1]))
    second.load_state_dict(first.state_dict())
    second.update(answers[1:], Batch(torch.zeros(1, 3), None, targets[1:]))
    assert second.compute() == whole.compute()
    assert first.compute()["sequence_accuracy"] == 1, "a stored state has memory of its own"
    assert first.spans == {"LOC": [0, 0, 0], "PER": [1, 1, 1]}
    assert whole.table().splitlines() == [
        "span  precision  recall      f1    count",
        "LOC      1.0000  0.5000  0.6667        2",
        "PER      0.5000  1.0000  0.6667        1",
    ]
