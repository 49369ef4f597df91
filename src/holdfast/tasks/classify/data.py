"""Sequences and texts to classify, from values in memory; files are read by :mod:`holdfast.data`."""

from __future__ import annotations

from typing import Any

from holdfast.data import Encoder, Examples, Records, TextEncoder
from holdfast.tasks.values import sequences_in_memory, texts_in_memory


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
        return texts_in_memory(values)
    return sequences_in_memory(values, encoder)
