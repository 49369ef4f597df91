"""What a person gives a model and gets from it, as plain data: with its chain, all that a page needs to run it.

A task answers with one of the inputs and one of the answers below (:meth:`holdfast.tasks.task.RecipeTask.interface`). A
page that asks a server needs no chain, and no rules of vocabularies: it sends texts, tables and sound as they are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from holdfast.data.vocabulary_rules import VocabularyRules
from holdfast.tasks.served_parts import SoundInput, TableInput, TextAnswer


@dataclass(frozen=True)
class Sample:
    """An example to begin with.

    Attributes:
        name: Its label, or its number.
        values: A sequence [T][C].
    """

    name: str
    values: list[list[float]]


@dataclass(frozen=True)
class TextSample:
    """A text to begin with.

    Attributes:
        name: Its label and its beginning.
        text: The text.
    """

    name: str
    text: str


@dataclass(frozen=True)
class ImageInput:
    """A picture, read row by row, column by column or pixel by pixel; its values are from 0 to 255.

    Attributes:
        height: Pixels.
        width: Pixels.
        layout: What a step is.
        masks: Zeros after the values of each step: the masks of missing values.
        samples: Pictures to begin with.
    """

    kind: ClassVar[str] = "image"
    height: int
    width: int
    layout: Literal["rows", "columns", "pixels"]
    masks: int = 0
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class NumbersInput:
    """A sequence of numbers [T, C].

    Attributes:
        channels: C.
        names: Of the channels; empty where they have none.
        masks: As for a picture.
        samples: Sequences to begin with.
    """

    kind: ClassVar[str] = "numbers"
    channels: int
    names: tuple[str, ...] = ()
    masks: int = 0
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class PairsInput:
    """Two whole numbers as pairs of bits, the least significant first.

    Attributes:
        bits: Steps; each number has one bit less.
    """

    kind: ClassVar[str] = "pairs"
    bits: int


@dataclass(frozen=True)
class TextInput:
    """A text, as ids.

    Attributes:
        vocabulary: How a text becomes ids; None for a page that sends the text to a server.
        samples: Texts to begin with.
        begin: Whether the id that begins a text comes first.
        multiline: Whether it is the beginning of a text, which may have several lines.
    """

    kind: ClassVar[str] = "text"
    vocabulary: VocabularyRules | None
    samples: tuple[TextSample, ...] = ()
    begin: bool = False
    multiline: bool = False


@dataclass(frozen=True)
class WordsInput:
    """A sentence with spaces between its words; each word is an id, and the ids of its characters.

    Attributes:
        words: How a word becomes an id; None for a page that sends the sentence to a server.
        characters: How its characters become ids; None for such a page.
        samples: Sentences to begin with.
    """

    kind: ClassVar[str] = "words"
    words: VocabularyRules | None
    characters: VocabularyRules | None
    samples: tuple[TextSample, ...] = ()


@dataclass(frozen=True)
class SeriesWindow:
    """The history of a series, as values and as the network reads it.

    Attributes:
        name: Where it is from.
        mean: What is subtracted from each target (with ``log``, from its logarithm), C.
        std: What it is then divided by, C.
        inputs: The rows that the network reads [W][I]; the first C values are the scaled targets.
        future: What is known of each row ahead [H][F]; empty where nothing is.
        history: The targets [W][C]; None for a missing value.
        actual: The targets of the rows ahead, as ``history``; None where they are unknown.
        times: The times of all W + H rows.
        fixed: Targets of which missing values were filled from their neighbours, so that no value can be changed alone.
    """

    name: str
    mean: list[float]
    std: list[float]
    inputs: list[list[float]]
    future: list[list[float]]
    history: list[list[float | None]]
    actual: list[list[float | None]] | None
    times: list[str]
    fixed: list[int]


@dataclass(frozen=True)
class SeriesInput:
    """The history of a series.

    Attributes:
        targets: The names of the C columns that are forecast.
        quantiles: Q, of each forecast, ascending; ``(0.5,)`` for a point forecast.
        log: Whether the network reads logarithms of the targets.
        ahead: H, rows to forecast.
        windows: Windows to begin with, at least one; the last one is shown first.
    """

    kind: ClassVar[str] = "series"
    targets: tuple[str, ...]
    quantiles: tuple[float, ...]
    log: bool
    ahead: int
    windows: tuple[SeriesWindow, ...]


@dataclass(frozen=True)
class LabelsAnswer:
    """Scores of the labels of the chain.

    Attributes:
        several: Whether a sequence may have several labels: a sigmoid for each, in place of a softmax.
    """

    kind: ClassVar[str] = "labels"
    several: bool = False


@dataclass(frozen=True)
class TagsAnswer:
    """Scores of tags at each step; one score of the second tag, before a sigmoid, where there are two.

    Attributes:
        names: The tags.
        sum: Whether the tags are the bits of the sum of two numbers.
    """

    kind: ClassVar[str] = "tags"
    names: tuple[str, ...]
    sum: bool = False


@dataclass(frozen=True)
class ValuesAnswer:
    """Numbers in the units of the targets.

    Attributes:
        names: The K targets.
        quantiles: Q values per target, ascending; ``(0.5,)`` for a point prediction.
        per_step: Whether each step has such numbers.
    """

    kind: ClassVar[str] = "values"
    names: tuple[str, ...]
    quantiles: tuple[float, ...] = (0.5,)
    per_step: bool = False


@dataclass(frozen=True)
class NextAnswer:
    """Scores of the next token, from which a text is drawn.

    Attributes:
        length: Tokens to draw.
        temperature: As in :class:`holdfast.decoding.sampling.Sampling`.
        top_k: As there.
        top_p: As there.
        seed: Of the draws.
        ends: Whether a text may end; if not, the token that ends a text is never drawn.
    """

    kind: ClassVar[str] = "next"
    length: int
    temperature: float
    top_k: int
    top_p: float
    seed: int
    ends: bool


@dataclass(frozen=True)
class ForecastAnswer:
    """The rows ahead of a :class:`SeriesInput`.

    Attributes:
        names: The targets.
        quantiles: As for the input.
    """

    kind: ClassVar[str] = "forecast"
    names: tuple[str, ...]
    quantiles: tuple[float, ...] = (0.5,)


Input = ImageInput | NumbersInput | PairsInput | TextInput | WordsInput | SeriesInput | TableInput | SoundInput
Answer = LabelsAnswer | TagsAnswer | ValuesAnswer | NextAnswer | ForecastAnswer | TextAnswer


@dataclass(frozen=True)
class Interface:
    """What a person gives a model, and what the output of its chain means.

    Attributes:
        input: What the chain reads, and how a person gives it.
        answer: What the output of the chain means.
    """

    input: Input
    answer: Answer

    def to_document(self) -> dict[str, Any]:
        """Values that JSON has; ``kind`` says which input and which answer it is."""
        return {name: {"kind": part.kind, **asdict(part)} for name, part in vars(self).items()}
