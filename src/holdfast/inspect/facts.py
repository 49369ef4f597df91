"""The facts of a run as plain values, for its report and its model card.

They come from the files of the run and from one measurement on its test data. Nothing here draws. The same run and data
give the same facts, wherever and whenever they are gathered.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from holdfast import recipes
from holdfast.data import Splits
from holdfast.inspect.inside import Inside, look_inside, place
from holdfast.inspect.measuring import Evaluation
from holdfast.layers.explanation import explain
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.layers.summary import Summary, summarise
from holdfast.predictor import Predictor
from holdfast.tasks import RecipeTask
from holdfast.tasks.presentation import Case, Table
from holdfast.training.finished_run import Circumstances, FinishedRun
from holdfast.training.run_directory import flattened

WORST = 9
"""Examples in a report at most, those with the largest errors."""
_LIBRARIES = ("holdfast", "torch", "numpy")
_HEADINGS = ("name", "description", "task", "small")


@dataclass(frozen=True)
class Setting:
    """A value of the recipe.

    Attributes:
        key: Its dotted key, as in ``--set``.
        value: The value, as TOML writes it.
        default: The default of the task; empty for none.
        origin: ``"set"`` for a value that differs from the default, ``"chosen"`` for one that the run has chosen where
            the default is ``auto``, else ``"default"``.
    """

    key: str
    value: str
    default: str
    origin: str


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a run.

    Attributes:
        name: The name of the recipe.
        description: Its description.
        task: The name of the task.
        pipeline_tag: The name of the task on the Hugging Face Hub; empty where none fits.
        settings: Every value of the recipe: first those that were set, then those that the run has chosen.
        circumstances: Data sizes, versions and engines, as they were recorded when the run ended.
        layers: The layers of the model, with their parameters.
        rows: The rows of the history.
        epochs: Epochs trained.
        updates: Updates made.
        seconds: Time spent training.
        measured_on: The data of the metrics, in words: ``the test data``, or the names of files.
        results: The metrics on these data.
        comparison: The metrics of the model and of answers that need no model, by name.
        tables: The metrics of each label, target or row.
        figures: The numbers of :meth:`holdfast.tasks.RecipeTask.figures`.
        error_name: What the errors of the cases measure.
        cases: The examples on which the model is most wrong, the worst one first.
        sample: A text that the model wrote; empty for models that write none.
        inside: What happens inside the model on an example; None if it was not looked at.
        missing: What could not be found out, and why: one sentence each.
    """

    name: str
    description: str
    task: str
    pipeline_tag: str
    settings: tuple[Setting, ...]
    circumstances: Circumstances
    layers: Summary
    rows: Sequence[Mapping[str, Any]]
    epochs: int
    updates: int
    seconds: float
    measured_on: str
    results: Mapping[str, float]
    comparison: Mapping[str, Mapping[str, float]]
    tables: tuple[Table, ...]
    figures: Mapping[str, Any]
    error_name: str
    cases: tuple[Case, ...]
    sample: str
    inside: Inside | None
    missing: tuple[str, ...]


def gather(
    run: FinishedRun,
    predictor: Predictor,
    examples: Any = None,
    evaluation: Evaluation | None = None,
    *,
    measured_on: str = "the test data",
    missing: Sequence[str] = (),
) -> Facts:
    """The facts of a run.

    Args:
        run: The run.
        predictor: Its model.
        examples: The examples that were measured; None if the data could not be read.
        evaluation: The measurement of these examples, with the worst rows.
        measured_on: What these examples are, in words.
        missing: What is already known to be missing, and why.
    """
    task, model = predictor.task, predictor.model
    presentation = task.presentation
    notes = list(missing)
    results = dict(run.results or {})
    comparison: dict[str, dict[str, float]] = {}
    tables: tuple[Table, ...] = ()
    figures: dict[str, Any] = {}
    cases: list[Case] = []
    inside = None
    if evaluation is not None:
        figures = evaluation.figures
        results = dict(evaluation.metrics if measured_on != "the test data" or run.results is None else run.results)
        comparison = presentation.comparison(evaluation.metrics, figures)
        tables = presentation.tables(figures)
        cases = [presentation.case(examples, row) for row in evaluation.worst]
        inside = look_inside(predictor, examples, run.rows)
        notes += inside.missing
    circumstances, unknown = _recorded(run, model)
    notes += unknown
    return Facts(
        name=str(run.recipe["name"]),
        description=str(run.recipe.get("description", "")),
        task=task.name,
        pipeline_tag=presentation.pipeline_tag,
        settings=settings_of(run.recipe),
        circumstances=circumstances,
        layers=summarise(model, task.example_inputs),
        rows=run.rows,
        epochs=run.epochs,
        updates=run.updates,
        seconds=run.seconds,
        measured_on=measured_on,
        results=results,
        comparison=comparison,
        tables=tables,
        figures=figures,
        error_name=presentation.error_name,
        cases=tuple(replace(case, origin=place(case.origin)) for case in cases),
        sample=presentation.sample(model),
        inside=inside,
        missing=tuple(notes),
    )


def _recorded(run: FinishedRun, model: nn.Module) -> tuple[Circumstances, list[str]]:
    """What a run recorded at its end; and what it did not, as runs of older versions."""
    recorded, notes = run.circumstances, []
    if not recorded.engines:
        notes.append("The run did not record its engines; those below are what would run here.")
        recorded = replace(recorded, engines=engines_of(model))
    if not recorded.versions:
        notes.append("The run did not record the versions of the libraries that trained it.")
    return recorded, notes


def settings_of(recipe: Mapping[str, Any]) -> tuple[Setting, ...]:
    """The values of a resolved recipe, those that were set first.

    Args:
        recipe: The recipe, as TOML values.
    """
    plain = recipes.from_dict({"name": recipe["name"], "task": recipe["task"]}, "defaults").model_dump(mode="json")
    defaults = {key: _toml(value) for key, value in flattened(plain).items()}
    settings = []
    for key, value in flattened(recipe).items():
        if key.partition(".")[0] in _HEADINGS:
            continue
        text, default = _toml(value), defaults.get(key, "")
        origin = "default" if text == default else "chosen" if default == '"auto"' else "set"
        settings.append(Setting(key, text, default, origin))
    order = ("set", "chosen", "default")
    return tuple(sorted(settings, key=lambda setting: order.index(setting.origin)))


def _toml(value: Any) -> str:
    """A value as in a TOML file."""
    return json.dumps(value, ensure_ascii=False)


def circumstances_of(task: RecipeTask[Any], model: nn.Module, splits: Splits[Any]) -> Circumstances:
    """What a run records at its end: the sizes of its splits, the versions, and the engines.

    Args:
        task: The fitted task.
        model: Its model, on the device on which it was trained.
        splits: The data of the run.
    """
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    sizes = {name: task.presentation.sizes(part) for name, part in parts.items() if part is not None}
    versions = {"Python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
    return Circumstances(sizes, versions, engines_of(model))


def engines_of(model: nn.Module) -> list[dict[str, Any]]:
    """The engine of each recurrent layer and direction in training, and why no other one: ``holdfast.explain``."""
    engines, training = [], model.training
    model.train()
    try:
        for name, layer in model.named_modules():
            if isinstance(layer, RecurrentLayer):
                parameter = next(layer.parameters())
                steps = torch.zeros(2, 2, layer.input_size, dtype=parameter.dtype, device=parameter.device)
                for choice in explain(layer, steps).choices:
                    part = f"{name}, {choice.part}" if name else choice.part
                    engines.append({"part": part, "engine": choice.engine, "not": dict(choice.reasons)})
    finally:
        model.train(training)
    return engines
