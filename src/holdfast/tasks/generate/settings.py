"""What a recipe of the task ``generate`` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.settings import DataSettings, Recipe, RecurrentSettings, Settings


class GenerateData(DataSettings):
    """``[data]``: where the text comes from, and how it is cut."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``: text files in UTF-8, ``.gz`` or not, or folders of ``.txt``), or a known
    data set: ``tinyshakespeare``, ``makemore-names``."""
    sequences: Literal["streams", "lines"] = "streams"
    """``streams``: the text as a whole, in parallel streams that are read window by window (set ``train.carry_state``);
    ``lines``: each line by itself."""
    unit: Literal["characters", "pieces", "words"] = "characters"
    """What a token is: a character, a byte-pair piece, or a word."""
    vocabulary_size: int = Field(0, ge=0)
    """The most tokens to tell apart, four of which are no text; 0 for no limit (with pieces: 8,000)."""
    least: int = Field(1, ge=1)
    """Leave a token out of the vocabulary that occurs less often."""
    lower: bool = False
    """Make capitals small."""
    window: int = Field(64, ge=1)
    """``streams``: steps in a window, which is how far back gradients reach."""
    vary_window: bool = False
    """``streams``: draw the length of each window, so that gradients do not stop at the same places in every epoch."""
    restart: float = Field(0.05, ge=0, lt=1)
    """``streams``: the probability that a row of a window begins anew while training, with a state of zeros, as a
    prompt does. With 0, a model hardly learns to go on from a short prompt."""
    validation: float = Field(0.1, ge=0, lt=1)
    """The fraction of the training text (its end) or lines (at random) that is held out to choose the best epoch; 0
    for none."""
    test_fraction: float = Field(0.1, ge=0, lt=1)
    """The fraction held out for the test when no ``test`` files are given, in the same way; 0 to measure the final
    model on what chose it, as is usual for ``tinyshakespeare``."""
    limit: int = Field(0, ge=0)
    """Use only the first so many characters (``streams``) or lines of training and test; 0 for all."""


class GenerateModel(RecurrentSettings):
    """``[model]``: the network. The regularisation is that of Merity et al. (2018)."""

    bidirectional: Literal[False] = False
    """Not possible here: the network would see what it has to predict."""
    embedding_size: int = Field(0, ge=0)
    """Values of a token's embedding; 0 for as many as the recurrent layers put out."""
    tied: bool = False
    """Use the embedding as the weights of the output layer too (Press & Wolf 2017); the sizes must agree."""
    embedding_dropout: float = Field(0, ge=0, lt=1)
    """Probability of dropping a token of the vocabulary, everywhere in a batch."""
    input_dropout: float = Field(0, ge=0, lt=1)
    """Probability of dropping a value of the recurrent layers' input."""
    output_dropout: float | None = Field(None, ge=0, lt=1)
    """Probability of dropping a value before the output layer; unset for ``dropout``."""
    locked_dropout: bool = False
    """Drop the same units at every step of a sequence: of the input, between layers, and before the output layer."""
    activation_regularisation: float = Field(0, ge=0)
    """Adds so many times the mean square of the recurrent layers' (dropped) output to the loss."""
    temporal_regularisation: float = Field(0, ge=0)
    """Adds so many times the mean square of that output's change from step to step to the loss."""


class GenerateAnswers(Settings):
    """``[predict]``: how a text is made up."""

    prompt: str = ""
    """What the text begins with."""
    length: int = Field(200, ge=0)
    """The most tokens to add."""
    temperature: float = Field(1, ge=0)
    """Below 1 the likely becomes likelier, above 1 less so; 0 always takes the likeliest token."""
    top_k: int = Field(0, ge=0)
    """Draw from the so many likeliest tokens only; 0 for all."""
    top_p: float = Field(1, gt=0, le=1)
    """Draw only from the fewest tokens that together have this probability (Holtzman et al. 2020); 1 for all."""
    samples: int = Field(1, ge=1)
    """How many texts to make up from ``prompt``."""
    seed: int = Field(0, ge=0)
    """What the draws depend on."""


class GenerateRecipe(Recipe):
    """A recipe of the task ``generate``."""

    task: Literal["generate"] = "generate"
    """``generate`` learns a language model: which token comes next."""
    data: GenerateData = GenerateData()
    """Where the text comes from, and how it is cut."""
    model: GenerateModel = GenerateModel()
    """The network."""
    predict: GenerateAnswers = GenerateAnswers()
    """How a text is made up."""


RECIPE = GenerateRecipe
