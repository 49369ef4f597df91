"""The base of the estimators: from examples in memory to a fitted model, by the same code as the command line."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_random_state
from torch import nn

from holdfast.data import hold_out
from holdfast.errors import OptionError
from holdfast.estimators import parameters
from holdfast.estimators.checking import checked_weights, in_our_words, not_fitted, rows_of
from holdfast.estimators.fitted import Fitted
from holdfast.estimators.parameters import Parameter
from holdfast.predictor import Predictor
from holdfast.recipes import RECIPES, validated
from holdfast.settings import Recipe
from holdfast.tasks import RecipeTask, model_file
from holdfast.training import Listener, choose_progress, learn, validate
from holdfast.training.determinism import untouched_random_state
from holdfast.training.processes import current, joined

_ONE_AT_A_TIME = threading.RLock()
"""Training draws from the global random generators; fits of several threads wait for one another."""


class Estimator(Fitted, BaseEstimator):
    """Base of the estimators.

    A subclass names its task and says how it reads inputs and targets. Its constructor has the fields of the task's
    recipe as keyword arguments; see :mod:`holdfast.estimators.parameters`. A value of None stands for the recipe's
    default.

    Attributes:
        task_name: The task.
        fields: The dotted keys of ``[data]`` and ``[predict]`` that are arguments of the constructor.
        without: The fields of ``[model]`` that are not.
        own: Default and description of further arguments of the constructor, by name.
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
    """

    task_name: ClassVar[str]
    fields: ClassVar[Sequence[str]] = ()
    without: ClassVar[Sequence[str]] = ()
    own: ClassVar[Mapping[str, tuple[Any, str]]] = {}
    parameters: ClassVar[Mapping[str, Parameter]] = {}

    history_: list[dict[str, Any]]
    _predictor: Predictor
    _recipe: Any

    def __init_subclass__(cls, **options: Any) -> None:
        """Makes the constructor of a class that names its task."""
        super().__init_subclass__(**options)
        if "task_name" not in cls.__dict__:
            return
        cls.parameters = parameters.of_recipe(
            RECIPES[cls.task_name], cls.fields, cls.without, {**parameters.OWN, **cls.own}
        )
        cls.__init__ = parameters.constructor(cls.parameters)  # type: ignore[method-assign]
        cls.__doc__ = parameters.described(cls.__doc__, cls.parameters)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Trains a model on examples.

        Args:
            X: N inputs, as the class describes them.
            y: N targets.
            sample_weight: The weight of each example in the loss, [N], at least 0; None for equal weights. An example
                of weight 0 is left out.

        Returns:
            The estimator itself.

        Raises:
            DataError: The inputs, targets or weights cannot be used.
            OptionError: An argument of the constructor is not allowed.
            RunError: The loss is no longer finite.
        """
        before = dict(self.__dict__)
        try:
            with joined():
                return self._trained(X, y, sample_weight)
        except BaseException:  # the estimator stays as it was
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _trained(self, X: Any, y: Any, sample_weight: Any) -> Self:
        start = self._start()
        with in_our_words():
            train = self._examples(X, y, sample_weight, reset=start is None)
            held = self._validation_pair() if isinstance(self.validation, tuple | list) else None
        recipe = self._described()
        if start is not None and (recipe.model, recipe.data) != (self._recipe.model, self._recipe.data):
            raise OptionError(
                "warm_start continues the fitted network, and arguments for the network or the data have changed since "
                "then. Set warm_start=False, or change them back."
            )
        if held is None:
            train, held = self._split(train, recipe)
        with _ONE_AT_A_TIME, untouched_random_state(), parameters.as_arguments(self.parameters):
            learned = learn(recipe, train, held, start=start, listeners=self._listeners())
        self._recipe, self.history_ = recipe, list(learned.history)
        self._predictor = Predictor.of(learned.task, learned.model, recipe.train.device)
        return self

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float]:
        """The loss and all metrics of the task on examples, by name, as ``holdfast evaluate`` gives them.

        Args:
            X: N inputs.
            y: N targets.

        Raises:
            DataError: The examples cannot be used.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        predictor = self._fitted()
        with in_our_words():
            examples = self._examples(X, y, None, reset=False)
        return validate(predictor.model, predictor.task, predictor.task.batches(examples), predictor.device)

    def score(self, X: Any, y: Any = None) -> float:
        """The figure of the task that chooses the best epoch, such as an accuracy; negative where lower is better.

        Args:
            X: N inputs.
            y: N targets.

        Raises:
            DataError: The examples cannot be used.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        figure, task = self.evaluate(X, y), self.task_
        return figure[task.score] if task.higher_is_better else -figure[task.score]

    def save(self, path: Path | str) -> None:
        """Writes the model: one file of safetensors and JSON, which every command and :func:`holdfast.load` read.

        Args:
            path: The file, such as ``model.safetensors``; an existing one is replaced.

        Raises:
            ModelFileError: The file cannot be written.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        predictor = self._fitted()
        train = self._recipe.train.model_dump(mode="json", exclude_defaults=True)
        notes = {"class": type(self).__name__, "train": train, **self._notes()}
        model_file.save(Path(path), predictor.task, predictor.model, {"estimator": notes})

    def _read(self, X: Any) -> Any:
        """The inputs of a prediction as examples."""
        self._fitted()
        with in_our_words():
            return self._inputs(X, reset=False)

    def _computed(self, X: Any, function: str) -> Iterator[Any]:
        """What a function of the task gives for each batch of inputs."""
        inputs = self._read(X)
        return self._predictor.compute(inputs, getattr(self._predictor.task, function))

    def _answers(self, X: Any) -> Iterator[dict[str, Any]]:
        """The answers to inputs, with the arguments for predictions as they are now."""
        inputs, predictor, answering = self._read(X), self._predictor, self._answering()
        if answering != predictor.task.answering:
            predictor = predictor.answering(answering)
        return predictor.answer(inputs)

    def _answering(self, **changes: Any) -> Any:
        """The ``[predict]`` table of the arguments for predictions as they are now, with these changes."""
        own = self.task_.answering
        values = {p.place[1]: getattr(self, p.name) for p in self.parameters.values() if p.place[:1] == ("predict",)}
        if not (values or changes):
            return own
        values = {key: value for key, value in values.items() if value is not None}
        before = f"{type(self).__name__} cannot be used: "
        return validated(type(own), {**own.model_dump(), **values, **changes}, before)

    def _inputs(self, X: Any, *, reset: bool) -> Any:
        """The inputs as examples without targets; with ``reset``, what is known of inputs starts from these."""
        raise NotImplementedError

    def _targets(self, y: Any, inputs: Any, *, reset: bool) -> list[Any]:
        """The targets of these inputs as the task takes them; with ``reset``, the classes are those of ``y``."""
        raise NotImplementedError

    def _changes(self) -> dict[str, Any]:
        """The values of parameters that are written differently in a recipe, by the name of the parameter."""
        return {}

    def _decided(self) -> dict[str, Any]:
        """The values of fields of the recipe that the examples decide, by dotted key."""
        return {}

    def _notes(self) -> dict[str, Any]:
        """What a model file says beyond the task, as JSON values; :meth:`_restore` reads it."""
        return {}

    def _restore(self, notes: Mapping[str, Any]) -> None:
        """Sets the attributes of a fitted estimator from its predictor, and from the notes of a model file if any."""

    @classmethod
    def _opens(cls, task: RecipeTask[Any]) -> bool:
        """Whether the class is the one for a task from a model file of ``task_name``."""
        return True

    def _split(self, examples: Any, recipe: Any) -> tuple[Any, Any]:
        """The training and the validation examples, split as the command line does for this task; None for none."""
        return hold_out(examples, recipe.data, recipe.train.seed)

    def _examples(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Any:
        inputs = self._inputs(X, reset=reset)
        kept, weights = checked_weights(sample_weight, len(inputs))
        if kept is not None:
            y = rows_of(y, kept, len(inputs))
            inputs = inputs.subset(kept)
        return replace(self._labelled(inputs, y, reset=reset), weights=weights)

    def _labelled(self, inputs: Any, y: Any, *, reset: bool) -> Any:
        """The inputs with their targets."""
        return replace(inputs, targets=self._targets(y, inputs, reset=reset))

    def _validation_pair(self) -> Any:
        if len(self.validation) != 2:
            raise OptionError(f"validation has {len(self.validation)} parts; expected a pair (X, y), or a fraction.")
        X, y = self.validation
        return self._examples(X, y, None, reset=False)

    def _described(self) -> Any:
        """The recipe that the arguments describe."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.parameters}
        values |= {"random_state": self._seed(), **self._changes()}
        pair = isinstance(self.validation, tuple | list)
        values["validation"] = 0 if pair or self.validation is None else self.validation
        kind, placed = self._recipe_fields()
        return parameters.recipe_of(kind, type(self).__name__, placed, values, self._decided())

    def _recipe_fields(self) -> tuple[type[Recipe], Mapping[str, Parameter]]:
        """The class of the recipe, and the parameters that are fields of it."""
        return RECIPES[self.task_name], self.parameters

    def _seed(self) -> Any:
        if self.random_state is None or isinstance(self.random_state, np.random.RandomState):
            drawn = check_random_state(self.random_state)
            return current().from_first(lambda: int(drawn.randint(2**31 - 1)))  # the same in all processes
        return self.random_state

    def _start(self) -> tuple[RecipeTask[Any], nn.Module] | None:
        """What a warm start continues from."""
        if not (self.warm_start and hasattr(self, "_predictor")):
            return None
        return self._predictor.task, self._predictor.model

    def _listeners(self) -> list[Listener]:
        listeners = list(self.callbacks or [])
        if isinstance(self.verbose, str) and self.verbose != "live":
            raise OptionError(f"verbose is {self.verbose!r}; expected 0, 1 or 'live'.")
        if self.verbose:
            from rich.console import Console

            listeners.append(choose_progress(Console(stderr=True)))
        if isinstance(self.verbose, str):
            from holdfast.inspect.watching import Live

            listeners.append(Live())
        return listeners

    def _fitted(self) -> Predictor:
        if not hasattr(self, "_predictor"):
            raise not_fitted(self)
        return self._predictor

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_predictor")

    def __getstate__(self) -> dict[str, Any]:
        """The attributes, with the model as the content of a model file."""
        state: dict[str, Any] = dict(super().__getstate__())
        predictor = state.pop("_predictor", None)
        if predictor is not None:
            state["_model_file"] = model_file.to_bytes(predictor.task, predictor.model)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        content = state.pop("_model_file", None)
        super().__setstate__(state)
        if content is not None:
            parameters.register_own(self.parameters, {name: getattr(self, name) for name in self.parameters})
            task, model = model_file.from_bytes(content)
            self._predictor = Predictor.of(task, model, self._recipe.train.device)
