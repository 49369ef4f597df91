"""The inputs of models of numbers and texts, with examples to begin with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from holdfast.data.encoders import SequenceEncoder
from holdfast.data.examples import Array
from holdfast.data.vocabulary import Vocabulary
from holdfast.data.vocabulary_rules import rules
from holdfast.runtime.scaling import Scaling
from holdfast.tasks.interface import ImageInput, NumbersInput, Sample, TextInput, TextSample
from holdfast.tasks.served_parts import SoundInput

MOST_SAMPLES = 12
_MOST_NUMBERS = 200_000
_LONGEST_TEXT = 400
_LONGEST_NAME = 50
_MADE_STEPS = 12
_PIXEL = 128  # values of one byte that never reach it are classes or ticks


def numbers_input(encoder: SequenceEncoder, examples: Any = None) -> ImageInput | NumbersInput:
    """The input of a model of sequences of numbers; a picture where they are pixels.

    Args:
        encoder: How sequences become what the network reads.
        examples: Sequences to begin with: ``inputs``, ``targets`` and ``origins``; None for none.
    """
    masks = len(encoder.filling.masked)
    channels, layout = encoder.channels - masks, encoder.settings.layout
    chosen = list(_sequences(encoder, examples)) if examples is not None else []
    samples = tuple(Sample(name, _rounded(values)) for name, values in chosen)
    shape = _picture(encoder, channels, [values for _, values in chosen])
    if shape is None:
        return NumbersInput(channels, tuple(encoder.settings.feature_columns), masks, samples)
    return ImageInput(*shape, layout, masks, samples)


def sequence_input(
    encoder: SequenceEncoder, examples: Any = None, *, alone: bool = True
) -> ImageInput | NumbersInput | SoundInput:
    """As :func:`numbers_input`; for a page that asks a server, without masks, and a recording where it may be one.

    Args:
        encoder: As there.
        examples: As there.
        alone: Whether the page runs the model itself.
    """
    found = numbers_input(encoder, examples)
    if alone:
        return found
    if isinstance(found, NumbersInput) and _reads_sound(encoder):
        return SoundInput(encoder.settings.audio.rate, found.channels)
    if isinstance(found, NumbersInput) and not found.samples:
        found = replace(found, samples=(made_sample(found.channels, encoder.scaling),))
    return replace(found, masks=0)


def made_sample(channels: int, scaling: Scaling) -> Sample:
    """A sequence to begin with: a wave in each channel, in the scale of the training data.

    Args:
        channels: C, values per step.
        scaling: Of the training data; the first C channels are used.
    """
    steps = np.arange(_MADE_STEPS)[:, None] + np.linspace(0, _MADE_STEPS / 2, channels, endpoint=False)
    waves = np.sin(2 * np.pi * steps / _MADE_STEPS)
    if scaling.kind == "standard":
        waves = waves * scaling.std[:channels] + scaling.mean[:channels]
    return Sample("a wave", [[float(f"{value:.3g}") for value in step] for step in waves.tolist()])


def _reads_sound(encoder: SequenceEncoder) -> bool:
    """Whether the steps have as many values as those of recordings; the values of tables have names."""
    return encoder.channels == encoder.settings.audio.values and not encoder.settings.feature_columns


def text_input(vocabulary: Vocabulary, examples: Any = None, *, alone: bool = True) -> TextInput:
    """The input of a model of texts.

    Args:
        vocabulary: What its ids stand for.
        examples: Texts to begin with, as for :func:`numbers_input`.
        alone: Whether the page cuts texts itself.

    Raises:
        OptionError: The vocabulary cuts texts by rules that a page does not know.
    """
    return TextInput(rules(vocabulary) if alone else None, text_samples(examples))


def text_samples(examples: Any) -> tuple[TextSample, ...]:
    """Texts to begin with; a list of words becomes a text with spaces."""
    samples: list[TextSample] = []
    for label, value in _chosen(examples) if examples is not None else ():
        text = value if isinstance(value, str) else " ".join(value)
        name = f"{label}: {text}" if label else text
        if len(text) <= _LONGEST_TEXT:
            samples.append(TextSample(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}...", text))
    return tuple(samples[:MOST_SAMPLES])


def _chosen(examples: Any) -> Iterator[tuple[str, Any]]:
    """The labels and inputs of examples: first one of each label, then the others; the first 100 of them."""
    targets = examples.targets or [None] * len(examples)
    labels = [target if isinstance(target, str) else "" for target in targets]
    firsts = {label: place for place, label in reversed(list(enumerate(labels))) if label}
    order = [
        *(firsts[label] for label in sorted(firsts)),
        *(place for place in range(len(labels)) if place not in firsts.values()),
    ]
    for place in order[:100]:
        yield labels[place], examples.inputs[place]


def _sequences(encoder: SequenceEncoder, examples: Any) -> Iterator[tuple[str, Array]]:
    """A few sequences without gaps."""
    room, ordered = _MOST_NUMBERS, examples
    if hasattr(examples, "ordered"):
        ordered = examples.ordered(encoder.settings.feature_columns)
    seen: Counter[str] = Counter()
    for place, (label, values) in enumerate(_chosen(ordered)):
        room -= values.size
        if place == MOST_SAMPLES or room < 0:
            return
        if values.dtype.kind == "f" and np.isnan(values).any():
            values = encoder.filling.filled(torch.from_numpy(values.astype(np.float64))).numpy()
        seen[label] += 1
        yield (label if seen[label] == 1 else f"{label} ({seen[label]})") if label else f"example {place + 1}", values


def _picture(encoder: SequenceEncoder, channels: int, sequences: Sequence[Array]) -> tuple[int, int] | None:
    """Height and width of the pictures that sequences are; None where they are other numbers."""
    layout = encoder.settings.layout
    if sequences:
        pixels = all(values.dtype == np.uint8 for values in sequences)
        if not pixels or max(int(values.max()) for values in sequences) < _PIXEL:
            return None
    elif encoder.scaling.kind != "unit" or encoder.settings.feature_columns:
        return None
    steps = {len(values) for values in sequences} or {channels}
    if len(steps) > 1 or (layout == "pixels" and channels > 1):
        return None
    (count,) = steps
    if layout == "pixels":
        side = math.isqrt(count)
        return (side, side) if side > 1 and side * side == count else None
    return (count, channels) if layout == "rows" else (channels, count)


def _rounded(values: Array) -> list[list[float]]:
    """Numbers with the digits that float32 needs."""
    if values.dtype.kind in "bui":
        return [[int(value) for value in step] for step in values.tolist()]
    return [[float(f"{value:.9g}") for value in step] for step in values.tolist()]
