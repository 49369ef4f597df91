from functools import cache

import torch
from hypothesis import given
from hypothesis import strategies as st

from holdfast.tasks.transcribe.data import TranscriptBatch
from holdfast.tasks.transcribe.metrics import TranscriptionMetrics, edit_distance


def transcription(pairs, size):
    """The metrics of (said, text) pairs, so many a batch."""
    said = [pair[0] for pair in pairs]
    metrics = TranscriptionMetrics(lambda scores, lengths: [said[int(row)] for row in scores[:, 0, 0]])
    for begin in range(0, len(pairs), size):
        texts = tuple(text for _, text in pairs[begin : begin + size])
        scores = torch.arange(begin, begin + len(texts))[:, None, None]
        metrics.update(scores, TranscriptBatch(torch.zeros(len(texts), 1, 1), None, None, None, texts))
    return metrics


def test_error_rates_counted_by_hand():
    pairs = [
        ("three one seven", "three one seven"),  # right
        ("three seven", "three one seven"),  # one word and four characters (" one") too few
        ("tree one one seven", "three one seven"),  # a word and a character wrong, a word and four characters too many
        ("", "nine"),  # nothing said
        ("two", ""),  # something said of nothing
    ]
    for size in (1, 2, 5):
        assert transcription(pairs, size).compute() == {
            "word_error_rate": (0 + 1 + 2 + 1 + 1) / 10,
            "character_error_rate": (0 + 4 + 5 + 4 + 3) / 49,
        }


def test_transcription_goes_on_from_a_stored_state():
    pairs = [("a b", "a c"), ("a", "a"), ("", "b c"), ("x", "b")]
    first, second = transcription(pairs[:2], 2), transcription(pairs[2:], 2)
    counts = {name: first.state_dict()[name] + second.state_dict()[name] for name in first.state_dict()}
    both = TranscriptionMetrics(lambda scores, lengths: [])
    both.load_state_dict(counts)
    assert both.compute() == transcription(pairs, 4).compute()
    assert both.compute()["word_error_rate"] == 4 / 6
    assert TranscriptionMetrics(lambda scores, lengths: []).compute()["word_error_rate"] == 0


words = st.lists(st.sampled_from("abc"), max_size=7)


@given(words, words)
def test_the_edit_distance_is_that_of_its_definition(first, second):
    @cache
    def distance(a, b):
        if not a or not b:
            return len(a) + len(b)
        change = distance(a[1:], b[1:]) + (a[0] != b[0])
        return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, change)

    assert edit_distance(first, second) == distance(tuple(first), tuple(second))
