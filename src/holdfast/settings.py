"""What every recipe may say: each field with its meaning, default and range.

A recipe is a TOML file of the tables ``[data]``, ``[model]`` and ``[train]``, under a name, a description and a task.
What a task adds to these stands in its own file beside this one. The docstring below a field is its documentation;
``docs/recipes.md`` is generated from it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Number = bool | int | float
_LARGEST_WHOLE, _LARGEST_SEED, _LARGEST_NUMBER = 2**31 - 1, 2**32 - 1, 3.4e38


class Settings(BaseModel):
    """Base of every table: unknown keys are errors, values are never changed after they were checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @field_validator("*")
    @classmethod
    def _is_within_reach(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses numbers that no computation here could hold: infinite ones, and those beyond float32 and int32."""
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        for part in parts:
            whole = isinstance(part, int)
            largest = _LARGEST_SEED if info.field_name == "seed" else _LARGEST_WHOLE if whole else _LARGEST_NUMBER
            if isinstance(part, int | float) and not abs(part) <= largest:
                raise PydanticCustomError("out_of_reach", f"numbers go up to {largest:.6g} here")
        return value


class DataSettings(Settings):
    """``[data]``: where the data come from and what is held out of them."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set."""
    train: list[str] = []
    """Files or folders to train on, relative to ``--data-dir`` (or to the working directory); with ``source =
    "files"``."""
    test: list[str] = []
    """Files or folders to test on; when empty, ``test_fraction`` of the training sequences is held out."""
    validation: float = Field(0.1, ge=0, lt=1)
    """The fraction of the training data that is held out to choose the best epoch; 0 for none."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    """The fraction of the data held out for the test when no ``test`` files are given."""
    limit: int = Field(0, ge=0)
    """Use only the first so many training and test sequences; 0 for all."""


class RecurrentSettings(Settings):
    """``[model]``: the recurrent layers."""

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """The cell: ``lstm``, ``gru`` or ``rnn``."""
    hidden_size: int | list[int] = 128
    """Units of a layer, or a list with one size a layer."""
    num_layers: int = Field(1, ge=1, le=1000)
    """Recurrent layers on top of one another."""
    bidirectional: bool = False
    """Also run each layer from the end to the start."""
    merge: Literal["concat", "sum", "mean", "product"] = "concat"
    """How the two directions of a layer become one output."""
    residual: bool = False
    """Add each layer's input to its output, from the second layer on."""
    dropout: float = Field(0, ge=0, lt=1)
    """Probability of dropping a value between layers and before the output layer."""
    locked_dropout: bool = False
    """Between layers, drop the same units at every step of a sequence."""
    options: dict[str, Number | str] = {}
    """Options of the cell, as in the constructor: ``forget_bias``, ``layer_norm``, ``recurrent_dropout``,
    ``zoneout_h``, ..."""
    engine: str = "auto"
    """What computes the recurrent layers; ``auto`` takes the fastest that can."""
    memory: Literal["keep", "recompute", "offload"] = "keep"
    """What is kept for the backward pass: everything; only the ends of segments, the rest recomputed; or everything,
    in host memory."""

    @field_validator("hidden_size")
    @classmethod
    def _is_a_size(cls, value: int | list[int]) -> int | list[int]:
        if not value or any(size < 1 for size in (value if isinstance(value, list) else [value])):
            raise PydanticCustomError("no_size", "a layer has at least one unit, and there is at least one layer")
        return value

    @property
    def layers(self) -> int:
        """How many recurrent layers there are."""
        return len(self.hidden_size) if isinstance(self.hidden_size, list) else self.num_layers


class TrainSettings(Settings):
    """``[train]``: how the network is trained."""

    epochs: int = Field(10, ge=1)
    """Passes over the training sequences."""
    max_steps: int = Field(0, ge=0)
    """Stop after this many updates even within an epoch (epochs are repeated until then); 0 to go by ``epochs``."""
    batch_size: int = Field(32, ge=1)
    """Sequences in a batch."""
    bucket: int = Field(0, ge=0)
    """Unequal lengths: shuffle, then sort by length within every so many batches, so that a batch has little padding;
    0 for none."""
    optimizer: str = "Adam"
    """Any optimiser of ``torch.optim`` for dense gradients, by its class name in capitals or not, or ``AdagradDA``,
    ``Ftrl``, ``ProximalAdagrad``, ``ProximalSGD``."""
    learning_rate: float = Field(1e-3, gt=0)
    """The learning rate; for a schedule, its highest value."""
    optimizer_options: dict[str, Number] = {}
    """Further arguments of the optimiser, such as ``momentum = 0.9``."""
    weight_decay: float = Field(0, ge=0)
    """The optimiser's weight decay."""
    schedule: Literal["constant", "one-cycle", "cosine", "plateau"] = "constant"
    """The learning rate over time; ``plateau`` halves it when the validation score has not improved for 3 epochs."""
    warmup_steps: int = Field(0, ge=0)
    """Raise the learning rate linearly from 0 over the first so many updates; not with ``one-cycle``, which has its
    own rise."""
    clip_norm: float = Field(0, ge=0)
    """Scale the gradient down to this total norm when it is larger; 0 for no bound."""
    clip_value: float = Field(0, ge=0)
    """Clamp every gradient value into plus or minus this; 0 for no bound."""
    average_from: float | None = Field(None, ge=0, lt=1)
    """From this fraction of the updates on, validate and keep the mean of the weights after each update (averaged SGD,
    Polyak & Juditsky 1992; Izmailov et al. 2018); unset for the latest weights."""
    patience: int = Field(0, ge=0)
    """Stop after this many epochs without a better validation score; 0 to go on to the end. The best weights are kept
    either way."""
    carry_state: bool = False
    """Start each batch from the final state of the one before (detached); every batch then has the same size."""
    log_every: int = Field(0, ge=0)
    """Record loss and metrics on the training batches every so many updates too; 0 for once an epoch."""
    report_first: int = Field(0, ge=0)
    """Also report the test metrics on the first so many test sequences alone; 0 for no such line."""
    checkpoint_seconds: float = Field(30, ge=0)
    """Write a checkpoint when this long has passed since the last one, besides the one after each epoch; 0 for every
    update."""
    seed: int = Field(0, ge=0)
    """Seed of initial values, order and dropout. The same seed, data, thread count and engine give the same bits."""
    threads: int = Field(0, ge=0, le=4096)
    """Threads to compute with; 0 for torch's default."""
    device: str = "auto"
    """``cpu``, ``cuda``, ``cuda:1``, ...; ``auto`` takes a GPU where there is one."""
    limit: Literal["", "small"] = ""
    """``small``: apply the recipe's ``[small]`` table, for a trial of the whole way in seconds."""


class Recipe(Settings):
    """A recipe: what to train on what. Each task has its own tables ``[data]`` and ``[model]``."""

    name: str = Field(pattern=r"^[^\x00-\x1f]+$")
    """The name of the run, and of the folder it is kept in."""
    description: str = ""
    """One sentence: what this trains, on what, and what to expect."""
    task: str
    """What is learned."""
    data: DataSettings
    """Where the data come from and how they are prepared."""
    model: RecurrentSettings
    """The network."""
    train: TrainSettings = TrainSettings()
    """How the network is trained."""
    small: dict[str, Any] = {}
    """What ``train.limit = "small"`` changes, by dotted keys: ``"train.epochs" = 1``."""
