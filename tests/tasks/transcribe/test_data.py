"""Batches of recordings with their transcripts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.data import Batches, SequenceDataset
from holdfast.errors import DataError
from holdfast.tasks.transcribe.data import TranscriptDataset


def recordings(*lengths: int) -> SequenceDataset:
    inputs = [np.full((length, 2), length, dtype=np.float32) for length in lengths]
    return SequenceDataset(inputs, origins=[f"{length}.wav" for length in lengths])


def test_labels_are_padded_and_texts_go_along() -> None:
    dataset = TranscriptDataset(recordings(4, 6, 5), [[7], [8, 9, 9], []], ["a", "b c c", ""])
    (batch,) = Batches(dataset, 3).epoch(0)
    assert batch.targets is not None
    assert batch.targets.tolist() == [[7, 0, 0], [8, 9, 9], [0, 0, 0]]
    assert batch.known_target_lengths.tolist() == [1, 3, 0]
    assert batch.texts == ("a", "b c c", "")
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [4, 6, 5]
    assert batch.inputs[0, :, 0].tolist() == [4, 4, 4, 4, 0, 0]


def test_every_tensor_moves_to_a_device_and_the_texts_stay() -> None:
    batch = TranscriptDataset(recordings(4), [[7]], ["a"]).__getitems__(np.array([0])).to("meta")
    assert batch.texts == ("a",)
    assert batch.known_target_lengths.device == torch.device("meta")


def test_without_transcripts() -> None:
    batch = TranscriptDataset(recordings(4, 4), None, ()).__getitems__(np.array([1, 0]))
    assert (batch.targets, batch.target_lengths, batch.texts) == (None, None, ())
    with pytest.raises(DataError) as error:
        _ = batch.known_target_lengths
    assert str(error.value) == (
        "The recordings have no transcripts; expected one for each, to train on or to measure against."
    )


def test_a_transcript_that_no_path_can_say() -> None:
    TranscriptDataset(recordings(4), [[7, 8, 8]], ["a b b"])  # 7 8 blank 8
    with pytest.raises(DataError) as error:
        TranscriptDataset(recordings(9, 4), [[1], [8, 8, 8]], ["x", "b b b"])
    assert str(error.value) == (
        "4.wav has 4 steps, and its transcript of 3 labels needs 5. Check the transcript, or lower data.audio.stack or "
        "data.audio.hop_ms."
    )
