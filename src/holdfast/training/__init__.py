"""Training: the loop, its checkpoints and history, and the folder of a run."""

from holdfast.training.determinism import seed_everything
from holdfast.training.history import History
from holdfast.training.interrupt import TrainingInterrupted
from holdfast.training.learning import Learned, learn
from holdfast.training.listener import Listener, Plan
from holdfast.training.loop import fit, run_epoch, train_step, validate
from holdfast.training.progress import LiveProgress, NotebookProgress, PlainProgress, choose_progress
from holdfast.training.run_directory import RunDirectory

__all__ = [
    "History",
    "Learned",
    "Listener",
    "LiveProgress",
    "NotebookProgress",
    "PlainProgress",
    "Plan",
    "RunDirectory",
    "TrainingInterrupted",
    "choose_progress",
    "fit",
    "learn",
    "run_epoch",
    "seed_everything",
    "train_step",
    "validate",
]
