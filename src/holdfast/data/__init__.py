"""Data: readers (files to examples), encoders (fitted on the training split), batches (padding and buckets)."""

from holdfast.data.batches import Batch, Batches, Dataset, SequenceDataset
from holdfast.data.encoders import Encoder, Scaling
from holdfast.data.examples import Examples
from holdfast.data.labels import Labels
from holdfast.data.readers import read
from holdfast.data.records import Records
from holdfast.data.sources import Splits, divided, load, read_sequences, split
from holdfast.data.text_encoder import TextEncoder

__all__ = [
    "Batch",
    "Batches",
    "Dataset",
    "Encoder",
    "Examples",
    "Labels",
    "Records",
    "Scaling",
    "SequenceDataset",
    "Splits",
    "TextEncoder",
    "divided",
    "load",
    "read",
    "read_sequences",
    "split",
]
