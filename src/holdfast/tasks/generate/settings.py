"""The fields of a recipe of the task ``generate``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.settings import DataSettings, Recipe, RecurrentSettings, Settings


class GenerateData(DataSettings):
    """``[data]``: the source of the text, and how it is cut."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``: text files in UTF-8, ``.gz`` or not, or folders of ``.txt``), or a known
    data set: ``tinyshakespeare``, ``makemore-names``."""
    sequences: Literal["streams", "lines"] = "streams"
    """``streams``: the whole text, cut into parallel streams that are read window by window (set
    ``train.carry_state``);
    ``lines``: each line by itself."""
    unit: Literal["characters", "pieces", "words"] = "characters"
    """What a token is: a character, a byte-pair piece, or a word."""
    vocabulary_size: int = Field(0, ge=0)
    """Largest size of the vocabulary, with four special tokens; 0 for no limit (with pieces: 8,000 that
    occur at least 10 times)."""
    least: int = Field(1, ge=1)
    """Tokens that occur less often than this are not in the vocabulary."""
    lower: bool = False
    """Convert the text to lower case."""
    window: int = Field(64, ge=1)
    """``streams``: steps per window; gradients reach back this far."""
    vary_window: bool = False
    """``streams``: draw the length of each window, so that gradients stop at other places in each epoch."""
    restart: float = Field(0.05, ge=0, lt=1)
    """``streams``: in training, the probability that a row of a window starts from a state of zeros, as a prompt does.
    With 0, a model hardly learns to continue a short prompt."""
    validation: float = Field(0.1, ge=0, lt=1)
    """Fraction of the training text (its end) or lines (at random) held out to choose the best epoch; 0 for none."""
    test_fraction: float = Field(0.1, ge=0, lt=1)
    """Fraction held out for the test in the same way, if there are no ``test`` files; 0 to measure the final model on
    the validation data, as is usual for ``tinyshakespeare``."""
    limit: int = Field(0, ge=0)
    """Use only this many of the first characters (``streams``) or lines of training and test; 0 for all."""


class GenerateModel(RecurrentSettings):
    """``[model]``: the network, with the regularisation of Merity et al. (2018)."""

    bidirectional: Literal[False] = False
    """Not possible here: the network would see the tokens that it has to predict."""
    embedding_size: int = Field(0, ge=0)
    """Values per token vector; 0 for the output size of the recurrent layers."""
    tied: bool = False
    """Also use the embedding as the weights of the output layer (Press & Wolf 2017); the sizes must agree."""
    embedding_dropout: float = Field(0, ge=0, lt=1)
    """Probability of dropping a token of the vocabulary in a whole batch."""
    input_dropout: float = Field(0, ge=0, lt=1)
    """Dropout probability of the recurrent layers' input."""
    output_dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout probability before the output layer; unset for ``dropout``."""
    locked_dropout: bool = False
    """Drop the same units at every step of a sequence: in the input, between layers, and before the output layer."""
    activation_regularisation: float = Field(0, ge=0)
    """Weight in the loss of the mean square of the recurrent layers' output after dropout."""
    temporal_regularisation: float = Field(0, ge=0)
    """Weight in the loss of the mean square of the change of their output from step to step."""


class GenerateAnswers(Settings):
    """``[predict]``: how to generate a text."""

    prompt: str = ""
    """The beginning of the text."""
    length: int = Field(200, ge=0)
    """Largest number of tokens to add."""
    temperature: float = Field(1, ge=0)
    """Below 1, likely tokens become more likely; above 1, less; 0 always takes the most likely token."""
    top_k: int = Field(0, ge=0)
    """Sample only from the k most likely tokens; 0 for all."""
    top_p: float = Field(1, gt=0, le=1)
    """Sample only from the fewest tokens that together have this probability (Holtzman et al. 2020); 1 for all."""
    samples: int = Field(1, ge=1)
    """Number of texts to generate from ``prompt``."""
    seed: int = Field(0, ge=0)
    """Seed of the random draws."""


class GenerateRecipe(Recipe):
    """A recipe of the task ``generate``."""

    task: Literal["generate"] = "generate"
    """``generate`` learns a language model: which token comes next."""
    data: GenerateData = GenerateData()
    """The source of the text, and how it is cut."""
    model: GenerateModel = GenerateModel()
    """The network."""
    predict: GenerateAnswers = GenerateAnswers()
    """How to generate a text."""


RECIPE = GenerateRecipe
