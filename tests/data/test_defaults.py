from __future__ import annotations

import math
from typing import Any

import pytest

from holdfast import recipes
from holdfast.data.defaults import (
    LEAST_UPDATES,
    MOST_UPDATES,
    NOISE,
    ResolvedTrainSettings,
    batch_size,
    explain_choices,
    input_noise,
    resolve,
    resolve_recipe,
    validation_fraction,
)
from holdfast.errors import RecipeError
from holdfast.settings import Recipe, TrainSettings


def recipe(**tables: object) -> Recipe:
    return recipes.from_dict({"name": "x", **tables}, "x")


@pytest.mark.parametrize(
    ("examples", "size"),
    [
        (0, 1),
        (1, 1),
        (15, 15),
        (16, 16),
        (999, 16),
        (1_000, 32),
        (9_999, 32),
        (10_000, 64),
        (49_999, 64),
        (50_000, 128),
        (10**7, 128),
    ],
)
def test_the_batch_size_follows_the_number_of_examples(examples: int, size: int) -> None:
    assert batch_size("auto", examples) == size
    assert batch_size(7, examples) == 7


def test_few_examples_of_a_classifier_get_noise() -> None:
    assert [input_noise(count) for count in (1, 999, 1_000, 60_000)] == [NOISE, NOISE, 0, 0]


@pytest.mark.parametrize(
    ("batches", "epochs"),
    [(1, 1500), (3, 500), (17, 89), (149, 11), (150, 10), (1_000, 10), (2_000, 10), (5_000, 4), (30_000, 1)],
)
def test_the_epochs_follow_the_number_of_batches(batches: int, epochs: int) -> None:
    assert resolve(TrainSettings(), batches).epochs == epochs
    assert resolve(TrainSettings(epochs=3), batches).epochs == 3
    assert LEAST_UPDATES <= epochs * batches <= max(MOST_UPDATES, batches)


def test_with_max_steps_the_epochs_are_those_that_it_takes() -> None:
    assert resolve(TrainSettings(max_steps=100), 17).epochs == math.ceil(100 / 17)


@pytest.mark.parametrize(
    ("given", "schedule", "rate"),
    [
        ({}, "one-cycle", 5e-3),
        ({"patience": 3}, "constant", 1e-3),
        ({"warmup_steps": 10}, "constant", 1e-3),
        ({"schedule": "cosine"}, "cosine", 1e-3),
        ({"schedule": "one-cycle"}, "one-cycle", 5e-3),
        ({"patience": 3, "schedule": "one-cycle", "learning_rate": 0.1}, "one-cycle", 0.1),
    ],
)
def test_the_schedule_and_its_rate(given: dict[str, object], schedule: str, rate: float) -> None:
    resolved = resolve(TrainSettings.model_validate(given), 10)
    assert (resolved.schedule, resolved.learning_rate) == (schedule, rate)


def test_what_is_set_stays_and_resolving_again_changes_nothing() -> None:
    own = TrainSettings(epochs=2, batch_size=8, learning_rate=0.1, schedule="plateau", clip_norm=0, seed=5, chunks=2)
    assert resolve(own, 10).model_dump() == own.model_dump()
    once = resolve(TrainSettings(seed=5), 10)
    assert resolve(once, 99) == once
    assert isinstance(once, ResolvedTrainSettings)


def test_few_examples_are_not_held_out_unless_training_needs_a_score() -> None:
    assert validation_fraction("auto", 99) == 0
    assert validation_fraction("auto", 100) == 0.1
    assert validation_fraction(0.5, 1) == 0.5
    assert recipe().data.validation == "auto"
    assert recipe(train={"patience": 2}).data.validation == 0.1
    assert recipe(train={"schedule": "plateau"}).data.validation == 0.1
    assert recipe(train={"patience": 2}, data={"validation": 0.3}).data.validation == 0.3


def resolved_recipe(given: Any, *, batches: int = 17, validated: bool = False, data: Any = None) -> Any:
    return resolve_recipe(
        given, batches=batches, batch_size=16, validated=validated, data=data or {}, model=given.model
    )


def test_choices_of_the_network_are_those_of_the_task() -> None:
    given = recipe(task="regress", train={"epochs": 2, "batch_size": 4}, data={"validation": 0.0, "scaling": "none"})
    assert given.model.bidirectional == "auto"
    network = given.model.model_copy(update={"bidirectional": True})
    choices = {"window": 50}
    resolved = resolve_recipe(given, batches=5, batch_size=4, validated=False, data=choices, model=network)
    assert resolved.model == network
    assert explain_choices(given, resolved, examples=1, batches=5).startswith(
        "Chosen for 1 training example: data.window = 50 (each epoch cuts the sequences at other places), "
        "model.bidirectional = true, train."
    )


def test_a_recipe_is_resolved_and_the_choices_are_explained() -> None:
    given = recipe(train={"epochs": 20})
    resolved = resolved_recipe(given, data={"scaling": "standard"})
    assert explain_choices(given, resolved, examples=270, batches=17) == (
        "Chosen for 270 training examples: data.validation = 0 (0.1 is held out where that is at least 100 examples), "
        'data.scaling = "standard", train.batch_size = 16, train.learning_rate = 0.005, train.schedule = "one-cycle" '
        "(up to learning_rate = 0.005 and down to almost 0)."
    )
    assert recipes.from_dict(resolved.model_dump(mode="json"), "x").model_dump() == resolved.model_dump()
    assert explain_choices(resolved, resolved, examples=270, batches=17) == ""
    every = resolved_recipe(recipe(), validated=True)
    assert "train.epochs = 89 (1,513 updates)" in explain_choices(recipe(), every, examples=270, batches=17)
    assert every.data.validation == 0.1


def test_a_split_in_rows_leaves_no_fraction_to_choose() -> None:
    given = recipe(task="forecast", data={"split": [10, 5, 5]})
    resolved = resolved_recipe(given, batches=2, validated=True)
    assert resolved.data.validation == "auto"


def test_a_wrong_value_gives_one_fault() -> None:
    with pytest.raises(RecipeError) as error:
        recipe(train={"epochs": "many", "batch_size": 0}, data={"validation": 1.0})
    assert str(error.value) == (
        'The recipe x cannot be used: data.validation is 1.0: input should be less than 1, or "auto". train.epochs is '
        "'many': input should be a valid integer, unable to parse string as an integer, or \"auto\". "
        'train.batch_size is 0: input should be greater than or equal to 1, or "auto".'
    )


def test_the_recipes_of_the_package_set_what_they_were_measured_with() -> None:
    for name in recipes.names():
        given = recipes.load(name)
        chosen = resolve(given.train, 10)
        left = {"epochs", "chunks"}  # of the run
        assert chosen.model_dump(exclude=left) == given.train.model_dump(exclude=left), name
        assert given.train.batch_size != "auto", name
        assert given.train.max_steps or given.train.epochs != "auto", name
        assert getattr(given.model, "input_noise", 0) != "auto" or given.data.unit, name
        assert given.data.validation != "auto" or getattr(given.data, "split", None), name
