"""What a recipe may say about how files are read and prepared."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from holdfast.settings import DataSettings, Settings

Missing = Literal["error", "interpolate", "previous", "mean", "mask"]

_SEPARATORS = {"\\t": "\t", "tab": "\t"}


class TableSettings(DataSettings):
    """``[data]``: how tables are written, and what becomes of missing values."""

    separator: str = Field("", max_length=1)
    """Tables as text: what stands between two values, such as ``;``; ``tab`` for a tab, a blank for any number of
    blanks. Empty: told from the file."""
    decimal: Literal["", ".", ","] = ""
    """Tables as text: the decimal sign. Empty: told from the file. A thousands separator is always an error."""
    encoding: str = "utf-8"
    """How the characters of a text file are written, by Python's name: ``utf-8``, ``latin-1``, ``cp1252``, ... A file
    that starts with a byte order mark (UTF-8, UTF-16, UTF-32) says so itself."""
    comment: str = "#"
    """Tables as text: lines that start with this are comments, in tables of texts only those above the column names.
    Empty: there are none."""
    time_format: str = ""
    """How the time column is written, as Python's ``strptime`` says it: ``%d.%m.%Y %H:%M``. Empty: numbers, dates and
    times as in ISO 8601, or times of day."""
    time_zone: str = ""
    """The time zone of the time column, such as ``Europe/Berlin``. Times that name a zone or an offset are converted to
    it; others are read as times in it. Empty: as the file says."""
    missing: Missing = "error"
    """What a missing value (an empty cell, ``NA``, ``N/A``, ``NaN``, ``null``, ``None``, ``-``, ``?``) becomes.
    ``error``: nothing, it is refused. ``interpolate``: the value on the line between the known values before and after
    it in the sequence or window, at its ends the nearest. ``previous``: the known value before it, at the start the one
    after it. ``mean``: the column's mean over the training split. ``mask``: the same, and each column with missing
    values in the training split gets a further channel: 1 where its value is missing, else 0. A column without any
    value in a sequence or window has the mean. In forecasts, missing targets are neither trained on nor measured."""

    @field_validator("separator", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        return _SEPARATORS.get(value, value) if isinstance(value, str) else value


class AudioSettings(Settings):
    """``[data.audio]``: how a recording becomes steps of log-mel energies."""

    rate: int = Field(16000, ge=1000)
    """Samples a second; a recording of another rate is resampled to it."""
    mel_bins: int = Field(40, ge=1)
    """Bands of the mel scale: values a frame."""
    window_ms: float = Field(25, gt=0)
    """How long a piece of sound a frame describes."""
    hop_ms: float = Field(10, gt=0)
    """From the beginning of a frame to that of the next."""
    low_hz: float = Field(20, ge=0)
    """Where the lowest band begins."""
    high_hz: float = Field(0, ge=0)
    """Where the highest band ends; 0 for half of ``rate``."""
    stack: int = Field(1, ge=1)
    """Put so many frames side by side into one step: sequences are shorter by that factor, and the last step is filled
    up with its last frame."""

    @model_validator(mode="after")
    def _bands_lie_within_the_rate(self) -> Self:
        if not self.low_hz < self.band_end <= self.rate / 2:
            raise ValueError(
                f"the bands go from low_hz = {self.low_hz:g} to high_hz = {self.band_end:g}; "
                f"expected low_hz below high_hz, and high_hz at most half of rate, {self.rate / 2:g}"
            )
        return self

    @property
    def band_end(self) -> float:
        """Where the highest band ends, in Hz."""
        return self.high_hz or self.rate / 2

    @property
    def values(self) -> int:
        """Values a step."""
        return self.mel_bins * self.stack


class ReadingSettings(TableSettings):
    """``[data]``: how files become sequences of numbers or texts, each with a target."""

    layout: Literal["rows", "columns", "pixels"] = "rows"
    """How an image becomes a sequence: a step a row, a step a column, or a step a pixel."""
    id_column: str = ""
    """Tables in long format (one row a step): the column that says which sequence a row belongs to. Empty: one row a
    sequence."""
    time_column: str = ""
    """Tables in long format: the column of times to sort a sequence's rows by; see ``time_format``. Rows of one time
    stay in the order of the file. Empty: that order for all."""
    label_column: str = "label"
    """Tables: the column that holds the label."""
    label_separator: str = ""
    """Tables: what stands between the labels of a sequence that may have several, such as ``|``; each is then learned
    by itself. Empty: exactly one label a sequence."""
    feature_columns: list[str] = []
    """Tables: the columns that hold the inputs, in order. Empty: every other column that has a name."""
    scaling: Literal["none", "unit", "standard"] = "none"
    """``unit``: divide by 255 (images); ``standard``: zero mean and unit variance per channel, fitted on the training
    split."""
    audio: AudioSettings = AudioSettings()
    """How recordings are read."""
    unit: Literal["", "words", "characters", "pieces"] = ""
    """What a step of a text is: a word, a character, or a byte-pair piece. Empty: the sequences are numbers."""
    vocabulary_size: int = Field(0, ge=0)
    """Texts: the most tokens to tell apart, four of which are no text; 0 for no limit (with ``pieces``: 8,000)."""
    least: int = Field(1, ge=1)
    """Texts: leave a token out of the vocabulary that occurs less often in the training split."""
    lower: bool = False
    """Texts: make capitals small."""
    text_column: str = "text"
    """Tables of texts: the column that holds the text."""
    label_first: bool = False
    """Texts: each line of a text file starts with its label and a blank, ``LABEL text``. Not needed for fastText's
    ``__label__x text`` and for files that end in ``.label``."""

    @classmethod
    def of(cls, settings: ReadingSettings) -> ReadingSettings:
        """These fields alone of the settings of a task, which may have more."""
        return cls.model_validate({name: getattr(settings, name) for name in cls.model_fields})


class SeriesSettings(TableSettings):
    """``[data]``: which columns of a table are a series, and of what use each is."""

    time_column: str = ""
    """The column of times; see ``time_format``. Empty: the rows are numbered from 0."""
    target_columns: list[str] = []
    """The columns to forecast. Empty: every column that has a name and no other part."""
    past_columns: list[str] = []
    """Further columns to forecast from, known until now only."""
    known_columns: list[str] = []
    """Further columns to forecast from, known ahead of time, such as holidays and prices."""
    calendar: list[Literal["hour", "weekday", "month", "day_of_year"]] = []
    """What the network is told of each time, as sine and cosine, in the time zone of the data."""


class TaggedSettings(DataSettings):
    """``[data]``: where the words and tags are in a file."""

    column: Literal["upos", "xpos"] = "upos"
    """CoNLL-U: the column that holds the tags."""
    columns: Literal["", "tabs", "blanks"] = ""
    """Other files of words and tags, a word a line with its tag last: what stands between word, tag and any columns
    between them. Empty: told from the file, which else has a sentence a line and no tags."""
