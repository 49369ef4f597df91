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


class LiveTranscript:
    """What a live transcript needs around its network: sound to steps before it, and scores to text after it.

    Args:
        task: The task of the model.
        scaled: Whether the network reads steps that the task has scaled; otherwise it scales them itself.

    Raises:
        MissingLibraryError: ``kaldi-native-fbank`` is not installed.
    """

    def __init__(self, task: TranscribeTask, *, scaled: bool = True) -> None:
        self._task, self._scaled = task, scaled
        self._filterbank = FilterbankStream(task.data.audio)
        self._before: Tensor | None = None
        self._labels: list[int] = []

    @property
    def text(self) -> str:
        """The transcript so far."""
        return self._task.vocabulary.decode(self._labels)

    def accept(self, samples: Floats) -> Floats:
        """The steps [T, I] that a chunk of sound completes, often none.

        Args:
            samples: [N], any number of samples from -1 to 1.

        Raises:
            ShapeError: The samples do not have one dimension.
            DataError: A sample is not a finite number, or far beyond -1 to 1; the stream is as before.
        """
        return self._steps(self._filterbank.accept(samples))

    def finish(self) -> Floats:
        """The steps [T, I] that the end of the sound adds: the last one, if it was not full."""
        return self._steps(self._filterbank.finish())

    def read(self, scores: Floats) -> str:
        """The text that the scores of some steps add.

        Args:
            scores: [T, O], the output of the network for the next steps; T is at least 1.
        """
        text = self.text
        batch = torch.from_numpy(scores)[None]
        (labels,) = ctc.greedy(batch, blank=BLANK, before=self._before)
        self._before = batch[:, -1].argmax(-1)
        self._labels += labels
        return self.text[len(text) :]

    def _steps(self, steps: Floats) -> Floats:
        return self._task.scaling.apply(steps) if self._scaled else steps


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

    Example:
        >>> import holdfast
        >>> stream = holdfast.TranscriptStream("runs/digit-strings")  # doctest: +SKIP
        >>> for chunk in chunks_of_the_microphone:  # doctest: +SKIP
        ...     print(stream.accept(chunk))
    """

    def __init__(self, path: Path | str) -> None:
        task, model = model_file.load(Path(path))
        if not isinstance(task, TranscribeTask):
            raise OptionError(f"{path} is a model for the task {task.name!r}; a transcript needs one of 'transcribe'.")
        self.rate = task.data.audio.rate
        self._stream, self._transcript = Stream(model), LiveTranscript(task)

    @property
    def text(self) -> str:
        """The transcript so far."""
        return self._transcript.text

    def accept(self, samples: Floats) -> str:
        """Reads a chunk of sound.

        Args:
            samples: [N], any number of samples from -1 to 1, ``rate`` per second.

        Returns:
            The text that this chunk adds; often empty.

        Raises:
            ShapeError: The samples do not have one dimension.
            DataError: A sample is not a finite number, or far beyond -1 to 1; the stream is as before.
        """
        return self._transcribe(self._transcript.accept(samples))

    def finish(self) -> str:
        """The text that the end of the sound adds: from the last step, if it was not full. Ends the stream."""
        return self._transcribe(self._transcript.finish())

    def _transcribe(self, steps: Floats) -> str:
        return self._transcript.read(self._stream.run(steps)) if len(steps) else ""
