"""Data: readers (files to examples), encoders (fitted on the training split), batches (padding and buckets).

Each name is imported when it is first used: the settings of a recipe need no reader.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand

if TYPE_CHECKING:
    from holdfast.data.batch import Batch
    from holdfast.data.batches import Batches, Dataset, SequenceDataset, Weighted
    from holdfast.data.encoders import Encoder, SequenceEncoder, fit_scaling
    from holdfast.data.examples import Examples
    from holdfast.data.labels import Labels
    from holdfast.data.readers import read
    from holdfast.data.records import Records
    from holdfast.data.sources import Splits, divided, hold_out, load, read_sequences, split
    from holdfast.data.text_encoder import TextEncoder
    from holdfast.runtime.scaling import Scaling

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
    "SequenceEncoder",
    "Splits",
    "TextEncoder",
    "Weighted",
    "divided",
    "fit_scaling",
    "hold_out",
    "load",
    "read",
    "read_sequences",
    "split",
]

_HOMES = {
    "Batch": "holdfast.data.batches",
    "Batches": "holdfast.data.batches",
    "Dataset": "holdfast.data.batches",
    "SequenceDataset": "holdfast.data.batches",
    "Weighted": "holdfast.data.batches",
    "Encoder": "holdfast.data.encoders",
    "SequenceEncoder": "holdfast.data.encoders",
    "fit_scaling": "holdfast.data.encoders",
    "Scaling": "holdfast.runtime.scaling",
    "Examples": "holdfast.data.examples",
    "Labels": "holdfast.data.labels",
    "read": "holdfast.data.readers",
    "Records": "holdfast.data.records",
    "Splits": "holdfast.data.sources",
    "divided": "holdfast.data.sources",
    "hold_out": "holdfast.data.sources",
    "load": "holdfast.data.sources",
    "read_sequences": "holdfast.data.sources",
    "split": "holdfast.data.sources",
    "TextEncoder": "holdfast.data.text_encoder",
}

__getattr__ = on_demand(__name__, _HOMES)
