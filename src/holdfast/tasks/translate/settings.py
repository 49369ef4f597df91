"""The fields of a recipe of the task ``translate``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.settings import DataSettings, Recipe, RecurrentSettings, Settings


class TranslateData(DataSettings):
    """``[data]``: the source of the pairs, and what a token is."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``dates`` (generated), ``fra-eng``."""
    parallel: bool = False
    """The files come in pairs, sources then targets, with one sentence per line; else each line of a file is
    ``source<TAB>target``."""
    reverse: bool = False
    """Swap sources and targets. The splits are made before the swap, so no sentence of the first column is in two
    parts, whichever direction is learned."""
    examples: int = Field(20000, ge=10)
    """With ``source = "dates"``, the number of pairs to generate."""
    unit: Literal["words", "characters", "pieces"] = "pieces"
    """What a token is: a word, a character, or a byte-pair piece of a word."""
    vocabulary: int = Field(0, ge=0)
    """Largest size of each vocabulary, with four special tokens; 0 for no limit (with pieces: 8,000 that
    occur at least 10 times)."""
    shared: bool = False
    """Use one vocabulary for sources and targets."""
    lower: bool = False
    """Convert the texts to lower case."""


class TranslateModel(RecurrentSettings):
    """``[model]``: the encoder, which the recurrent settings describe, and the decoder, which is not bidirectional."""

    embedding_size: int = Field(128, ge=1)
    """Values per token vector."""
    decoder_size: int = Field(0, ge=0)
    """Units of each decoder layer; 0 for the width of the encoder: its final state is then the initial state of the
    decoder. With other sizes, a linear layer is between the two states."""
    attention: Literal["none", "dot", "general", "additive"] = "general"
    """How the decoder attends to the encoder's outputs: ``none`` (it has only the final state), ``dot`` (equal widths),
    ``general`` (Luong et al. 2015) or ``additive`` (Bahdanau et al. 2015)."""
    tied: Literal["none", "output", "all"] = "none"
    """``output``: the output layer and the target embedding share their weights (Press & Wolf 2017); ``all``: the
    source embedding shares them too, with ``data.shared``."""
    label_smoothing: float = Field(0, ge=0, lt=1)
    """In training, the part of each target's probability that is spread over all tokens (Szegedy et al. 2016)."""


class TranslateAnswers(Settings):
    """``[predict]``: how to search for an answer."""

    beam: int = Field(1, ge=1)
    """Number of hypotheses kept at every step; 1 takes the most likely token."""
    length_penalty: float = Field(0.6, ge=0)
    """The exponent of Wu et al. 2016, equation 14: larger values favour longer answers; 0 for no effect."""
    longest: int = Field(0, ge=0)
    """Largest number of tokens in an answer; 0 for twice the tokens of the source plus 20."""


class TranslateRecipe(Recipe):
    """A recipe of the task ``translate``."""

    task: Literal["translate"] = "translate"
    """``translate`` turns a sequence of tokens into another sequence of tokens."""
    data: TranslateData = TranslateData()
    """The source of the pairs, and what a token is."""
    model: TranslateModel = TranslateModel()
    """The network."""
    predict: TranslateAnswers = TranslateAnswers()
    """How to search for an answer."""


RECIPE = TranslateRecipe
