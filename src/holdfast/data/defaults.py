"""What a run does where a recipe says ``auto``, which is the default: one rule each, from the size of the data.

===================  =================================================================================================
field                value where it is ``auto``
===================  =================================================================================================
data.validation      0.1 where that is at least 100 examples (``LEAST_HELD_OUT``), else 0: a score on fewer examples
                     chooses the best epoch by chance, and the training needs them more. 0.1 also where ``patience`` or
                     the schedule ``plateau`` needs a score.
data.window          targets per step, in the tasks regress and tag: with fewer than 16 sequences, windows of an eighth
                     of the longest one, at least 50 and at most 200 steps, so that a batch has many rows
model.bidirectional  regress: yes for a target per sequence, no for targets per step
model.input_noise    classify: 0.3 below 1,000 training examples (``FEW_EXAMPLES``) whose values have unit variance, so
                     that these are not learned by heart; else 0
train.batch_size     16 below 1,000 training examples, 32 below 10,000, 64 below 50,000, else 128
train.epochs         10, or as many as make 1,500 updates (``LEAST_UPDATES``); at most 20,000 updates
                     (``MOST_UPDATES``), but at least one epoch
train.schedule       ``one-cycle``, which ends with a rate near 0, so that the last weights need no validation score;
                     ``constant`` with ``patience``, which may stop at any epoch, or with ``warmup_steps``
train.learning_rate  0.005, the highest rate of ``one-cycle``; 0.001 with the other schedules
train.chunks         the number of processes
data.storage         ``disk`` where the files are larger than an eighth of the memory, else ``memory``
===================  =================================================================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field

from holdfast.settings import HELD_OUT, Recipe, RecurrentSettings, TrainSettings

LEAST_HELD_OUT = 100
LEAST_EPOCHS, LEAST_UPDATES, MOST_UPDATES = 10, 1500, 20_000
_BATCH_SIZES = ((1_000, 16), (10_000, 32), (50_000, 64))
_LARGEST_BATCH = 128
FEW_EXAMPLES, NOISE = 1000, 0.3
_UNSAID = (("chunks", 1), ("window", 0), ("storage", "memory"), ("input_noise", 0))  # as nearly always

Kind = TypeVar("Kind", bound=Recipe)


class ResolvedTrainSettings(TrainSettings):
    """The table ``[train]`` of a run whose data are known: nothing that training reads is ``auto``."""

    epochs: int = Field(ge=1)
    """As in :class:`TrainSettings`."""
    schedule: Literal["constant", "one-cycle", "cosine", "plateau"]
    """As in :class:`TrainSettings`."""
    learning_rate: float = Field(gt=0)
    """As in :class:`TrainSettings`."""
    chunks: int = Field(ge=1)
    """As in :class:`TrainSettings`."""


def validation_fraction(setting: float | Literal["auto"], held_out: int) -> float:
    """The fraction of the training examples to hold out for validation.

    Args:
        setting: The field ``data.validation``.
        held_out: The number of examples that the fraction ``HELD_OUT`` would hold out.

    Example:
        >>> validation_fraction("auto", 27), validation_fraction("auto", 144), validation_fraction(0.2, 27)
        (0.0, 0.1, 0.2)
    """
    if setting != "auto":
        return setting
    return HELD_OUT if held_out >= LEAST_HELD_OUT else 0.0


def batch_size(setting: int | Literal["auto"], examples: int) -> int:
    """The number of sequences per batch.

    Args:
        setting: The field ``train.batch_size``.
        examples: The number of training examples, without those held out.

    Example:
        >>> batch_size("auto", 270), batch_size("auto", 60_000), batch_size(8, 270)
        (16, 128, 8)
    """
    if setting != "auto":
        return setting
    size = next((size for below, size in _BATCH_SIZES if examples < below), _LARGEST_BATCH)
    return max(1, min(size, examples))  # with carried state, every batch must be full


def input_noise(examples: int) -> float:
    """The deviation of the noise of scaled inputs in training, where a classifier's ``model.input_noise`` is ``auto``.

    Args:
        examples: The number of training examples, without those held out.

    Example:
        >>> input_noise(270), input_noise(60_000)
        (0.3, 0.0)
    """
    return NOISE if examples < FEW_EXAMPLES else 0.0


def resolve(settings: TrainSettings, batches: int, processes: int = 1) -> ResolvedTrainSettings:
    """The settings of a run with a number in the place of every ``auto`` that training reads.

    ``batch_size`` does not change: it is needed to cut the batches, before their number is known.

    Args:
        settings: The table ``[train]``.
        batches: The number of batches per epoch, at least 1.
        processes: The number of processes that train together.

    Example:
        >>> resolved = resolve(TrainSettings(), batches=17)
        >>> resolved.epochs, resolved.schedule
        (89, 'one-cycle')
    """
    table: dict[str, Any] = dict(settings)
    if settings.epochs == "auto":
        table["epochs"] = _epochs(settings, batches)
    if settings.schedule == "auto":
        table["schedule"] = "constant" if settings.patience or settings.warmup_steps else "one-cycle"
    if settings.learning_rate == "auto":
        table["learning_rate"] = 5e-3 if table["schedule"] == "one-cycle" else 1e-3
    if settings.chunks == "auto":
        table["chunks"] = processes
    return ResolvedTrainSettings(**table)


def _epochs(settings: TrainSettings, batches: int) -> int:
    if settings.max_steps:
        return math.ceil(settings.max_steps / batches)
    return min(max(LEAST_EPOCHS, math.ceil(LEAST_UPDATES / batches)), max(1, MOST_UPDATES // batches))


def resolve_recipe(
    recipe: Kind,
    *,
    batches: int,
    batch_size: int,
    validated: bool,
    data: Mapping[str, Any],
    model: RecurrentSettings,
    processes: int = 1,
) -> Kind:
    """The recipe of a run with a value in the place of every ``auto`` of the module's table.

    Args:
        recipe: A recipe of any task.
        batches: The number of batches per epoch.
        batch_size: Sequences per batch.
        validated: Whether validation data are held out.
        data: What the task has chosen in the table ``[data]``, by field.
        model: The table ``[model]`` of the task.
        processes: The number of processes that train together.
    """
    train = resolve(recipe.train.model_copy(update={"batch_size": batch_size}), batches, processes)
    chosen = dict(data)
    if recipe.data.validation == "auto" and not getattr(recipe.data, "split", None):  # a split in rows or times wins
        chosen["validation"] = HELD_OUT if validated else 0.0
    network = {field: getattr(model, field) for field, value in recipe.model if value == "auto" and field != "engine"}
    tables = {"data": recipe.data.model_copy(update=chosen), "model": recipe.model.model_copy(update=network)}
    return recipe.model_copy(update={"train": train, **tables})


def explain_choices(given: Recipe, resolved: Recipe, *, examples: int, batches: int) -> str:
    """One line for the person: each value that was chosen, and why; empty if the recipe sets them all.

    Args:
        given: The recipe as it was given.
        resolved: The result of :func:`resolve_recipe`.
        examples: The number of training examples, without those held out.
        batches: The number of batches per epoch.
    """
    train = resolved.train
    updates = train.max_steps or int(train.epochs) * batches
    reasons = {
        ("data", "validation"): f"0.1 is held out where that is at least {LEAST_HELD_OUT} examples",
        ("data", "window"): "each epoch cuts the sequences at other places",
        ("model", "input_noise"): f"with fewer than {FEW_EXAMPLES:,} examples",
        ("data", "storage"): "the files are larger than an eighth of the memory",
        ("train", "epochs"): f"{updates:,} updates",
        ("train", "schedule"): f"up to learning_rate = {train.learning_rate:g} and down to almost 0"
        if train.schedule == "one-cycle"
        else "because of patience or warmup_steps",
    }
    choices = []
    for table in ("data", "model", "train"):
        before, after = getattr(given, table), getattr(resolved, table)
        for field in type(before).model_fields:
            value = getattr(after, field)
            if getattr(before, field) == "auto" != value and (field, value) not in _UNSAID:
                shown = f"{value:g}" if type(value) in (int, float) else json.dumps(value)  # as TOML has it
                reason = reasons.get((table, field))
                choices.append(f"{table}.{field} = {shown}{f' ({reason})' if reason else ''}")
    counted = f"{examples:,} training example{'' if examples == 1 else 's'}"
    return f"Chosen for {counted}: {', '.join(choices)}." if choices else ""
