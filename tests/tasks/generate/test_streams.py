import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from holdfast.data import Batches
from holdfast.data.vocabulary import BEGIN, END, PADDING
from holdfast.errors import DataError, OptionError
from holdfast.tasks.generate.streams import Streams, TokenLines


def text(count, first=10):
    return np.arange(first, first + count, dtype=np.int32)


def joined(windows):
    """The inputs and targets of each stream, from window to window."""
    return torch.cat([w.inputs for w in windows], 1), torch.cat([w.targets for w in windows], 1)


def test_a_text_is_cut_into_streams_and_windows_as_drawn_in_the_docs():
    windows = list(Streams([text(11)], 2, 4, characters=11).epoch(0))
    assert [w.inputs.tolist() for w in windows] == [
        [[BEGIN, 10, 11, 12], [15, 16, 17, 18]],
        [[13, 14], [19, PADDING]],
    ]
    assert [w.targets.tolist() for w in windows] == [
        [[10, 11, 12, 13], [16, 17, 18, 19]],
        [[14, 15], [20, PADDING]],
    ]
    assert [w.goes_on for w in windows] == [False, True]
    assert [w.share for w in windows] == [1, 3 / 8]
    assert [w.characters for w in windows] == [8, 3]
    assert [w.lengths for w in windows] == [None, None]


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=4).filter(any),
    rows=st.integers(1, 9),
    steps=st.integers(1, 12),
    vary=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_every_token_is_a_target_once_and_each_window_goes_on_where_the_last_one_ended(
    counts, rows, steps, vary, epoch
):
    texts = [text(count, 100 * k + 10) for k, count in enumerate(counts)]
    streams = Streams(texts, rows, steps, characters=3 * sum(counts), vary=vary, seed=1)
    windows = list(streams.epoch(epoch))
    assert len(windows) == len(streams)
    assert all(len(w) == rows for w in windows)
    inputs, targets = joined(windows)
    # Row after row, without the padding at the ends, the targets are the texts, with END between them ...
    whole = [token for one in texts for token in [*one.tolist(), END]][:-1]
    real = targets != PADDING
    assert targets[real].tolist() == whole
    assert not (real[:, 1:] & ~real[:, :-1]).any()
    assert real.sum(1).max() - real.sum(1).min() <= 1
    # ... and before each stands the token before it, or BEGIN after an END and at the start.
    before = [BEGIN, *whole[:-1]]
    assert inputs[real].tolist() == [BEGIN if token == END else token for token in before]
    for k, window in enumerate(windows):
        assert window.fresh.all() == (not window.goes_on)
        assert window.fresh.all() if k == 0 else not window.fresh.any()
    assert sum(w.characters for w in windows) == pytest.approx(3 * sum(counts))
    assert sum(w.share for w in windows) * rows * steps == pytest.approx(len(whole))
    assert all(w.inputs.dtype == w.targets.dtype == torch.int64 for w in windows)


def test_an_epoch_can_be_taken_up_at_any_window():
    streams = Streams([text(500)], 3, 7, characters=500, vary=True, seed=2)
    whole = list(streams.epoch(4))
    for start in (0, 1, len(whole) - 1, len(whole)):
        rest = list(streams.epoch(4, start))
        assert len(rest) == len(whole) - start
        for ours, theirs in zip(rest, whole[start:], strict=True):
            assert torch.equal(ours.inputs, theirs.inputs)
            assert ours.goes_on == theirs.goes_on
    with pytest.raises(OptionError, match=r"^Streams\.epoch got start = -1; expected 0 to 24, the windows of an"):
        streams.epoch(0, -1)


def test_rows_begin_anew_here_and_there():
    text_ = text(8000)
    plain = list(Streams([text_], 8, 10, characters=1, seed=2).epoch(3))
    streams = Streams([text_], 8, 10, characters=1, restart=0.2, seed=2)
    windows = list(streams.epoch(3))
    fresh = torch.stack([w.fresh for w in windows])
    assert fresh[0].all()
    assert fresh[1:].float().mean() == pytest.approx(0.2, abs=0.05)
    for window, whole in zip(windows, plain, strict=True):
        assert torch.equal(window.targets, whole.targets)
        assert torch.equal(window.inputs, whole.inputs)
    assert not np.array_equal(streams.fresh(4), streams.fresh(3))
    (last,) = streams.epoch(3, 99)
    assert torch.equal(last.fresh, fresh[99])


def test_varied_windows_are_drawn_for_each_epoch_and_keep_their_mean():
    streams = Streams([text(70 * 400)], 1, 70, characters=1, vary=True, seed=2)
    lengths = [np.diff(streams.edges(number)) for number in range(2)]
    assert [len(one) for one in lengths] == [400, 400]
    assert [one.sum() for one in lengths] == [28_000, 28_000]
    assert not np.array_equal(*lengths)
    assert np.array_equal(np.diff(streams.edges(1)), lengths[1])
    # One in twenty is about half as long; 0.95 + 0.05 / 2 = 0.975 of what was drawn becomes the whole.
    short = lengths[0] < 50
    assert 0.02 < short.mean() < 0.08
    assert lengths[0][~short].mean() == pytest.approx(70 / 0.975, abs=1.5)
    assert lengths[0][~short].std() == pytest.approx(5, rel=0.2)


def test_an_empty_text_and_sizes_below_one_are_refused():
    for texts in ([], [text(0)]):
        with pytest.raises(DataError, match=r"^The texts have no tokens; expected at least one to predict\.$"):
            Streams(texts, 1, 1, characters=0)
    with pytest.raises(OptionError, match=r"^Streams got rows = 0; expected at least 1\.$"):
        Streams([text(3)], 0, 1, characters=3)
    with pytest.raises(OptionError, match=r"^Streams got steps = 0; expected at least 1\.$"):
        Streams([text(3)], 1, 0, characters=3)


def test_lines_stand_between_begin_and_end_and_are_padded():
    lines = TokenLines([text(3), text(0), text(1, 20)], characters=7)
    assert lines.lengths.tolist() == [4, 1, 2]
    batch = lines.__getitems__([2, 0])
    assert batch.inputs.tolist() == [[BEGIN, 20, PADDING, PADDING], [BEGIN, 10, 11, 12]]
    assert batch.targets.tolist() == [[20, END, PADDING, PADDING], [10, 11, 12, END]]
    assert batch.lengths.tolist() == [2, 4]
    assert (batch.goes_on, batch.share, batch.characters) == (False, 1, 6)
    assert batch.fresh.tolist() == [True, True]
    assert lines.__getitems__([0]).lengths is None
    assert sum(one.characters for one in Batches(lines, 2).epoch(0)) == 7


def test_a_batch_moves_to_a_device_as_a_whole():
    batch = TokenLines([text(2), text(1)], characters=5).__getitems__([0, 1])
    moved = batch.to("meta")
    assert {moved.inputs.device.type, moved.targets.device.type, moved.lengths.device.type} == {"meta"}
    assert (type(moved), moved.characters) == (type(batch), batch.characters)
