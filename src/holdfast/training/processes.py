"""The processes that train one model together: torch.distributed under ``torchrun``, or this process alone."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from safetensors.torch import load, save

from holdfast.errors import OptionError, RunError
from holdfast.training.nest import decode, encode

T = TypeVar("T")
_joined = itertools.count()
_WAIT = "HOLDFAST_WAIT_SECONDS"
_DEFAULT_WAIT = 1800
_RESTARTS = "TORCHELASTIC_RESTART_COUNT"
_STATE = "state"
_BEGUN = "holdfast/begun"
_shared: list[Any] = []
"""The store of torchrun, which lasts as long as it does: longer than the processes that it starts again."""


@dataclass(frozen=True)
class Processes:
    """A group of processes, each with the same program.

    Attributes:
        rank: The number of this process, from 0.
        size: The number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def alone(self) -> bool:
        """Whether there is only this process."""
        return self.size == 1

    @property
    def first(self) -> bool:
        """Whether this process writes, prints and measures."""
        return self.rank == 0

    def wait(self) -> None:
        """Waits until every process is here."""
        self.any(False)

    def any(self, flag: bool) -> bool:
        """Whether the flag of any process is set."""
        if self.alone:
            return flag
        flags = torch.tensor([float(flag)], device=_meeting_place())
        with _in_time():
            dist.all_reduce(flags)
        return bool(flags[0] > 0)

    def from_first(self, compute: Callable[[], T]) -> T:
        """What the first process computes, a JSON value; the others wait for it.

        Raises:
            RunError: The computation failed in the first process; there, the error itself.
        """
        if self.alone:
            return compute()
        failure: BaseException | None = None
        value: Any = None
        if self.first:
            try:
                value = compute()
            except BaseException as error:  # raised below, once the others know
                failure = error
        message = self._told(json.dumps({"failed": failure is not None, "value": value}).encode())
        if failure is not None:
            raise failure
        answer = json.loads(message)
        if answer["failed"]:
            raise RunError("The first process failed; its message says why.")
        return answer["value"]  # type: ignore[no-any-return]  # the same JSON value

    def in_turn(self, open_it: Callable[[], T]) -> T:
        """What each process computes, the first process before the others.

        Raises:
            RunError: The computation failed in the first process; there, the error itself.
        """
        if not self.first:
            self.from_first(lambda: None)
            return open_it()
        opened: list[T] = []
        self.from_first(lambda: opened.append(open_it()))
        return opened[0]

    def gather(self, state: Mapping[int, Any]) -> dict[int, Any]:
        """The states of all processes, by chunk, in every process. A state is one of :mod:`holdfast.training.nest`."""
        if self.alone:
            return dict(state)
        tensors, document = encode(dict(state))
        tensors[_STATE] = torch.frombuffer(bytearray(json.dumps(document).encode()), dtype=torch.uint8)
        own = save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()})
        gathered: dict[int, Any] = {}
        for rank in range(self.size):
            parts = load(self._told(own, rank))
            text = bytes(parts.pop(_STATE).numpy())
            gathered |= decode(parts, json.loads(text), torch.device(_meeting_place()))
        return dict(sorted(gathered.items()))

    def _told(self, content: bytes, rank: int = 0) -> bytes:
        """The content of one process, in all of them."""
        place = _meeting_place()
        with _in_time():
            size = torch.tensor([len(content)], dtype=torch.int64, device=place)
            dist.broadcast(size, rank)
            told = torch.empty(int(size), dtype=torch.uint8, device=place)
            if rank == self.rank:
                told = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(place)
            dist.broadcast(told, rank)
        return bytes(told.cpu().numpy())


ALONE = Processes()
"""This process without others."""


def exchange(own: torch.Tensor, rows: list[int]) -> torch.Tensor:
    """Gives every process one segment of the rows of all.

    Args:
        own: [K, N], the rows of this process; N is a multiple of the number of processes.
        rows: K of each process.

    Returns:
        [sum of K, N / processes]: of every row, in the order of the processes, the segment of this process.
    """
    size = len(rows)
    width = own.shape[1] // size
    segments = own.reshape(len(own), size, width).transpose(0, 1).contiguous()
    received = own.new_empty(sum(rows) * width)
    with _in_time():
        dist.all_to_all_single(received, segments.flatten(), [k * width for k in rows], [len(own) * width] * size)
    return received.view(-1, width)


