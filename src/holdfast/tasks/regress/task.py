"""Regress: a sequence of numbers or a text in; a number or several out, for the sequence or for every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from holdfast.data import Batches, Dataset, Splits
from holdfast.data.batch import Batch
from holdfast.data.cuts import CutBatches, Cuttable, window_for
from holdfast.data.defaults import batch_size
from holdfast.data.pieces import Source
from holdfast.data.records import Records
from holdfast.data.targets import Targets
from holdfast.data.vocabulary import UNKNOWN, Vocabulary
from holdfast.errors import RecipeError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Restored, Scaled
from holdfast.layers.forms import Form
from holdfast.settings import TrainSettings
from holdfast.tasks.embedding import TokenEmbedding, Vectors, known_vectors
from holdfast.tasks.epochs import SizedEpochs
from holdfast.tasks.frames import FromFrames
from holdfast.tasks.inputs import sequence_input, text_input
from holdfast.tasks.interface import Interface, ValuesAnswer
from holdfast.tasks.losses import LossKind, known_loss
from holdfast.tasks.own import own_loss, with_own
from holdfast.tasks.regress.data import READ, load, read, sources
from holdfast.tasks.regress.encoder import NumbersEncoder, WordsEncoder, fit
from holdfast.tasks.regress.exports import exports
from holdfast.tasks.regress.metrics import RegressionMetrics
from holdfast.tasks.regress.network import EncoderDecoder, Regressor
from holdfast.tasks.regress.presentation import RegressPresentation
from holdfast.tasks.regress.settings import RegressModel, RegressRecipe, check_recipe
from holdfast.tasks.regress.windows import WindowBatch, WindowBatches
from holdfast.tasks.saved import SavedTask
from holdfast.tasks.scored import by_target
from holdfast.tasks.task import RecipeTask, TaskStep
from holdfast.tasks.values import sequences_in_memory, texts_in_memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SavedRegressTask(SavedTask):
    """What a model file says of a regressor."""

    settings: RegressModel = Field(alias="model")
    encoder: Annotated[NumbersEncoder | WordsEncoder, Field(discriminator="kind")]
    window: int = 0


class RegressTask(FromFrames, RecipeTask[Any]):
    """Regression on sequences of numbers (``Examples``) or texts (``Records``).

    Attributes:
        settings: The ``[model]`` table of the recipe.
        encoder: Scaling of inputs and targets, or vocabulary, fitted on the training split.
        quantiles: The quantiles of each target; ``[0.5]`` for a point prediction.
        window: The most steps of a row in training; 0 for whole sequences.
        vectors: Initial vectors of the embedding, by id; only in a task that was just fitted, else None.
    """

    encoder: NumbersEncoder | WordsEncoder
    name = "regress"
    saved = SavedRegressTask
    answer_key = "values"
    score = "loss"
    higher_is_better = False

    def __init__(
        self,
        settings: RegressModel,
        encoder: NumbersEncoder | WordsEncoder,
        window: int = 0,
        vectors: Vectors | None = None,
    ) -> None:
        self.settings, self.encoder, self.window, self.vectors = settings, encoder, window, vectors
        self.quantiles = settings.quantiles if settings.loss == "quantile" else [0.5]

    @property
    def per_step(self) -> bool:
        """Whether there are targets for each step."""
        return self.encoder.settings.per == "step"

    @classmethod
    def load(cls, recipe: RegressRecipe, data_dir: Path | None) -> Splits[Any]:
        """Reads or generates the data of a recipe, and splits them."""
        check_recipe(recipe)
        return load(recipe.data, data_dir, recipe.train.seed)

    @classmethod
    def fit(cls, recipe: RegressRecipe, train: Any) -> Self:
        """The task, with the scaling of inputs and targets, or the vocabulary, fitted on the training sequences.

        Raises:
            DataError: The sequences have no targets, or the file of word vectors cannot be used.
            RecipeError: ``data.window`` or ``model.encoder_decoder`` is set, and the targets are not per step; or
                settings do not fit each other.
        """
        check_recipe(recipe)
        encoder = fit(train, recipe.data)
        per_step, whole = encoder.settings.per == "step", recipe.train.carry_state or recipe.model.encoder_decoder
        window = recipe.data.window
        if window == "auto":
            window = window_for(window, train.lengths) if per_step and not whole else 0
        if window and not per_step:
            raise RecipeError(f"data.window is {window}, which is for targets per step; leave it out.")
        if recipe.model.encoder_decoder and not per_step:
            raise RecipeError("model.encoder_decoder = true is for targets per step; leave it out.")
        model = recipe.model
        if model.bidirectional == "auto":
            model = model.model_copy(update={"bidirectional": not per_step})
        if not model.embedding_file:
            return cls(model, encoder, window=window)
        if not isinstance(encoder, WordsEncoder):
            raise RecipeError("model.embedding_file is for texts: set data.unit, or leave it out.")
        vectors = known_vectors(Path(model.embedding_file), encoder.vocabulary)
        size = len(next(iter(vectors.values())))
        return cls(model.model_copy(update={"embedding_size": size}), encoder, vectors=vectors)

    @property
    def choices(self) -> dict[str, Any]:
        """The scaling of numbers, and how sequences are cut."""
        if not isinstance(self.encoder, NumbersEncoder):
            return {}
        return {"scaling": self.encoder.scaling.kind, "window": self.window}

    def build(self) -> Regressor:
        """A new model with random initial values from torch's random state."""
        targets, per = len(self.encoder.targets), self.encoder.settings.per
        if isinstance(self.encoder, NumbersEncoder):
            if self.settings.encoder_decoder:
                return EncoderDecoder(self.encoder.channels, targets, self.settings)
            return Regressor(self.encoder.channels, targets, self.settings, per)
        embedding = TokenEmbedding(len(self.encoder.vocabulary), self.settings, self.vectors)
        return Regressor(self.settings.embedding_size, targets, self.settings, per, embedding)

    def chain(self, model: nn.Module) -> Chain:
        """The scaling of numbers, the network, the scaling of the targets back, and the names of the values."""
        network = super().chain(model)
        scaled = [Scaled(self.encoder.scaling)] if isinstance(self.encoder, NumbersEncoder) else []
        restored = Restored(self.encoder.targets.scaling, len(self.quantiles))
        levels = [f" {quantile:g}" for quantile in self.quantiles] if len(self.quantiles) > 1 else [""]
        names = tuple(name + level for name in self.encoder.targets.names for level in levels)
        return Chain((*scaled, *network.parts, restored), names)

    def exports(self, model: nn.Module, *, streaming: bool = False) -> dict[str, Form]:
        """As :meth:`RecipeTask.exports`; the values are in the units of the targets."""
        return exports(model, self.chain(model), streaming)

    def interface(self, examples: Any = None, *, alone: bool = True) -> Interface:
        """A sequence of numbers, a picture, a recording or a text in; numbers out."""
        answer = ValuesAnswer(self.encoder.targets.names, tuple(self.quantiles), self.per_step)
        if isinstance(self.encoder, NumbersEncoder):
            return Interface(sequence_input(self.encoder, examples, alone=alone), answer)
        return Interface(text_input(self.encoder.vocabulary, examples, alone=alone), answer)

    def encode(self, examples: Any) -> Dataset:
        """The sequences as numbers or ids, and their scaled targets."""
        return self.encoder.labelled(examples)

    def batches(self, examples: Any, training: TrainSettings | None = None, *, size: int = 256) -> SizedEpochs:
        """As :meth:`RecipeTask.batches`; for targets per step also in windows, and with carried state in order."""
        if training is None or not self.per_step or not (training.carry_state or self.window):
            return super().batches(examples, training, size=size)
        if not training.carry_state:
            return CutBatches(cast(Cuttable, self.weighted(examples)), training, self.window, no_target=torch.nan)
        rows = batch_size(training.batch_size, len(examples))
        if self.window:
            return WindowBatches(self.weighted(examples), rows, self.window, training.seed)
        return Batches(self.weighted(examples), rows, drop_last=True)

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        """The loss of a batch in scaled units, without missing targets.

        Returns:
            The loss; the predictions in the units of the targets, [B, K, Q] or [B, T, K, Q]; and the final state.
        """
        if isinstance(batch, WindowBatch) and batch.fresh:
            state = None
        scaled, state = self._scaled(model, batch, state)
        loss, amount = self._loss(scaled, batch)
        return TaskStep(loss, self.encoder.targets.restored(scaled.detach()), state, amount)

    def _loss(self, scaled: Tensor, batch: Batch) -> tuple[Tensor, int | None]:
        """The loss, and the number of targets that it is the mean of; None for the sequences."""
        kind, targets = self.settings.loss, batch.known_targets
        if kind not in self.settings.losses:
            return own_loss(kind, scaled[..., 0], targets, batch.weights), None
        loss = known_loss(scaled, targets, cast(LossKind, kind), self.quantiles, batch.weights)
        return loss, targets.numel() - int(targets.isnan().sum())

    def _scaled(self, model: nn.Module, batch: Batch, state: Any = None) -> tuple[Tensor, Any]:
        """The scaled predictions [B, K, Q] or [B, T, K, Q], quantiles ascending, and the final state."""
        outputs, state = model(batch.inputs, batch.lengths, state)
        rows = cast(Tensor, outputs).reshape(*outputs.shape[:-1], len(self.encoder.targets), len(self.quantiles))
        return (rows.sort(-1).values if len(self.quantiles) > 1 else rows), state

    @property
    def input_vocabulary(self) -> Vocabulary | None:
        """The vocabulary of texts."""
        return self.encoder.vocabulary if isinstance(self.encoder, WordsEncoder) else None

    def metrics(self) -> RegressionMetrics:
        """New metrics: errors of the model, and of predictions without a model."""
        metrics = RegressionMetrics(self.encoder.targets, per_step=self.per_step, quantiles=self.quantiles)
        return cast(RegressionMetrics, with_own(metrics, self.settings.metrics, self._in_units))

    def _in_units(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The predictions, or their medians, and the targets: [B, K] or [B, T, K] each, in the units of the targets."""
        return outputs[..., self.quantiles.index(0.5)], self.encoder.targets.restored(targets[..., None])[..., 0]

    def details(self, metrics: RegressionMetrics) -> str:
        """The errors of each target, of the model and of predictions without a model, as text."""
        return metrics.table()

    def figures(self, metrics: RegressionMetrics) -> dict[str, Any]:
        """``targets``: the numbers of :meth:`details` by name."""
        return metrics.figures()

    @property
    def presentation(self) -> RegressPresentation:
        """As :attr:`RecipeTask.presentation`."""
        return RegressPresentation(self)

    def read(self, paths: Sequence[Path]) -> Any:
        """Reads files with the settings of the training files; targets may be missing."""
        return read(paths, self.encoder.settings)

    def sources(self, paths: Sequence[Path], aside: Sequence[str] = ()) -> list[Source]:
        """Files of sequences or texts in pieces."""
        return sources(paths, self.encoder.settings, aside)

    @property
    def reads(self) -> Targets:
        """What the readers take targets for."""
        return READ[self.encoder.settings.per]

    def answer_columns(self, model: nn.Module, batch: Batch) -> Mapping[str, Sequence[Any]]:
        """The prediction of each target by its name, and its quantiles; lists for targets per step."""
        return by_target(self.answers(model, batch))

    def from_lines(self, lines: Sequence[str]) -> Any:
        """One text per line, without targets; an empty line is an empty text."""
        if isinstance(self.encoder, NumbersEncoder):
            return super().from_lines(lines)
        return Records(list(lines), None, [f"line {number}" for number in range(1, len(lines) + 1)])

    def from_values(self, values: Any) -> Any:
        """Sequences of numbers or texts, without targets.

        Args:
            values: For a model of texts, a list of texts; else as
                :func:`holdfast.tasks.values.sequences_in_memory` takes them.

        Raises:
            DataError: A value does not fit.
        """
        if isinstance(self.encoder, WordsEncoder):
            return texts_in_memory(values)
        return sequences_in_memory(values, self.encoder)

    def predictions(self, model: nn.Module, batch: Batch) -> list[Tensor]:
        """The predictions for each sequence: [K, Q], or [T_i, K, Q] for targets per step; quantiles ascend, float64."""
        rows = self.encoder.targets.restored(self._scaled(model, batch)[0])
        if not self.per_step or batch.lengths is None:
            return list(rows)
        return [row[:length] for row, length in zip(rows, batch.lengths.tolist(), strict=True)]

    def answers(self, model: nn.Module, batch: Batch) -> list[dict[str, Any]]:
        """The predictions for each sequence.

        Returns:
            For each sequence ``values``: for each target its number, or one number per step; and with ``loss =
            "quantile"``, ``quantiles``: for each target and quantile the same.
        """
        names, middle = self.encoder.targets.names, self.quantiles.index(0.5)
        answers = []
        for row in self.predictions(model, batch):
            values = row.movedim(0, -1) if self.per_step else row  # [K, Q], or [K, Q, T]
            answer: dict[str, Any] = {"values": dict(zip(names, values[:, middle].tolist(), strict=True))}
            if self.settings.loss == "quantile":
                levels = [f"{quantile:g}" for quantile in self.quantiles]
                by_level = [dict(zip(levels, each, strict=True)) for each in values.tolist()]
                answer["quantiles"] = dict(zip(names, by_level, strict=True))
            answers.append(answer)
        return answers

    def text(self, answer: Mapping[str, Any]) -> str:
        """An answer as CSV: one line of numbers; with targets per step their names, then one line per step."""
        values = answer["values"]
        if not self.per_step:
            return ",".join(map(str, values.values()))
        return "\n".join([",".join(values), *(",".join(map(str, row)) for row in zip(*values.values(), strict=True))])

    def plot(self, examples: Any, answers: Sequence[Mapping[str, Any]]) -> Figure:
        """Draws predictions against true values; with targets per step, the curves of both over the steps."""
        from holdfast.tasks.regress.plot import figure

        return figure(examples, answers, per_step=self.per_step)

    @property
    def reads_tokens(self) -> bool:
        """Whether the sequences are texts."""
        return isinstance(self.encoder, WordsEncoder)

    def step_tokens(self, example: Any) -> list[str] | None:
        """As :meth:`RecipeTask.step_tokens`: the tokens of a text."""
        return None if isinstance(self.encoder, NumbersEncoder) else self.encoder.vocabulary.spelled(example.inputs[0])

    def example_inputs(self, size: int) -> tuple[Tensor]:
        """Zeros [size, size, C]; for texts, unknown tokens [size, size]."""
        if isinstance(self.encoder, WordsEncoder):
            return (torch.full((size, size), UNKNOWN),)
        return (torch.zeros(size, size, self.encoder.channels),)


TASK = RegressTask
