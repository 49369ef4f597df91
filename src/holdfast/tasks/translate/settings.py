"""What a recipe of the task ``translate`` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.settings import DataSettings, Recipe, RecurrentSettings, Settings


class TranslateData(DataSettings):
    """``[data]``: where the pairs come from and what a token is."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``dates`` (made up), ``fra-eng``."""
    parallel: bool = False
    """The files come in twos, sources then targets, a line a sentence; else each file has lines of
    ``source<TAB>target``."""
    reverse: bool = False
    """Swap sources and targets. The splits are made before that, so no sentence of the first column is in two parts,
    whichever way is learned."""
    examples: int = Field(20000, ge=10)
    """How many pairs are made up; with ``source = "dates"``."""
    unit: Literal["words", "characters", "pieces"] = "pieces"
    """What a token is: a word, a character, or a piece of a word by byte-pair encoding."""
    vocabulary: int = Field(0, ge=0)
    """The most tokens to know of each side, the four special ones included; 0 for all (with pieces: 8,000)."""
    shared: bool = False
    """One vocabulary for both sides."""
    lower: bool = False
    """Turn capitals into small letters."""


class TranslateModel(RecurrentSettings):
    """``[model]``: the encoder, whose settings the recurrent ones are, and the decoder, which is one-way."""

    embedding_size: int = Field(128, ge=1)
    """Values in a token's vector."""
    decoder_size: int = Field(0, ge=0)
    """Units of each decoder layer; 0 for the width of the encoder's, whose final state then is the decoder's initial
    state as it is. Else a linear layer is between them."""
    attention: Literal["none", "dot", "general", "additive"] = "general"
    """How the decoder looks back at the encoder's outputs: not at all (it has its final state alone), ``dot`` (equal
    widths), ``general`` (Luong et al. 2015) or ``additive`` (Bahdanau et al. 2015)."""
    tied: Literal["none", "output", "all"] = "none"
    """``output``: the output layer has the weights of the target embedding (Press & Wolf 2017); ``all``: so does the
    source embedding, with ``data.shared``."""
    label_smoothing: float = Field(0, ge=0, lt=1)
    """How much of each target's probability is spread over all tokens in training (Szegedy et al. 2016)."""


class TranslateAnswers(Settings):
    """``[predict]``: how an answer is searched for."""

    beam: int = Field(1, ge=1)
    """Hypotheses kept at every step; 1 takes the likeliest token."""
    length_penalty: float = Field(0.6, ge=0)
    """How much longer answers are favoured, the exponent of Wu et al. 2016, equation 14; 0 for not at all."""
    longest: int = Field(0, ge=0)
    """The most tokens of an answer; 0 for 20 more than twice those of the source."""


class TranslateRecipe(Recipe):
    """A recipe of the task ``translate``."""

    task: Literal["translate"] = "translate"
    """``translate`` gives a sequence of tokens for a sequence of tokens."""
    data: TranslateData = TranslateData()
    """Where the pairs come from and what a token is."""
    model: TranslateModel = TranslateModel()
    """The network."""
    predict: TranslateAnswers = TranslateAnswers()
    """How an answer is searched for."""


RECIPE = TranslateRecipe
