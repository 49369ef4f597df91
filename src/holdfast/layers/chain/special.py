"""The parts of models that are no plain chain of layers: word vectors with spelling, decoders, forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from holdfast.errors import OptionError
from holdfast.layers.chain.parts import Embedding, Linear, Part, Recurrent, Shapes, check_widths

AttentionKind = Literal["dot", "general", "additive"]


@dataclass(frozen=True)
class WordVectors(Part):
    """A vector for each word: one from a table beside the last states of bidirectional layers over its characters.

    Attributes:
        words: The table of words.
        characters: The vectors of characters; None for words without their spelling.
        spelling: The layers over them; None as before.
    """

    words: Embedding
    characters: Embedding | None = None
    spelling: Recurrent | None = None
    reads_ids: ClassVar[bool] = True

    @property
    def output_size(self) -> int:
        """Values in a word's vector."""
        return self.words.size + (self.spelling.output_size if self.spelling else 0)

    @property
    def inner(self) -> tuple[Part, ...]:
        """All of them."""
        return tuple(part for part in (self.words, self.characters, self.spelling) if part)


@dataclass(frozen=True)
class Repeated(Part):
    """The vector of a sequence, once for each of its steps: the input of the layers that follow."""


@dataclass(frozen=True)
class WindowScaling(Part):
    """Shifts and divides the first values of each row of a window, and the forecast of it back.

    Attributes:
        kind: ``standard``: minus the window's mean, divided by its deviation; ``last``: minus its last value.
        values: How many values of a row.
    """

    kind: Literal["standard", "last"]
    values: int


@dataclass(frozen=True)
class KnownAhead(Part):
    """Joins the state after a window with what is known of each row that follows, by a small network for all rows.

    Attributes:
        context: From the state to a few values for each row.
        hidden: From these values and those that are known to the units under a ReLU.
        output: From these units to a row of the forecast.
        known: Values known of a row.

    Raises:
        OptionError: The layers do not fit one another.
    """

    context: Linear
    hidden: Linear
    output: Linear
    known: int

    def __post_init__(self) -> None:
        each = self.hidden.inputs - self.known
        if each < 1 or self.context.outputs % each or self.hidden.outputs != self.output.inputs:
            raise OptionError("The layers that read what is known ahead do not fit one another.")

    @property
    def input_size(self) -> int:
        """Values in the state."""
        return self.context.inputs

    @property
    def output_size(self) -> int:
        """Values of all rows."""
        return self.context.outputs // (self.hidden.inputs - self.known) * self.output.outputs

    @property
    def inner(self) -> tuple[Part, ...]:
        """All of them."""
        return self.context, self.hidden, self.output


@dataclass(frozen=True)
class Horizon(Part):
    """Values as rows of a forecast, [rows, values, quantiles], the quantiles ascending.

    Attributes:
        rows: Rows that come at once.
        values: Values in a row.
        quantiles: Forecasts of each value.
        recursive: Whether each row that is forecast is also the next row of the input, row by row.
    """

    rows: int
    values: int
    quantiles: int = 1
    recursive: bool = False

    @property
    def input_size(self) -> int:
        """Values of all rows."""
        return self.rows * self.values * self.quantiles


@dataclass(frozen=True)
class Attention(Part):
    """A look back, from each output of a decoder, at the outputs of the encoder; then a linear layer under a tanh.

    Attributes:
        name: See the module.
        kind: How an output is compared with what is looked at, as in :mod:`holdfast.layers.attention`.
        queries: Values in an output of the decoder.
        memory: Values in an output of the encoder.
        combine: From what was found beside the output to the vector that takes the output's place.

    Raises:
        OptionError: The layer does not fit.
    """

    name: str
    kind: AttentionKind
    queries: int
    memory: int
    combine: Linear

    def __post_init__(self) -> None:
        if self.combine.inputs != self.memory + self.queries:
            raise OptionError(
                f"{self.combine.name} takes {self.combine.inputs} values; attention gives {self.memory + self.queries}."
            )

    @property
    def input_size(self) -> int:
        """Values in an output of the decoder."""
        return self.queries

    @property
    def output_size(self) -> int:
        """Values in the vector that takes its place."""
        return self.combine.outputs

    @property
    def inner(self) -> tuple[Part, ...]:
        """The linear layer."""
        return (self.combine,)

    def own_shapes(self) -> Shapes:
        """The tensors of the score."""
        own: Shapes = {}
        if self.kind != "dot":
            own[f"{self.name}.key.weight"] = (self.queries, self.memory)
        if self.kind == "additive":
            own[f"{self.name}.key.bias"] = (self.queries,)
            own[f"{self.name}.query.weight"] = (self.queries, self.queries)
            own[f"{self.name}.score.weight"] = (1, self.queries)
        return own


@dataclass(frozen=True)
class Decoder(Part):
    """Another sequence, token by token: each token is read, with the state before it, to score the next one.

    The state before the first token is the encoder's final one. Its directions are merged as the encoder's outputs are.

    Attributes:
        embedding: The vectors of tokens.
        recurrent: The layers.
        bridge: Linear layers from parts of the encoder's state to the decoder's, where the sizes differ; ``NAME.h0`` is
            for h of layer 0.
        attention: The look back at the encoder's outputs; None without.
        output: The scores.

    Raises:
        OptionError: The parts do not fit one another.
    """

    embedding: Embedding
    recurrent: Recurrent
    bridge: tuple[Linear, ...]
    attention: Attention | None
    output: Linear

    def __post_init__(self) -> None:
        check_widths([part for part in (self.embedding, self.recurrent, self.attention, self.output) if part])

    @property
    def input_size(self) -> int | None:
        """Values in an output of the encoder, where attention looks at it."""
        return self.attention.memory if self.attention else None

    @property
    def output_size(self) -> int:
        """Scores of a step."""
        return self.output.outputs

    @property
    def inner(self) -> tuple[Part, ...]:
        """All of them."""
        return tuple(
            part for part in (self.embedding, self.recurrent, *self.bridge, self.attention, self.output) if part
        )
