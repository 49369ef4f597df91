"""From a recipe to a trained and measured model. The command line and programs call this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import recipes
from holdfast.data import Splits
from holdfast.data.sets.published import local_folder
from holdfast.errors import DataError, ModelFileError, RecipeError
from holdfast.inspect import Summary, summarise
from holdfast.inspect.facts import WORST, circumstances_of
from holdfast.inspect.measuring import Evaluation, measure
from holdfast.inspect.reporting import report_at_end, wanted
from holdfast.interop import formats, trained
from holdfast.interop.format_table import detect_format, index_or_file
from holdfast.predictor import Predictor
from holdfast.settings import Recipe
from holdfast.tasks import TASKS, model_file
from holdfast.training import Learned, Listener, RunDirectory, learn
from holdfast.training.determinism import reproducible
from holdfast.training.finished_run import FinishedRun, write_results
from holdfast.training.processes import current, joined, note_begun
from holdfast.training.run_directory import data_folder, is_run, results_in, with_choices
from holdfast.training.sealed import set_values


@dataclass(frozen=True)
class Trained:
    """The result of :func:`train`.

    Attributes:
        path: The run directory; ``Predictor(path)`` opens the model in it.
        results: The metrics on the test sequences, by name. With ``train.report_first = n``, also the metrics on the
            first n of them, as ``first_n_`` + name.
        epochs: Epochs trained.
        updates: Updates made.
        seconds: Time spent training, without interruptions.
    """

    path: Path
    results: dict[str, float]
    epochs: int
    updates: int
    seconds: float


def train(
    recipe: Recipe,
    out: Path,
    *,
    data_dir: Path | None = None,
    resume: bool = False,
    listeners: Sequence[Listener] = (),
) -> Trained:
    """Trains a recipe, keeps the model with the best validation score, and measures it on the test data.

    At the end it writes a report (:func:`holdfast.inspect.reporting.report`), unless ``train.report`` is off.

    Args:
        recipe: The data, the model and how to train.
        out: The run directory, for recipe, history, checkpoint and model.
        data_dir: A folder with local data files, as in :func:`holdfast.data.load`; the run remembers it. None for the
            folder that the run remembers, or that ``HOLDFAST_DATA`` names, if any.
        resume: Resume the run in ``out``.
        listeners: They watch training, such as :func:`holdfast.training.choose_progress`.

    Raises:
        HoldfastError: The data, the recipe or the run directory cannot be used; the message says why.
        TrainingInterrupted: Ctrl-C was pressed; the run can be resumed.
    """
    remembered = data_folder(out) if resume and data_dir is None else None
    folder = remembered or local_folder(data_dir)
    where = Path.cwd() if folder is None and recipe.data.source == "files" else folder
    plain = recipes.from_dict({"name": recipe.name, "task": recipe.task}, recipe.name).model_dump(mode="json")
    stored, before = recipe.model_dump(mode="json"), recipe.before
    with ExitStack() as stack:
        processes = stack.enter_context(joined())
        opened = processes.in_turn(
            lambda: RunDirectory(
                out, stored, resume=resume, data_dir=where, defaults=plain, before=before, watch=not processes.first
            )
        )
        run = stack.enter_context(opened)
        note_begun(str(out))
        stack.enter_context(reproducible(recipe.train.threads))
        given = recipes.from_dict(run.recipe, str(run.recipe_path)) if resume else recipe
        splits = TASKS[given.task].load(given, folder)
        learned = learn(given, splits.train, splits.validation, run=run, listeners=listeners)
        ended = processes.from_first(lambda: _ended(run, learned, splits))
    return Trained(run.path, **ended)


def _ended(run: RunDirectory, learned: Learned, splits: Splits[Any]) -> dict[str, Any]:
    """Stores the model of a run, its results on the test data and its report; returns the arguments of `Trained`."""
    settings = learned.recipe.train
    model_file.save(run.model_path, learned.task, learned.model)
    predictor = Predictor(run.path, settings.device)
    reporting = wanted(settings)
    evaluation = measure(predictor, splits.test, worst=WORST if reporting else 0)
    results = dict(evaluation.metrics)
    if settings.report_first:
        first = splits.test.subset(range(min(settings.report_first, len(splits.test))))
        for name, value in measure(predictor, first).metrics.items():
            results[f"first_{settings.report_first}_{name}"] = value
    write_results(run.path, results, circumstances_of(learned.task, learned.model, splits))
    if reporting:
        report_at_end(run.path, predictor, splits.test, evaluation)
    last = learned.history[-1]
    return {"results": results, "epochs": last["epoch"], "updates": last["step"], "seconds": last["seconds"]}


def train_seeds(
    recipe: Recipe,
    out: Path,
    count: int,
    *,
    data_dir: Path | None = None,
    resume: bool = False,
    listeners: Callable[[int], Sequence[Listener]] = lambda seed: (),
) -> list[Trained]:
    """Trains a recipe several times, with the seed of the recipe and those that follow it.

    A seed decides the initial values, the order, the dropout and which examples are held out.

    Args:
        recipe: As for :func:`train`.
        out: The folder for the runs, ``seed-0``, ``seed-1``, ...
        count: The number of runs.
        data_dir: As for :func:`train`.
        resume: Keep the runs in ``out`` that have ended, resume one that was stopped, and train the rest.
        listeners: Makes the listeners of a run from its seed.

    Raises:
        HoldfastError: As for :func:`train`.
        TrainingInterrupted: Ctrl-C was pressed; the runs can be resumed.
    """
    done = []
    for seed in range(recipe.train.seed, recipe.train.seed + count):
        folder = out / f"seed-{seed}"
        seeded = recipe.model_copy(update={"train": recipe.train.model_copy(update={"seed": seed})})
        ended = FinishedRun.read(folder) if resume and is_run(folder) else None
        current().wait()  # all have looked before one of them trains into the folder
        if ended is not None and ended.results is not None and _is_run_of(ended.recipe, seeded):
            done.append(Trained(folder, ended.results, ended.epochs, ended.updates, ended.seconds))
            continue
        watching = listeners(seed)
        done.append(train(seeded, folder, data_dir=data_dir, resume=ended is not None, listeners=watching))
    return done


def _is_run_of(stored: dict[str, Any], recipe: Recipe) -> bool:
    """Whether a stored recipe is this recipe, with a value in the place of every ``auto``."""
    return stored == set_values(with_choices(recipe.model_dump(mode="json"), stored))


def run_folder(name: str, *, resume: bool = False) -> Path:
    """The default folder of a run: ``runs/NAME``, or the first of ``runs/NAME-2``, ... without a run in it.

    Args:
        name: The recipe's name.
        resume: Return the latest one with a run instead (``runs/NAME`` if there is none).
    """
    latest, number, folder = Path("runs") / name, 1, Path("runs") / name
    while results_in(folder) or any(map(results_in, folder.glob("seed-*"))):
        latest, number = folder, number + 1
        folder = Path("runs") / f"{name}-{number}"
    return latest if resume else folder


def evaluate(
    path: Path,
    files: Sequence[Path] = (),
    *,
    options: Sequence[str] = (),
    data_dir: Path | None = None,
    device: str = "auto",
    plot: Path | None = None,
) -> Evaluation:
    """Measures a trained model.

    Args:
        path: A run directory or a model file.
        files: Labelled files or folders, of the same kinds as for training; none for the run's own test sequences.
        options: How to predict, as in :class:`~holdfast.predictor.Predictor`.
        data_dir: A folder with local data files, as in :func:`holdfast.data.load`; None for the folder that the run
            remembers, or that ``HOLDFAST_DATA`` names, if any.
        device: Where to compute, as in a recipe.
        plot: A picture to write, with the main figure of the task, such as the confusion matrix; None to draw nothing.

    Raises:
        DataError: The files cannot be read or have no labels, or no files are given for a model without a run.
        ModelFileError: There is no usable model.
        MissingDataError: The run's own data are not there any more.
        RecipeError: The task has no such option, or the value is not allowed.
        RunError: The run's recipe is damaged.
        OptionError: The picture cannot be written.
    """
    predictor = Predictor(path, device, options)
    if files:
        examples = predictor.read(files)
    elif path.is_dir():
        examples = FinishedRun.read(path).test_data(data_dir)
    else:
        raise DataError(f"{path} is a model without a run: name the files to measure it on, or give its run directory.")
    evaluation = measure(predictor, examples)
    if plot is not None:
        from holdfast.inspect.figures.canvas import write_figure
        from holdfast.inspect.plots import Subject, draw, main_figure

        subject = Subject(predictor, lambda: examples)
        write_figure(draw(subject, main_figure(subject)), plot)
    return evaluation


def summary(
    source: str, overrides: Sequence[str] = (), *, data_dir: Path | None = None, source_format: str | None = None
) -> Summary:
    """The summary table of a trained model, of the model of a recipe, or of a file of other software.

    Args:
        source: A run directory, a model file of any format, or a recipe's name or file.
        overrides: Values of the recipe to override, as in :func:`holdfast.recipes.load`.
        data_dir: A folder with local data files; the number of channels and labels comes from the recipe's data.
        source_format: The format of a model file, as in :func:`holdfast.convert`; None to detect it from the file.

    Raises:
        ModelFileError: There is no such file, or it cannot be used.
        OptionError: There is no such format.
        RecipeError: There is no such recipe, or it cannot be used.
    """
    path = Path(source)
    if path.suffix != ".toml" and (source_format or index_or_file(path).exists()):
        if overrides:
            raise RecipeError(f"{source} is a trained model; --set goes with a recipe.")
        found = detect_format(path, source_format)
        if found.name != "holdfast" or trained.is_network(path):
            return formats.list_layers(path, found.name)
        task, model = model_file.load(path)
        return summarise(model, task.example_inputs)
    if path.suffix != ".toml" and (path.suffix or len(path.parts) > 1):
        raise ModelFileError(f"{source} is not there. Check the path; `holdfast recipes` lists the names of recipes.")
    recipe = recipes.load(source, overrides)
    kind = TASKS[recipe.task]
    task = kind.fit(recipe, kind.load(recipe, data_dir).train)
    return summarise(task.build(), task.example_inputs)
