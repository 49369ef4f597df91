"""The fields of a recipe that say how files are read and prepared."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from holdfast.settings import DataSettings, Settings

Missing = Literal["error", "interpolate", "previous", "mean", "mask"]

_SEPARATORS = {"\\t": "\t", "tab": "\t"}


class TableSettings(DataSettings):
    """``[data]``: how tables are written, and what replaces missing values."""

    separator: str = Field("", max_length=1)
    """Tables as text: the separator of values, such as ``;``; ``tab`` for a tab, a blank for any number of blanks.
    Empty: detected in the file."""
    decimal: Literal["", ".", ","] = ""
    """Tables as text: the decimal sign. Empty: detected in the file. A thousands separator is always an error."""
    encoding: str = "utf-8"
    """The encoding of a text file, by Python's name: ``utf-8``, ``latin-1``, ``cp1252``, ... A byte order mark at the
    start of a file (UTF-8, UTF-16, UTF-32) overrides it."""
    comment: str = "#"
    """Tables as text: lines that start with this are comments; in tables of texts, only lines above the column names.
    Empty: there are no comments."""
    time_format: str = ""
    """The form of the time column, as a pattern of Python's ``strptime``: ``%d.%m.%Y %H:%M``. Empty: numbers, dates
    and times in ISO 8601, or times of day."""
    time_zone: str = ""
    """The time zone of the time column, such as ``Europe/Berlin``. Times that name a zone or an offset are converted to
    it; others are read as local times in it. Empty: the zone of the file."""
    missing: Missing = "error"
    """What replaces a missing value (an empty cell, ``NA``, ``N/A``, ``NaN``, ``null``, ``None``, ``-``, ``?``).
    ``error``: nothing; it is an error. ``interpolate``: the value on the line between the known values before and after
    it in the sequence or window; at the ends, the nearest known value. ``previous``: the known value before it; at the
    start, the one after it. ``mean``: the mean of the column over the training split. ``mask``: the mean too, and each
    column with missing values in the training split gets a further channel: 1 where its value is missing, else 0. A
    column without any value in a sequence or window gets the mean. In forecasts, missing targets are neither trained on
    nor measured."""

    @field_validator("separator", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        return _SEPARATORS.get(value, value) if isinstance(value, str) else value


class AudioSettings(Settings):
    """``[data.audio]``: how a recording becomes steps of log-mel energies."""

    rate: int = Field(16000, ge=1000)
    """Samples per second; a recording of another rate is resampled to it."""
    mel_bins: int = Field(40, ge=1)
    """Bands of the mel scale: values per frame."""
    window_ms: float = Field(25, gt=0)
    """Milliseconds of sound per frame."""
    hop_ms: float = Field(10, gt=0)
    """Milliseconds from the start of one frame to the start of the next."""
    low_hz: float = Field(20, ge=0)
    """The lower end of the lowest band."""
    high_hz: float = Field(0, ge=0)
    """The upper end of the highest band; 0 for half of ``rate``."""
    stack: int = Field(1, ge=1)
    """Frames per step, side by side: sequences are shorter by this factor, and the last step is padded with its last
    frame."""

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
        """The upper end of the highest band, in Hz."""
        return self.high_hz or self.rate / 2

    @property
    def values(self) -> int:
        """Values per step."""
        return self.mel_bins * self.stack


class ReadingSettings(TableSettings):
    """``[data]``: how files become sequences of numbers or texts, each with a target."""

    layout: Literal["rows", "columns", "pixels"] = "rows"
    """How an image becomes a sequence: one step per row, one step per column, or one step per pixel."""
    id_column: str = ""
    """Tables in long format (one row per step): the column with the sequence of each row. Empty: one row per
    sequence."""
    time_column: str = ""
    """Tables in long format: the column of times by which the rows of a sequence are sorted; see ``time_format``. Rows
    of the same time keep the order of the file. Empty: all rows do."""
    label_column: str = "label"
    """Tables: the column that holds the label."""
    label_separator: str = ""
    """Tables: the separator of labels where a sequence may have several, such as ``|``; each label is then learned
    independently. Empty: exactly one label per sequence."""
    feature_columns: list[str] = []
    """Tables: the columns that hold the inputs, in order. Empty: every other column that has a name."""
    scaling: Literal["auto", "none", "unit", "standard"] = "auto"
    """``unit``: divide by 255 (images); ``standard``: zero mean and unit variance per channel, fitted on the training
    split; ``auto``: ``unit`` for pixels, ``standard`` for other numbers."""
    audio: AudioSettings = AudioSettings()
    """How recordings are read."""
    unit: Literal["", "words", "characters", "pieces"] = ""
    """What a step of a text is: a word, a character, or a byte-pair piece. Empty: the sequences are numbers."""
    vocabulary_size: int = Field(0, ge=0)
    """Texts: the largest number of tokens, including four special ones; 0 for no limit (with ``pieces``: 8,000 that
    occur at least 10 times)."""
    least: int = Field(1, ge=1)
    """Texts: the vocabulary has only tokens that occur at least this often in the training split."""
    lower: bool = False
    """Texts: convert to lower case."""
    text_column: str = "text"
    """Tables of texts: the column that holds the text."""
    label_first: bool = False
    """Texts: each line of a text file starts with its label and a blank, ``LABEL text``. Not needed for fastText's
    ``__label__x text`` and for files that end in ``.label``."""

    @property
    def target_names(self) -> list[str]:
        """Tables: the columns that hold the targets."""
        return [self.label_column]

    @classmethod
    def of(cls, settings: ReadingSettings) -> Self:
        """Keeps only the fields of this class; the settings of a task may have more."""
        return cls.model_validate({name: getattr(settings, name) for name in cls.model_fields})


class NumbersSettings(ReadingSettings):
    """``[data]``: how files become sequences of numbers or texts whose targets are numbers."""

    target_columns: list[str] = []
    """Tables: the columns that hold the targets. Empty: ``label_column`` alone."""
    per: Literal["", "sequence", "step"] = ""
    """What has a target: each ``sequence``, or each ``step``. Empty: detected in the files. A table with ``id_column``
    whose targets change within a sequence has them per step, and so have arrays with targets ``[N, T]`` or ``[N, T,
    K]``. With ``step`` and without ``id_column``, a table is one sequence, with one row per step."""

    @property
    def target_names(self) -> list[str]:
        """Tables: the columns that hold the targets."""
        return self.target_columns or [self.label_column]


class SeriesSettings(TableSettings):
    """``[data]``: which columns of a table form a series, and the use of each."""

    id_column: str = ""
    """Tables of many series: the column with the series of each row; the rows may be in any order. Empty: one series
    per table. A table with the columns ``unique_id``, ``ds`` and ``y`` needs neither this setting nor ``time_column``
    and ``target_columns``."""
    time_column: str = ""
    """The column of times; see ``time_format``. Empty: the rows are numbered from 0."""
    target_columns: list[str] = []
    """The columns to forecast. Empty: every column that has a name and no other use."""
    past_columns: list[str] = []
    """Further columns to forecast from, known only up to now."""
    known_columns: list[str] = []
    """Further columns to forecast from, known ahead of time, such as holidays and prices."""
    static_columns: list[str] = []
    """Tables of many series: columns with one value per series, such as the type of a store: numbers or categories. The
    network gets them at every step."""
    gaps: Literal["", "fill", "rows"] = ""
    """What happens where the times of two rows are more than one step apart. ``fill``: each time between them becomes a
    row of missing values; with ``missing = "error"`` it is an error. ``rows``: each row counts as one step after the
    row above it. Empty: ``fill`` with an ``id_column``, else ``rows``."""
    calendar: list[Literal["hour", "weekday", "month", "day_of_year"]] = []
    """Parts of each time that the network gets as sine and cosine, in the time zone of the data."""


class TaggedSettings(DataSettings):
    """``[data]``: where the words and tags are in a file."""

    column: Literal["upos", "xpos"] = "upos"
    """CoNLL-U: the column that holds the tags."""
    columns: Literal["", "tabs", "blanks"] = ""
    """Other files of words and tags, one word per line with its tag last: the separator of the columns. Empty: detected
    in the file; a file without columns has one sentence per line and no tags."""
