"""A recipe for files without a description: ``holdfast new``."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from holdfast.data import Splits
from holdfast.errors import DataError, HoldfastError
from holdfast.recipes import RECIPES, from_dict
from holdfast.recipes.columns import Guess
from holdfast.recipes.guessing import guess, split_by_name
from holdfast.settings import Recipe
from holdfast.tasks import TASKS

_SIZES = {
    "hidden_size": "units of the layer; more units learn more and take longer",
    "cell": '"gru" or "rnn" are others',
}
_SERIES = {
    "window": "rows that the network reads",
    "horizon": "rows that it forecasts",
    "season": "rows per season, such as 7 for days of a week, for the naive forecast to compare with",
}
"""Fields of ``[data]`` that a person soon wants to set for forecasts."""


@dataclass(frozen=True)
class Proposal:
    """A recipe for files.

    Attributes:
        name: Its name.
        task: The task.
        reason: Why this task, as the end of a sentence that begins with "because".
        text: The recipe with its comments, as TOML.
        found: What the files hold, in words.
    """

    name: str
    task: str
    reason: str
    text: str
    found: str


def propose(files: Sequence[Path], task: str | None = None) -> Proposal:
    """Looks at files, and writes a recipe that reads them. The files are read, so that the recipe runs.

    Args:
        files: Files or folders; of those, the ones named ``...test...`` are for the test.
        task: The task; None to guess it.

    Raises:
        DataError: The files fit no task, or cannot be read as those of the task.
    """
    train, test = split_by_name(files)
    if task is None:
        guessed = guess(train)
    else:
        try:
            found = guess(train)
        except DataError:
            found = Guess(task, "")
        fitting = {key: value for key, value in found.data.items() if key in _data_fields(task)}
        guessed = Guess(task, "you said so", fitting, found.comments)
    base = train[0].resolve().parent.name if len(train) > 1 else _base(train[0])
    name = re.sub(r"[^a-z0-9]+", "-", base.lower()).strip("-") or "mine"
    data = {"train": [str(path) for path in train], "test": [str(path) for path in test], **guessed.data}
    data = {key: value for key, value in data.items() if value != []}
    recipe = from_dict({"name": name, "task": guessed.task, "data": data}, "proposed")
    words = _described(recipe, guessed)
    return Proposal(name, guessed.task, guessed.reason, _text(name, guessed, data, words, files), words)


def _data_fields(task: str) -> Mapping[str, Any]:
    kind: Any = RECIPES[task].model_fields["data"].annotation
    fields: Mapping[str, Any] = kind.model_fields
    return fields


def _base(path: Path) -> str:
    stem = path.name.split(".")[0]
    return re.sub(r"[-_ ]?(train|training)$", "", stem, flags=re.IGNORECASE) or path.resolve().parent.name


def _described(recipe: Recipe, guessed: Guess) -> str:
    """What the files hold, by reading them as training does.

    Raises:
        DataError: They cannot be read for the task.
    """
    kind = TASKS[recipe.task]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            splits: Splits[Any] = kind.load(recipe, Path.cwd())
            kind.fit(recipe, splits.train)
    except HoldfastError as error:
        raise DataError(
            f"The files look like the task {recipe.task!r}, because {guessed.reason}, but cannot be read for it: "
            f"{error} Name another task with --task ({', '.join(RECIPES)})."
        ) from error
    if recipe.task == "generate":
        return "text to train on, to choose the best epoch and to test on"
    what = " windows" if recipe.task == "forecast" else ""
    words = [f"{len(splits.train):,}{what} to train on"]
    if splits.validation is not None:
        words.append(f"{len(splits.validation):,}{what} to choose the best epoch")
    words.append(f"{len(splits.test):,}{what} to test on")
    labels = splits.train.labels
    if labels:
        distinct = sorted(set(labels))
        shown = ", ".join(distinct[:10]) + (", ..." if len(distinct) > 10 else "")
        words.append(f"{len(distinct)} labels ({shown})")
    return ", ".join(words)


def _text(name: str, guessed: Guess, data: dict[str, Any], words: str, files: Sequence[Path]) -> str:
    """The recipe with its comments."""
    kind = RECIPES[guessed.task]
    lines = [
        f"# Written by `holdfast new` for {', '.join(map(str, files))}: {words}.",
        f"# Run it by `holdfast train {name}.toml`; docs/recipes.md lists every key.",
        _line("name", name),
        _line("task", guessed.task, f"because {guessed.reason}"),
        "",
        "[data]",
        *(_line(key, value, guessed.comments.get(key, "")) for key, value in data.items()),
    ]
    if guessed.task == "forecast":
        series = kind.model_fields["data"].default
        lines += [f"# {_line(key, getattr(series, key), comment)}" for key, comment in _SERIES.items()]
    if "test" not in data:
        lines.append("# test_fraction = 0.2 # held out for the test, as there are no test files")
    model = kind.model_fields["model"].default
    lines += ["", "[model]", *(_line(key, getattr(model, key), comment) for key, comment in _SIZES.items())]
    lines += ["", "[train]", "# Epochs, batch size and learning rate suit the number of examples unless you set them."]
    lines += [_line("seed", 0, "the same seed gives the same bits")]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any, comment: str = "") -> str:
    if isinstance(value, list):
        words = "[" + ", ".join(_line("x", each).removeprefix("x = ") for each in value) + "]"
    else:
        words = tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")
    return f"{key} = {words}" + (f" # {comment}" if comment else "")
