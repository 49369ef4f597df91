"""``holdfast.TranscriptStream``: chunks of sound in, the transcript out, while the sound arrives."""

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
    """A trained model with one direction that transcribes one recording while its sound arrives.

    After all chunks and :meth:`finish`, the text equals the model's transcript of the whole recording by its most
    likely path, wherever the chunks were cut.

    Args:
        path: A run directory or a model file of the task ``transcribe``.

    Attributes:
        rate: Expected samples per second.

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
        """The transcript so far."""
        return self._task.vocabulary.decode(self._labels)

    def accept(self, samples: Floats) -> str:
        """Reads a chunk of sound.

        Args:
            samples: [N], any number of samples from -1 to 1, ``rate`` per second.

        Returns:
            The text that this chunk adds; often empty.

        Raises:
            ShapeError: The samples do not have one dimension.
        """
        return self._transcribe(self._filterbank.accept(samples))

    def finish(self) -> str:
        """The text that the end of the sound adds: from the last step, if it was not full. Ends the stream."""
        return self._transcribe(self._filterbank.finish())

    def _transcribe(self, steps: Floats) -> str:
        if not len(steps):
            return ""
        text = self.text
        scores = torch.from_numpy(self._stream.run(self._task.scaling.apply(steps)))[None]
        (labels,) = ctc.greedy(scores, blank=BLANK, before=self._before)
        self._before = scores[:, -1].argmax(-1)
        self._labels += labels
        return self.text[len(text) :]
