"""Data: readers (files to examples), encoders (fitted on the training split), batches (padding and buckets)."""

from holdfast.data.batches import Batch, Batches, SequenceDataset
from holdfast.data.encoders import Encoder, Labels, Scaling
from holdfast.data.examples import Examples
from holdfast.data.readers import read
from holdfast.data.sources import Splits, load, split

__all__ = [
    "Batch",
    "Batches",
    "Encoder",
    "Examples",
    "Labels",
    "Scaling",
    "SequenceDataset",
    "Splits",
    "load",
    "read",
    "split",
]
