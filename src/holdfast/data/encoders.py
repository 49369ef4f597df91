"""What is fitted on the training split and must be the same ever after: labels, scaling, and how files are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from holdfast.data.batches import SequenceDataset
from holdfast.data.examples import Array, Examples
from holdfast.data.labels import Labels
from holdfast.data.missing import NOTHING_FILLED, Filling
from holdfast.data.saved import Json, parsed
from holdfast.data.settings import ReadingSettings
from holdfast.errors import DataError
from holdfast.runtime.scaling import scaled

_CHUNK = 4096
"""Sequences whose statistics are taken at once."""


@dataclass(frozen=True)
class Scaling:
    """How raw values become the network's inputs.

    Attributes:
        kind: ``none``: as they are; ``unit``: divided by 255; ``standard``: minus ``mean``, over ``std``.
        mean: Of each channel, C numbers; empty unless ``standard``.
        std: Of each channel, C numbers; 1 for a channel that never varies.
    """

    kind: Literal["none", "unit", "standard"] = "none"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def fit(cls, examples: Examples, kind: Literal["none", "unit", "standard"]) -> Scaling:
        """Take the statistics of each channel over all steps of all sequences.

        Args:
            examples: The training split, and nothing else; missing values are passed over.
            kind: Which scaling; only ``standard`` looks at the examples.

        Raises:
            DataError: All values of a channel are missing.
        """
        if kind != "standard":
            return cls(kind)
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        # With gaps at once: a part in which all values of a channel are missing would spoil its mean.
        chunk = max(1, len(examples)) if examples.gaps else _CHUNK
        for begin in range(0, len(examples), chunk):
            part = examples.inputs[begin : begin + chunk]
            steps = part.reshape(-1, examples.channels) if isinstance(part, np.ndarray) else np.concatenate(part)
            empty: list[int] = np.flatnonzero(np.isnan(steps).all(0)).tolist() if examples.gaps else []
            if len(empty):
                raise DataError(
                    f"Value {empty[0]} of a step (from 0) is missing in all training sequences, such as "
                    f"{examples.origins[0]}; expected it in some. Leave it out."
                )
            scaler.partial_fit(steps)
        return cls(kind, tuple(scaler.mean_.tolist()), tuple(scaler.scale_.tolist()))

    def apply(self, values: Array) -> Array:
        """Scale values.

        Args:
            values: [..., C], any real dtype.

        Returns:
            [..., C], float32. Values that float32 cannot hold exactly are scaled in float64 first.
        """
        return scaled(values, self.kind, self.mean, self.std)

    def to_dict(self) -> Json:
        """Plain JSON that ``from_dict`` reads."""
        return {"kind": self.kind, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scaling:
        """The scaling that ``to_dict`` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """

        def build() -> Scaling:
            kind, mean, std = data["kind"], data["mean"], data["std"]
            if kind not in ("none", "unit", "standard") or len(mean) != len(std):
                raise ValueError(f"kind is {kind!r}, with {len(mean)} means and {len(std)} deviations")
            return cls(kind, tuple(float(value) for value in mean), tuple(float(value) for value in std))

        return parsed("scaling", data, build)


@dataclass(frozen=True)
class Encoder:
    """From examples to what a network reads, and all that is needed to read further files in the same way.

    Attributes:
        labels: The vocabulary of labels.
        scaling: How values are scaled.
        channels: Values a step that the network reads, C: those of the files, and the masks of missing ones.
        settings: How the training files were read.
        filling: What missing values become.
    """

    labels: Labels
    scaling: Scaling
    channels: int
    settings: ReadingSettings
    filling: Filling = NOTHING_FILLED

    @classmethod
    def fit(cls, train: Examples, settings: ReadingSettings) -> Encoder:
        """Fit labels and scaling.

        Args:
            train: The training split, and nothing else.
            settings: ``scaling`` is used; all of it is kept, with the names of the columns where the sequences have
                some, so that further files are read by these.

        Raises:
            DataError: There are no sequences, or they have no labels.
        """
        if not len(train):
            raise DataError("There are no sequences to train on; expected at least one.")
        if train.labels is None:
            raise DataError(
                f"{train.origins[0]} has no label, nor have the other training sequences; expected a label for each. "
                "Images: one folder a label; IDX: give the file of labels too; tables: data.label_column."
            )
        labels = Labels.fit(train.labels, settings.label_separator)
        settings = settings.model_copy(update={"feature_columns": list(train.columns or settings.feature_columns)})
        if settings.missing == "error":
            return cls(labels, Scaling.fit(train, settings.scaling), train.channels, settings)
        known = Scaling.fit(train, "standard")
        filling = Filling.of(settings.missing, known.mean, train.missing)
        # A mask is 0 or 1, and stays so where values are scaled.
        masks = len(filling.masked)
        standard = Scaling("standard", known.mean + (0.0,) * masks, known.std + (1.0,) * masks)
        scaling = standard if settings.scaling == "standard" else Scaling(settings.scaling)
        return cls(labels, scaling, train.channels + masks, settings, filling)

    def encode(self, examples: Examples) -> SequenceDataset:
        """Encode sequences with what was fitted.

        Values of one byte are kept and scaled batch by batch; others are scaled now, into float32.

        Args:
            examples: Sequences of as many channels as those trained on, with or without labels.

        Raises:
            DataError: The channels differ, or a label is unknown.
        """
        examples = examples.ordered(self.settings.feature_columns)
        channels = self.channels - len(self.filling.masked)
        if len(examples) and examples.channels != channels:
            raise DataError(
                f"{examples.origins[0]} has {examples.channels} values a step; the model was trained on {channels}. "
                "Give images of the same size and layout, or files with the same columns."
            )
        targets = None if examples.labels is None else self.labels.encode(examples.labels, examples.origins)
        apply = self.scaling.apply
        inputs = examples.inputs if self.filling.kind == "error" else self._filled(examples.inputs)
        if isinstance(inputs, np.ndarray):
            late = inputs.itemsize == 1
            inputs = inputs if late else apply(inputs)
        else:
            late = all(sequence.itemsize == 1 for sequence in inputs) and len({row.dtype for row in inputs}) == 1
            inputs = inputs if late else [apply(sequence) for sequence in inputs]
        return SequenceDataset(inputs, targets, scale=apply if late else None, origins=examples.origins)

    def _filled(self, inputs: Array | list[Array]) -> Array | list[Array]:
        """The values with the masks beside them, each sequence filled by itself."""
        if not isinstance(inputs, np.ndarray):
            return [self._with_masks(sequence) for sequence in inputs]
        return self._with_masks(inputs)

    def _with_masks(self, values: Array) -> Array:
        numbers = torch.from_numpy(values.astype(np.float64))
        return torch.cat([self.filling.filled(numbers), self.filling.mask(numbers)], -1).numpy()

    def to_dict(self) -> Json:
        """Plain JSON that ``from_dict`` reads."""
        return {
            "labels": self.labels.to_dict(),
            "scaling": self.scaling.to_dict(),
            "channels": self.channels,
            "settings": self.settings.model_dump(mode="json"),
            **({} if self.filling.kind == "error" else {"filling": self.filling.to_dict()}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Encoder:
        """The encoder that ``to_dict`` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        return parsed(
            "encoder",
            data,
            lambda: cls(
                Labels.from_dict(data["labels"]),
                Scaling.from_dict(data["scaling"]),
                int(data["channels"]),
                ReadingSettings.model_validate(data["settings"]),
                Filling.from_dict(data["filling"]) if "filling" in data else NOTHING_FILLED,
            ),
        )
