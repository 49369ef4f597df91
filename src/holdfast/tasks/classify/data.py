"""Sequences and texts to classify, from values in memory; files are read by :mod:`holdfast.data`."""

from __future__ import annotations

from typing import Any

from holdfast.data import Encoder, Examples, Records, TextEncoder
from holdfast.errors import DataError
from holdfast.tasks.values import array_of, examples_in, origins, texts_in


def from_values(values: Any, encoder: Encoder | TextEncoder) -> Examples | Records[str, str]:
    """Examples without labels.

    Args:
        values: For a model of texts, a list of texts. Else a list of sequences, each [T, C] as lists, an array or a
            tensor on the CPU, or [T] where a step has one value; sequences of one length may be one array [N, T, C].
            The C values of a step stand in the order of the training files: of a table, the order of
            ``data.feature_columns``; of a recording, its log-mel energies. NaN is a missing value, where
            ``data.missing`` allows it.
        encoder: As fitted on the training split.

    Raises:
        DataError: A value does not fit.
    """
    if isinstance(encoder, TextEncoder):
        texts = texts_in(values)
        return Records(texts, None, origins(texts))
    channels = encoder.channels - len(encoder.filling.masked)
    shape = f"[T, {channels}], T steps of {channels} values" if channels > 1 else "[T, 1] or [T], a value per step"
    sequences = []
    for index, value in enumerate(examples_in(values, f"a list of sequences {shape}")):
        sequence = array_of(value, f"values[{index}]", f"a sequence {shape}")
        if sequence.ndim == 1 and channels == 1:
            sequence = sequence[:, None]
        if sequence.ndim != 2 or sequence.shape[1] != channels:
            raise DataError(
                f"values[{index}] has shape {sequence.shape}; expected {shape}. Give a list of sequences, also for one."
            )
        sequences.append(sequence)
    return Examples(sequences, None, origins(sequences), gaps=encoder.settings.missing != "error")
