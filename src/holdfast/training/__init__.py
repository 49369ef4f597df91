"""Training: the loop, its checkpoints and history, and the folder that a run is kept in."""

from holdfast.training.determinism import seed_everything
from holdfast.training.history import History
from holdfast.training.interrupt import TrainingInterrupted
from holdfast.training.loop import fit, run_epoch, train_step, validate
from holdfast.training.progress import LiveProgress, PlainProgress, Progress, QuietProgress, choose_progress
from holdfast.training.run_directory import RunDirectory

__all__ = [
    "History",
    "LiveProgress",
    "PlainProgress",
    "Progress",
    "QuietProgress",
    "RunDirectory",
    "TrainingInterrupted",
    "choose_progress",
    "fit",
    "run_epoch",
    "seed_everything",
    "train_step",
    "validate",
]
