"""The fields of every recipe, each with its meaning, default and range.

A recipe is a TOML file with a name, a description, a task and the tables ``[data]``, ``[model]`` and ``[train]``. Each
task adds fields in the file ``settings.py`` of its folder. The docstring below a field is its documentation;
``docs/recipes.md`` is generated from it.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from holdfast import register

Number = bool | int | float
CELLS = ("lstm", "gru", "rnn")
NUMBER = "a number"
"""The tag of a number where a field also takes ``auto``; no key of a recipe has this name."""


def _tag(value: object) -> str:
    return "auto" if value == "auto" else NUMBER


_Auto = Annotated[Literal["auto"], Tag("auto")]
WholeOrAuto = Annotated[Annotated[int, Field(ge=1), Tag(NUMBER)] | _Auto, Discriminator(_tag)]
"""A whole number from 1 on, or ``auto``; a wrong value gives one fault, about the number."""
CountOrAuto = Annotated[Annotated[int, Field(ge=0), Tag(NUMBER)] | _Auto, Discriminator(_tag)]
"""A whole number from 0 on, or ``auto``."""
FlagOrAuto = Annotated[Annotated[bool, Tag(NUMBER)] | _Auto, Discriminator(_tag)]
"""``true``, ``false`` or ``auto``."""
RateOrAuto = Annotated[Annotated[float, Field(gt=0), Tag(NUMBER)] | _Auto, Discriminator(_tag)]
"""A number above 0, or ``auto``."""
AmountOrAuto = Annotated[Annotated[float, Field(ge=0), Tag(NUMBER)] | _Auto, Discriminator(_tag)]
"""A number from 0 on, or ``auto``."""
FractionOrAuto = Annotated[Annotated[float, Field(ge=0, lt=1), Tag(NUMBER)] | _Auto, Discriminator(_tag)]
"""A number from 0 to below 1, or ``auto``."""
HELD_OUT = 0.1
"""The fraction of the training data that ``data.validation = "auto"`` holds out, if it holds any out."""
_LARGEST_WHOLE, _LARGEST_SEED, _LARGEST_NUMBER = 2**31 - 1, 2**32 - 1, 3.4e38


class Settings(BaseModel):
    """Base of every table: an unknown key is an error, and a checked value never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @field_validator("*")
    @classmethod
    def _check_range(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses infinite numbers, and numbers beyond float32 and int32."""
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        for part in parts:
            of_kind = _LARGEST_WHOLE if isinstance(part, int) else _LARGEST_NUMBER
            largest = _LARGEST_SEED if info.field_name == "seed" else of_kind
            if isinstance(part, int | float) and not abs(part) <= largest:
                raise PydanticCustomError("out_of_reach", f"numbers go up to {largest:.6g} here")
        return value


def known_part(kind: register.Kind, name: str, known: tuple[str, ...]) -> str:
    """The name, if a part of Holdfast or a registered part has it; else an error of pydantic."""
    if name not in known and not register.is_registered(kind, name):
        raise PydanticCustomError("unknown_part", "{message}", {"message": register.unknown(kind, name, known)})
    return name


class DataSettings(Settings):
    """``[data]``: the source of the data, and the fractions that are held out."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set."""
    train: list[str] = []
    """Files or folders to train on, relative to ``--data-dir`` (or to the working directory); with ``source =
    "files"``."""
    test: list[str] = []
    """Files or folders to test on; if empty, ``test_fraction`` of the training sequences is held out."""
    validation: FractionOrAuto = "auto"
    """Fraction of the training data held out to choose the best epoch; 0 for none. ``auto``: 0.1 where that is at least
    100 examples, or where ``train.patience`` or the schedule ``plateau`` needs a score, else 0."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    """Fraction of the data held out for the test if there are no ``test`` files."""
    limit: int = Field(0, ge=0)
    """Use only this many of the first training and test sequences; 0 for all."""
    storage: Literal["auto", "memory", "disk"] = "auto"
    """Where the data of files are kept while a run uses them. ``memory``: read at every start. ``disk``: read once and
    kept in the cache, from which batches are read ahead; the results have the same bits. ``auto``: ``disk`` where the
    files are larger than an eighth of the memory, else ``memory``."""


class RecurrentSettings(Settings):
    """``[model]``: the recurrent layers."""

    cell: str = "lstm"
    """The cell: ``lstm``, ``gru``, ``rnn``, or the name of a cell of your own (see :mod:`holdfast.register`)."""
    hidden_size: int | list[int] = 128
    """Units of each layer, or a list with one size per layer."""
    num_layers: int = Field(1, ge=1, le=1000)
    """Number of stacked recurrent layers."""
    bidirectional: bool = False
    """Run each layer in both directions, from start to end and from end to start."""
    merge: Literal["concat", "sum", "mean", "product"] = "concat"
    """How to combine the outputs of the two directions of a layer."""
    residual: bool = False
    """From the second layer on, add each layer's input to its output."""
    dropout: float = Field(0, ge=0, lt=1)
    """Dropout probability between layers and before the output layer."""
    locked_dropout: bool = False
    """Between layers, drop the same units at every step of a sequence."""
    options: dict[str, Number | str] = {}
    """Options of the cell, as in its constructor: ``forget_bias``, ``layer_norm``, ``recurrent_dropout``,
    ``zoneout_h``, ..."""
    engine: str = "auto"
    """The engine that computes the recurrent layers; ``auto`` takes the fastest one that can."""
    memory: Literal["keep", "recompute", "offload"] = "keep"
    """What the forward pass keeps for the backward pass: ``keep``: everything; ``recompute``: the ends of segments, and
    the rest is recomputed; ``offload``: everything, in host memory."""

    @field_validator("cell")
    @classmethod
    def _check_cell(cls, value: str) -> str:
        return known_part("cell", value, CELLS)

    @field_validator("hidden_size")
    @classmethod
    def _check_sizes(cls, value: int | list[int]) -> int | list[int]:
        if not value or any(size < 1 for size in (value if isinstance(value, list) else [value])):
            raise PydanticCustomError("no_size", "a layer has at least one unit, and there is at least one layer")
        return value

    @property
    def own_parts(self) -> list[tuple[register.Kind, str]]:
        """The parts of your own that the model needs: the kind and the name of each."""
        return [("cell", self.cell)] if self.cell not in CELLS else []

    @property
    def layers(self) -> int:
        """The number of recurrent layers."""
        return len(self.hidden_size) if isinstance(self.hidden_size, list) else self.num_layers


class TrainSettings(Settings):
    """``[train]``: how to train the network."""

    epochs: WholeOrAuto = "auto"
    """Number of passes over the training sequences. ``auto``: 10, or as many as make 1,500 updates; at most 20,000
    updates, but at least one epoch."""
    max_steps: int = Field(0, ge=0)
    """Stop after this many updates, also within an epoch, however many epochs that takes; 0 to use ``epochs``."""
    batch_size: WholeOrAuto = "auto"
    """Sequences per batch. ``auto``: 16 with fewer than 1,000 training sequences, 32 with fewer than 10,000, 64 with
    fewer than 50,000, else 128; never more than there are."""
    bucket: int = Field(0, ge=0)
    """For unequal lengths: after shuffling, sort by length within groups of this many batches, so that a batch has
    little padding; 0 for no sorting."""
    optimizer: str = "Adam"
    """The class name, in upper or lower case, of any optimiser of ``torch.optim`` for dense gradients; or
    ``AdagradDA``, ``Ftrl``, ``ProximalAdagrad``, ``ProximalSGD``."""
    learning_rate: RateOrAuto = "auto"
    """The learning rate; with a schedule, its highest value. ``auto``: 0.005 with the schedule ``one-cycle``, else
    0.001."""
    optimizer_options: dict[str, Number] = {}
    """Further arguments of the optimiser, such as ``momentum = 0.9``."""
    weight_decay: float = Field(0, ge=0)
    """The optimiser's weight decay."""
    schedule: Literal["auto", "constant", "one-cycle", "cosine", "plateau"] = "auto"
    """How the learning rate changes; ``one-cycle`` raises it and then lowers it to almost 0 at the last update;
    ``plateau`` halves it after 3 epochs without a better validation score. ``auto``: ``one-cycle``, or ``constant``
    with ``patience`` or ``warmup_steps``."""
    warmup_steps: int = Field(0, ge=0)
    """Raise the learning rate linearly from 0 over this many updates; not with ``one-cycle``, which has its own
    warm-up."""
    clip_norm: float = Field(1, ge=0)
    """Largest total norm of the gradient, which is scaled down to it; 0 for no bound."""
    clip_value: float = Field(0, ge=0)
    """Clamp each gradient value to the range from minus this to plus this; 0 for no bound."""
    average_from: float | None = Field(None, ge=0, lt=1)
    """From this fraction of the updates on, average the weights over the updates, and validate and keep the average
    (averaged SGD, Polyak & Juditsky 1992; Izmailov et al. 2018); unset to use the latest weights."""
    patience: int = Field(0, ge=0)
    """Stop after this many epochs without a better validation score; 0 to train to the end. The best weights are kept
    in both cases."""
    carry_state: bool = False
    """Start each batch from the final state of the previous batch (detached); all batches then have one size."""
    log_every: int = Field(0, ge=0)
    """Also record loss and metrics on the training batches every this many updates; 0 for once per epoch only."""
    report_first: int = Field(0, ge=0)
    """Also report the test metrics on this many of the first test sequences; 0 for no such report."""
    report: bool = True
    """At the end, write ``report.html`` into the run, a page that shows it; see ``holdfast report``. The environment
    variable ``HOLDFAST_REPORT=0`` switches it off for all runs."""
    checkpoint_seconds: float = Field(30, ge=0)
    """Write a checkpoint at least this often, in seconds, besides the one after each epoch; 0 for one after every
    update."""
    chunks: WholeOrAuto = "auto"
    """Number of parts that the rows of each batch are divided into. The gradient of each is computed alone, and they
    are added in a fixed order, so that any number of processes gives the same bits. ``auto``: the number of
    processes that start the run."""
    exact: bool = True
    """With several processes, add the gradients of the chunks in a fixed order; ``false`` leaves the order to
    torch.distributed, which sends less, and then the bits depend on the number of processes."""
    seed: int = Field(0, ge=0)
    """Seed of initial values, order and dropout. The same seed, data, thread count and engine give the same bits."""
    threads: int = Field(0, ge=0, le=4096)
    """Number of threads; 0 for torch's default."""
    device: str = "auto"
    """``cpu``, ``cuda``, ``cuda:1``, ...; ``auto`` takes a GPU where there is one."""
    limit: Literal["", "small"] = ""
    """``small``: apply the recipe's ``[small]`` table, for a trial of all steps in seconds."""


class Recipe(Settings):
    """A recipe: a model and the data to train it on. Each task has its own tables ``[data]`` and ``[model]``."""

    name: str = Field(pattern=r"^[^\x00-\x1f]+$")
    """The name of the run and of its folder."""
    description: str = ""
    """One sentence: the model, the data, and the result to expect."""
    task: str
    """The task to learn."""
    data: DataSettings
    """The source of the data and how they are prepared."""
    model: RecurrentSettings
    """The network."""
    train: TrainSettings = TrainSettings()
    """How to train the network."""
    small: dict[str, Any] = {}
    """The values that ``train.limit = "small"`` sets, by dotted keys: ``"train.epochs" = 1``."""
    before: ClassVar[dict[str, Any]] = {}
    """What a run did before a field existed, by dotted keys, where the default of the field does something else."""

    @model_validator(mode="after")
    def _hold_out_for_a_score(self) -> Self:
        """Holds validation data out where the training needs a score and ``data.validation`` is ``auto``."""
        if self.data.validation == "auto" and (self.train.patience or self.train.schedule == "plateau"):
            held_out = self.data.model_copy(update={"validation": HELD_OUT})
            object.__setattr__(self, "data", held_out)  # the recipe is frozen, but not yet given to anyone
        return self
