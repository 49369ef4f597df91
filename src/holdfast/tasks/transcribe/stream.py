"""``holdfast.TranscriptStream``: chunks of sound in, what is said out, while it is being said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holdfast.data.features import FilterbankStream
from holdfast.decoding import ctc
from holdfast.errors import OptionError
from holdfast.layers.stream import Stream
from holdfast.tasks import TranscribeTask, model_file
from holdfast.tasks.transcribe.task import BLANK

Floats = NDArray[np.float32]


class TranscriptStream:
    """A trained model of one direction that writes down sound as it comes in, for one speaker at one time.

    What it has said after all chunks and :meth:`finish` is what the model says of the whole recording at once by its
    likeliest path, wherever the chunks were cut.

    Args:
        path: A run directory or a model file of the task ``transcribe``.

    Attributes:
        rate: Samples a second that it expects.

    Raises:
        ModelFileError: There is no usable model.
        OptionError: The model is for another task, or it is bidirectional.
        MissingLibraryError: ``kaldi-native-fbank`` is not installed.
    """

    def __init__(self, path: Path | str) -> None:
        task, model = model_file.load(Path(path))
        if not isinstance(task, TranscribeTask):
            raise OptionError(f"{path} is a model for the task {task.name!r}; a transcript needs one of 'transcribe'.")
        self.rate = task.data.audio.rate
        self._task, self._stream = task, Stream(model)
        self._filterbank = FilterbankStream(task.data.audio)
        self._before: Tensor | None = None
        self._labels: list[int] = []

    @property
    def text(self) -> str:
        """All that was said so far."""
        return self._task.vocabulary.decode(self._labels)

    def accept(self, samples: Floats) -> str:
        """Takes a chunk of sound.

        Args:
            samples: [N], any number of them, from -1 to 1, ``rate`` of them a second.

        Returns:
            What this chunk adds to the text; often nothing.

        Raises:
            ShapeError: The samples are not of one dimension.
        """
        return self._said(self._filterbank.accept(samples))

    def finish(self) -> str:
        """What the end of the sound adds to the text: the last step, if it was not full. Then nothing more may come."""
        return self._said(self._filterbank.finish())

    def _said(self, steps: Floats) -> str:
        if not len(steps):
            return ""
        text = self.text
        scores = torch.from_numpy(self._stream.run(self._task.scaling.apply(steps)))[None]
        (labels,) = ctc.greedy(scores, blank=BLANK, before=self._before)
        self._before = scores[:, -1].argmax(-1)
        self._labels += labels
        return self.text[len(text) :]
