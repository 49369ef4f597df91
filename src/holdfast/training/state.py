"""The whole state of training in one object, which can be saved and restored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from holdfast.cells.nested_state import map_tensors
from holdfast.data.defaults import ResolvedTrainSettings
from holdfast.errors import OptionError, RunError, did_you_mean
from holdfast.files.storage import check_fit, fit_tensors
from holdfast.tasks.task import Task, TaskStep
from holdfast.training.chunk_tree import owned
from holdfast.training.optimizers import make_optimizer
from holdfast.training.processes import ALONE, Processes
from holdfast.training.running import Losses, Running
from holdfast.training.schedules import Schedule

if TYPE_CHECKING:
    from holdfast.data import Batch

_LOSSES_IN_FLIGHT = 32  # on an accelerator; a loss that is not finite is noticed at most 32 updates later
_DIVERGED = 10
"""Training has diverged when the last loss is larger than the first one by this factor."""
_STILL = 1e-6
"""A relative change of the loss below this is no change; float32 rounds to 1.2e-7. For weights, the square of this."""
_PLAIN = (  # attributes that are stored without conversion
    "step",
    "epoch",
    "batch",
    "finished",
    "learning_rate",
    "best_score",
    "best_weights",
    "epochs_without_gain",
)


class Training:
    """A model in training: its optimiser and schedule, the position, the running figures and the best weights.

    Args:
        model: On the device it will be trained on.
        task: What is learned.
        settings: How to train.
        updates: Updates of the whole run when nothing stops it early.
        device: Where the model is.
        processes: The processes that train it together.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        settings: ResolvedTrainSettings,
        updates: int,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self.model, self.task, self.settings = model, task, settings
        self.updates, self.device = updates, device
        self.optimizer = make_optimizer(model, settings)
        self.schedule = Schedule(self.optimizer, settings, updates=updates, higher_is_better=task.higher_is_better)
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.step = 0  # updates done
        self.first_loss: float | None = None  # of the first update
        self.weights_at_first: tuple[float, float] | None = self._weights()
        self.epoch, self.batch = 1, 0  # the current epoch, and its batches that are done
        self.finished = False
        self.processes = processes
        self.chunks = settings.chunks if settings.exact or processes.alone else processes.size
        self.mine = owned(self.chunks, processes)  # the chunks of this process
        # until the first update of several processes has shown that they stay as they are
        self._buffers = {} if processes.alone else {name: value.clone() for name, value in model.named_buffers()}
        self.carried: dict[int, Any] = {}  # by chunk, the final state of the batch before, with settings.carry_state
        self.learning_rate = settings.learning_rate  # of the latest update
        self.this_epoch = Running(task)
        self.since_log = Running(task) if settings.log_every else None
        self._average = None if settings.average_from is None else AveragedModel(model)
        self.best_score: float | None = None
        self.best_weights: dict[str, torch.Tensor] = {}
        self.epochs_without_gain = 0
        self._losses = Losses(1 if device.type == "cpu" else _LOSSES_IN_FLIGHT)
        self._norms: list[torch.Tensor] = []  # of the latest updates, left on their device as the losses are

    @property
    def whole(self) -> bool:
        """Whether each update takes its batch in one piece."""
        return self.chunks == 1 and self.processes.alone

    def keep(self, chunk: int, batch: Batch, result: TaskStep) -> None:
        """Keeps what the next batch and the metrics need of a chunk.

        Raises:
            OptionError: ``carry_state`` is on, and the task returns no final state.
        """
        if self.settings.carry_state:
            if result.state is None:
                raise OptionError("carry_state is on, and the task returns no final state; set carry_state = false.")
            # contiguous, as it is when it comes back from a checkpoint
            self.carried[chunk] = map_tensors(lambda tensor: tensor.detach().contiguous(), result.state)
        self.this_epoch.add_outputs(result.outputs, batch, chunk)
        if self.since_log is not None:
            self.since_log.add_outputs(result.outputs, batch, chunk)

    def add_loss(self, loss: torch.Tensor, sequences: int) -> None:
        """Adds the loss of the current update, and sometimes checks that the latest losses are finite.

        Raises:
            RunError: One of them is not.
        """
        self._losses.push(self.step + 1, loss, sequences)
        if self._losses.full:
            self.read_losses()

    def add_norm(self, norm: torch.Tensor) -> None:
        """Adds the norm of the gradients of the current update, a scalar, before it is clipped."""
        self._norms.append(norm.detach())

    def read_losses(self) -> None:
        """Brings the running means of losses and norms up to date.

        Raises:
            RunError: A loss is not finite.
        """
        for update, loss, sequences in self._losses.read():
            if not math.isfinite(loss):
                raise RunError(f"The loss is {loss} at update {update} (epoch {self.epoch}). {self._remedy()}")
            self.first_loss = loss if self.first_loss is None else self.first_loss
            self.this_epoch.add_loss(loss, sequences)
            if self.since_log is not None:
                self.since_log.add_loss(loss, sequences)
        norms, self._norms = self._norms, []
        for norm in torch.stack(norms).tolist() if norms else ():
            self.this_epoch.norms.add(norm, self.settings.clip_norm)
            if self.since_log is not None:
                self.since_log.norms.add(norm, self.settings.clip_norm)

    def check_weights(self) -> None:
        """Raises RunError when a weight is not finite, so that such weights are never stored."""
        if not torch.stack([parameter.isfinite().all() for parameter in self.parameters]).all():
            raise RunError(f"A weight is not finite after update {self.step} (epoch {self.epoch}). {self._remedy()}")

    def check_buffers(self) -> None:
        """Raises OptionError when the model changes its buffers in training: several processes would disagree."""
        for name, value in self._buffers.items():
            if not torch.equal(value, dict(self.model.named_buffers())[name]):
                raise OptionError(
                    f"The model changes its buffer {name} while it trains, as batch normalisation does, and each "
                    "process would change its own. Train in one process, or use a layer without such a buffer."
                )
        self._buffers = {}

    @property
    def measured(self) -> nn.Module:
        """The module to validate and keep: the model, or the average of its weights once there is one."""
        if self._average is None or not self._average.n_averaged:
            return self.model
        averaged: nn.Module = self._average.module
        return averaged

    def average_weights(self) -> None:
        """Adds the weights to their average, from ``average_from`` on; call it after every update."""
        if self._average is not None and self.step > (self.settings.average_from or 0) * self.updates:
            self._average.update_parameters(self.model)

    def take_score(self, report: dict[str, float]) -> bool:
        """Compares the validation report of an epoch with the best one.

        Returns:
            Whether the score is the best so far; NaN never is.

        Raises:
            OptionError: The report does not contain the task's score.
        """
        name = self.task.score
        if name not in report:
            raise OptionError(f"the task's score {name!r} is not measured; {did_you_mean(name, report)}")
        score = report[name]
        if self.best_score is None:
            better = not math.isnan(score)
        else:
            better = score > self.best_score if self.task.higher_is_better else score < self.best_score
        if better:
            self.best_score, self.epochs_without_gain = score, 0
            self.best_weights = {name: value.clone() for name, value in self.measured.state_dict().items()}
        else:
            self.epochs_without_gain += 1
        self.schedule.after_epoch(score)
        return better

    def restore_best(self) -> None:
        """Loads the weights of the best epoch; without validation scores, the latest weights or their average."""
        self.model.load_state_dict(self.best_weights or self.measured.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """The whole state of all processes, as nested dicts, lists and tuples of tensors and numbers."""
        self.read_losses()
        carried = self.processes.gather(self.carried)
        return {
            "model": dict(self.model.state_dict()),
            "average": {} if self._average is None else dict(self._average.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "this_epoch": self.this_epoch.state_dict(self.processes),
            "since_log": None if self.since_log is None else self.since_log.state_dict(self.processes),
            "carried": carried.get(0) if self.chunks == 1 else carried,
            "first_loss": self.first_loss,
            "weights_at_first": self.weights_at_first,
            **{name: getattr(self, name) for name in _PLAIN},
        }

    def load_state_dict(self, state: dict[str, Any], path: Path) -> None:
        """Restores what ``state_dict`` returned.

        Args:
            state: From a training with the same settings.
            path: Its file, for the message.

        Raises:
            ModelFileError: It belongs to another model; then nothing is changed.
        """
        fit_tensors(self.model, state["model"], path)
        if state["best_weights"]:
            check_fit(self.model, state["best_weights"], path)
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.this_epoch.load_state_dict(state["this_epoch"], self.mine)
        if self.since_log is not None:
            self.since_log.load_state_dict(state["since_log"], self.mine)
        carried = state["carried"]
        if self.chunks == 1:
            carried = {} if carried is None else {0: carried}
        self.carried = {chunk: value for chunk, value in carried.items() if chunk in self.mine}
        # Checkpoints of older versions do not have these.
        self.first_loss, self.weights_at_first = state.get("first_loss"), state.get("weights_at_first")
        for name in _PLAIN:
            setattr(self, name, state[name])

    def why_nothing_was_learned(self, losses: Sequence[float]) -> str | None:
        """Says why training failed and what to try; None if it did not fail.

        Args:
            losses: The training loss of each epoch.
        """
        settings, last = self.settings, losses[-1]
        if self.first_loss is not None and last > _DIVERGED * abs(self.first_loss):
            return (
                f"The training loss ended at {last:.4g}, far above the {self.first_loss:.4g} of the first update: "
                f"training has diverged. Try a lower learning_rate (now {settings.learning_rate:g}) or clip_norm = 1 "
                f"(now {settings.clip_norm:g})."
            )
        before, after = self.weights_at_first, self._weights()
        if before and all(math.isclose(a, b, rel_tol=_STILL**2) for a, b in zip(before, after, strict=True)):
            return (
                f"The training loss ended at {last:.4g} and no weight has changed: nothing was learned. Try a higher "
                f"learning_rate (now {settings.learning_rate:g}), and check that the inputs differ from one another."
            )
        if len(losses) > 1 and max(losses) - min(losses) <= _STILL * abs(last):
            return (
                f"The training loss stayed at {last:.4g} in all {len(losses)} epochs: nothing was learned. Try a "
                f"higher learning_rate (now {settings.learning_rate:g}), and check that the inputs differ from one "
                "another."
            )
        return None

    def _weights(self) -> tuple[float, float]:
        """The sums of all trained weights and of their squares: a fingerprint in two numbers."""
        sums = [(float(p.detach().double().sum()), float(p.detach().double().square().sum())) for p in self.parameters]
        return sum(one for one, _ in sums), sum(square for _, square in sums)

    def _remedy(self) -> str:
        clip = self.settings.clip_norm
        return (
            f"Try a lower learning_rate (now {self.settings.learning_rate}) or clip_norm = 1 (now {clip:g}), and check "
            "the inputs for values that are not finite. The last checkpoint, if there is one, is unharmed."
        )
