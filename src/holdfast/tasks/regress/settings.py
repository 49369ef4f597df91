"""The fields of a recipe of the task ``regress``."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from holdfast.data.settings import NumbersSettings
from holdfast.errors import RecipeError
from holdfast.settings import CountOrAuto, FlagOrAuto, Recipe
from holdfast.tasks.losses import check_quantiles
from holdfast.tasks.network_settings import HeadSettings


class RegressData(NumbersSettings):
    """``[data]``: the source of the sequences and how they are prepared."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), ``cosine`` or ``adding`` (generated), or a known data set:
    ``covid3month``."""
    window: CountOrAuto = "auto"
    """Targets per step: the most steps of a row in training. Each epoch cuts the sequences into such windows at other
    places, and each window starts from a zero state. With ``train.carry_state``, a batch instead has the next window of
    the same sequences as the batch before it, and starts from its final state; gradients stop at the edges of windows.
    0: whole sequences; with ``train.carry_state`` each batch from the final state of the batch before it, in the order
    of the files. ``auto``: with fewer than 16 sequences an eighth of the longest one, at least 50 and at most 200
    steps; 0 with more sequences, with ``train.carry_state`` or with ``model.encoder_decoder``."""
    steps: int = Field(200, ge=10)
    """``adding``: steps per sequence; ``cosine``: steps to train on."""
    examples: int = Field(10000, ge=1)
    """``adding``: number of random sequences to train on."""


class RegressModel(HeadSettings):
    """``[model]``: the network. ``head`` is not used with targets per step, where each step has an output."""

    hidden_size: int | list[int] = 64
    """Units of each layer in each direction, or a list with one size per layer."""
    bidirectional: FlagOrAuto = "auto"  # type: ignore[assignment]  # the task puts a truth value in its place
    """Run each layer in both directions, from start to end and from end to start. ``auto``: yes for a target per
    sequence; no for targets per step, so that a step is predicted from the steps up to it."""
    head: str = "mean"
    """The input of the output layer: ``last_state``: the final hidden state; ``last_output``: the output of the last
    step; ``mean`` or ``max``: the mean or the maximum of the outputs over time; or the name of a head of your own (see
    :mod:`holdfast.register`)."""
    loss: str = "mse"
    """The loss, in scaled units: ``mse``, ``mae``, ``huber``; ``quantile``: the pinball loss of ``quantiles``; or the
    name of a loss of your own (see :mod:`holdfast.register`)."""
    losses: ClassVar = ("mse", "mae", "huber", "quantile")
    quantiles: list[float] = [0.1, 0.5, 0.9]
    """With ``loss = "quantile"``: the quantiles of each target, ascending; 0.5 must be one of them and is the answer
    that is measured."""
    encoder_decoder: bool = False
    """Targets per step: an encoder and a decoder. The recurrent layers (the encoder) turn the sequence into their final
    hidden state; further layers of the same sizes (the decoder) read this vector at every step, and the output layer
    reads their outputs. What the outputs know of the sequence has gone through one vector."""


class RegressRecipe(Recipe):
    """A recipe of the task ``regress``."""

    task: Literal["regress"] = "regress"
    """``regress`` gives a sequence of numbers or a text a number or several, or gives each step a number or several."""
    data: RegressData = RegressData()
    """The source of the sequences and how they are prepared."""
    model: RegressModel = RegressModel()
    """The network."""


RECIPE = RegressRecipe


def check_recipe(recipe: RegressRecipe) -> None:
    """Checks that the settings fit each other.

    Raises:
        RecipeError: They do not.
    """
    check_quantiles(recipe.model.quantiles)
    carried = recipe.train.carry_state and recipe.data.window not in (0, "auto")
    if carried and recipe.model.bidirectional is True:
        raise RecipeError(
            "train.carry_state with data.window carries the state forwards, and model.bidirectional = true also needs "
            "later steps; set one of them to false, or leave data.window out."
        )
    if recipe.model.encoder_decoder and recipe.train.carry_state:
        raise RecipeError(
            "model.encoder_decoder = true reads each sequence as a whole, and train.carry_state = true continues it "
            "from batch to batch; set one of them to false."
        )
    if recipe.data.per == "step" and recipe.data.unit:
        raise RecipeError('data.per = "step" is for numbers; a text has targets per text. Leave data.per out.')
