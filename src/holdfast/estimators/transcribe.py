"""A transcriber: from the sound of speech to its text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sklearn.utils.validation import check_consistent_length

from holdfast.data import Records
from holdfast.data.settings import AudioSettings
from holdfast.errors import DataError
from holdfast.estimators.base import Estimator
from holdfast.estimators.checking import plain, required
from holdfast.tasks.transcribe.data import from_values
from holdfast.tasks.values import texts_in


class Transcriber(Estimator):
    """Writes down what is said in recordings, by connectionist temporal classification.

    ``X`` is a list of N recordings, each an array of samples from -1 to 1, ``rate`` per second; ``y`` has their N
    transcripts. The libraries ``kaldi-native-fbank`` and ``tokenizers`` are needed: ``pip install
    'holdfast[audio,text]'``. ``score`` is the word error rate, negated; ``evaluate`` also gives the character error
    rate.

    Example:
        >>> import numpy as np
        >>> from holdfast import Transcriber
        >>> tone = lambda hertz: np.sin(np.arange(4000) / 8000 * hertz * 2 * np.pi)
        >>> X, y = [tone(300), tone(900)] * 20, ["low", "high"] * 20
        >>> transcriber = Transcriber(rate=8000, max_steps=20).fit(X, y)
        >>> len(transcriber.predict(X[:2]))
        2

    Attributes:
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "transcribe"
    fields = (
        "data.audio.rate",
        "data.audio.mel_bins",
        "data.audio.window_ms",
        "data.audio.hop_ms",
        "data.audio.low_hz",
        "data.audio.high_hz",
        "data.audio.stack",
        "data.unit",
        "data.vocabulary_size",
        "data.lower",
        "data.validation",
        "predict.beam",
    )

    def predict(self, X: Any) -> list[str]:
        """The transcript of each recording, N texts.

        Args:
            X: N arrays of samples from -1 to 1, at ``rate`` samples per second.

        Raises:
            DataError: A recording cannot be used.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        return [answer["text"] for answer in self._answers(X)]

    def _inputs(self, X: Any, *, reset: bool) -> Records[Any, Any]:
        audio: AudioSettings = self._described().data.audio if reset else self.task_.data.audio  # type: ignore[attr-defined]
        values = plain(X)
        recordings = from_values([plain(value) for value in values] if isinstance(values, list) else values, audio)
        if not len(recordings):
            raise DataError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required.")
        return replace(recordings, origins=[f"X[{index}]" for index in range(len(recordings))])

    def _targets(self, y: Any, inputs: Any, *, reset: bool) -> list[str]:
        y = required(y, self, "a transcript for each recording")
        transcripts = [str(text) for text in texts_in(y, "a list of transcripts")]
        check_consistent_length(range(len(inputs)), transcripts)
        return transcripts