def joined_segments(segment: torch.Tensor, size: int) -> torch.Tensor:
    """The segments [N / processes] of all processes in a row, [N]."""
    whole = segment.new_empty(segment.numel() * size)
    with _in_time():
        dist.all_gather(list(whole.view(size, -1).unbind()), segment)
    return whole


def added(values: torch.Tensor) -> None:
    """Adds the values of all processes, in place, in an order that their number decides."""
    with _in_time():
        dist.all_reduce(values)


def current() -> Processes:
    """The group of this process."""
    together = dist.is_available() and dist.is_initialized()
    return Processes(dist.get_rank(), dist.get_world_size()) if together else ALONE


def note_begun(run: str) -> None:
    """Notes the folder of the run that has begun, for processes that ``torchrun`` starts again."""
    for store in _shared:
        store.set(_BEGUN, run)


def noted_run() -> str:
    """The folder of the run that these processes had begun before ``torchrun`` started them again; empty for none."""
    return next((store.get(_BEGUN).decode() for store in _shared if store.check([_BEGUN])), "")


def started_by_torchrun() -> bool:
    """Whether this is one of the processes of ``torchrun``."""
    return "MASTER_ADDR" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def run_again(count: int) -> int:
    """Runs the command of this process with several processes of this machine, and returns its exit code.

    The threads are shared out: each process takes as many as there are processors for it, unless ``OMP_NUM_THREADS``
    is set. ``torchrun``, here in this process, starts all of them again, at most 3 times, when one ends with an error.

    Raises:
        RunError: A process was ended by a signal, the last time too.
    """
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    here = "127.0.0.1"
    command = ["--nproc-per-node", str(count), "--local-addr", here, "--max-restarts", "3"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{here}:0", "-m", "holdfast", *sys.argv[1:]]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // count)))
    try:
        torchrun.main(command)
    except SignalException as stop:
        return 128 + int(stop.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode >= 0:
            return int(failure.exitcode)  # the process has said why
        raise RunError(
            f"Process {rank} was ended by signal {-failure.exitcode}, perhaps for lack of memory. Start the run again "
            "with --resume."
        ) from error
    return 0


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """In the block, this process belongs to the group that ``torchrun`` started; without torchrun it is alone.

    A process waits for the others at most ``HOLDFAST_WAIT_SECONDS`` seconds, 1,800 if that is not set.

    Raises:
        OptionError: ``HOLDFAST_WAIT_SECONDS`` is not a number above 0.
        RunError: The other processes did not come.
    """
    here = current()
    if not here.alone or not started_by_torchrun():
        yield here
        return
    seconds = _seconds()
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    with _in_time():
        wait = timedelta(seconds=seconds)
        store, rank, size = next(dist.rendezvous("env://", timeout=wait))  # type: ignore[attr-defined]
        _shared[:] = [store]
        # Old addresses stay in the store: of processes that have ended, and of this one's earlier groups.
        prefix = f"holdfast/{os.environ.get(_RESTARTS, '0')}/{next(_joined)}"
        fresh = dist.PrefixStore(prefix, store)  # type: ignore[attr-defined]
        dist.init_process_group("nccl" if on_gpus else "gloo", store=fresh, rank=rank, world_size=size, timeout=wait)
    try:
        yield current()
    finally:
        _shared.clear()
        dist.destroy_process_group()


def _seconds() -> float:
    text = os.environ.get(_WAIT, str(_DEFAULT_WAIT))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise OptionError(f"{_WAIT} is {text!r}; expected a number of seconds above 0.")
    return seconds


def _meeting_place() -> str:
    """Where tensors are that the processes exchange."""
    return "cuda" if dist.get_backend() == "nccl" else "cpu"


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    """Turns the errors of torch.distributed into one that says what to do."""
    try:
        yield
    except (dist.DistError, RuntimeError) as error:
        raise RunError(
            "The processes that train together have lost one another: one has ended, or did not answer within "
            f"{_seconds():g} seconds ({str(error).splitlines()[0]}). Start the run again with --resume; "
            f"{_WAIT} sets how long to wait."
        ) from error
