"""Log-mel energies, the form in which networks read sound; by the library ``kaldi-native-fbank``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holdfast.data.settings import AudioSettings
from holdfast.errors import DataError, MissingLibraryError, OptionError, ShapeError

LARGEST = 1e9
"""The energies of larger samples overflow float32. Samples of 16 bits that were not divided are below it."""

Floats = NDArray[np.float32]


class FilterbankStream:
    """Takes sound in chunks of any size and gives each step of log-mel energies as soon as it is complete.

    A frame is the natural logarithm of the energy in each band of the mel scale (Davis and Mermelstein 1980), from one
    window of sound; a step is ``stack`` frames side by side. The steps do not depend on the sizes of the chunks.

    Args:
        settings: Rate, bands, window, hop and stack.

    Raises:
        MissingLibraryError: ``kaldi-native-fbank`` is not installed.
    """

    def __init__(self, settings: AudioSettings) -> None:
        try:
            import kaldi_native_fbank as knf
        except ImportError as error:
            raise MissingLibraryError(
                "Sound needs the library kaldi-native-fbank, which is not installed: pip install 'holdfast[audio]'."
            ) from error
        options = knf.FbankOptions()
        options.frame_opts.samp_freq = settings.rate
        options.frame_opts.frame_length_ms = settings.window_ms
        options.frame_opts.frame_shift_ms = settings.hop_ms
        options.frame_opts.dither = 0.0  # the same sound gives the same bits
        options.mel_opts.num_bins = settings.mel_bins
        options.mel_opts.low_freq = settings.low_hz
        options.mel_opts.high_freq = settings.band_end
        self.settings = settings
        self._filterbank = knf.OnlineFbank(options)
        self._taken = 0
        self._rest: list[Floats] = []
        self._finished = False

    def accept(self, samples: Floats) -> Floats:
        """The steps that one more chunk completes.

        Args:
            samples: Any number of samples from -1 to 1, [N], float32.

        Returns:
            [steps, values], float32; often zero steps.

        Raises:
            ShapeError: The samples are not of one dimension.
            DataError: A sample is not a finite number, or far beyond -1 to 1; the stream is as before.
            OptionError: :meth:`finish` was called before.
        """
        if self._finished:
            raise OptionError("accept was called after finish; make a new stream for another recording.")
        if samples.ndim != 1:
            raise ShapeError(f"The samples have shape {samples.shape}; expected [N], one channel.")
        check_samples(samples, "The sound")
        self._filterbank.accept_waveform(self.settings.rate, np.ascontiguousarray(samples, dtype=np.float32))
        ready = self._filterbank.num_frames_ready
        frames = [*self._rest, *(np.array(self._filterbank.get_frame(k)) for k in range(self._taken, ready))]
        self._filterbank.pop(ready - self._taken)
        self._taken = ready
        complete = len(frames) - len(frames) % self.settings.stack
        self._rest = frames[complete:]
        return self._steps(frames[:complete])

    def finish(self) -> Floats:
        """The last step, padded with its last frame: [1, values], or [0, values] if no frame is left over."""
        self._finished = True
        missing = -len(self._rest) % self.settings.stack
        frames, self._rest = self._rest + self._rest[-1:] * missing, []
        return self._steps(frames)

    def _steps(self, frames: list[Floats]) -> Floats:
        return np.array(frames, dtype=np.float32).reshape(-1, self.settings.values)


def check_samples(samples: NDArray[np.floating], origin: str) -> None:
    """Refuses sound whose energies no float32 can hold.

    Args:
        samples: [N].
        origin: The source of the sound, for the message.

    Raises:
        DataError: A sample is not a finite number, or beyond ``LARGEST``.
    """
    wrong = ~(np.abs(samples) <= LARGEST)
    if wrong.any():
        place = int(wrong.argmax())
        raise DataError(f"{origin} holds {samples[place]} at sample {place} (from 0); expected numbers from -1 to 1.")


def log_mel(samples: Floats, settings: AudioSettings) -> Floats:
    """The log-mel energies of a whole recording.

    Args:
        samples: From -1 to 1, [N], float32, ``settings.rate`` per second.
        settings: Rate, bands, window, hop and stack.

    Returns:
        [steps, values], float32; zero steps if the recording is shorter than one window.

    Raises:
        MissingLibraryError: ``kaldi-native-fbank`` is not installed.
        ShapeError: The samples are not of one dimension.
        DataError: A sample is not a finite number, or far beyond -1 to 1.
    """
    stream = FilterbankStream(settings)
    return np.concatenate([stream.accept(samples), stream.finish()])
