"""Measures one case: prepares the contenders, compares their numbers, and times them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import cases, epoch, layers, memory
from benchmarks.cases import Case
from benchmarks.layers import Numbers
from benchmarks.rounds import Contender, Unavailable, Wrong, check, in_turn, ratio, timed
from benchmarks.workers import KerasLayer, Worker

TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2}  # relative to the largest value of an array
EPOCHS = 2


@dataclass
class Settings:
    """The options of the command: threads, rounds, seconds per pass, peers, folders of environments and images."""

    threads: int
    pairs: int
    budget: float
    peers: Sequence[str] | None
    environments: Path
    mnist: Path | None = None
    progress: Callable[[str], None] = lambda text: None
    workers: dict[str, Worker | str] = field(default_factory=dict)

    def worker(self, name: str) -> Worker:
        """The process of a Keras peer, started at the first call.

        Raises:
            Unavailable: It cannot be started.
        """
        if name not in self.workers:
            try:
                self.workers[name] = Worker(name, self.threads, self.environments)
            except Unavailable as reason:
                self.workers[name] = str(reason)
        worker = self.workers[name]
        if isinstance(worker, str):
            raise Unavailable(worker)
        return worker

    def close(self) -> None:
        """Ends all processes."""
        for worker in self.workers.values():
            if isinstance(worker, Worker):
                worker.close()

    def wants(self, peer: str) -> bool:
        """Whether a peer takes part; comparisons with our own layers always do."""
        return self.peers is None or peer.startswith("holdfast") or peer in self.peers


def measure(case: Case, settings: Settings) -> dict[str, Any]:
    """The results of a case, in the form of the JSON file.

    ``"skipped"`` has the peers that are not available, with the reason. If numbers differ, ``"wrong"`` says where, and
    there are no times.
    """
    result: dict[str, Any] = {"group": case.group, "name": case.name, "cell": case.cell, "shape": list(case.shape)}
    result |= {"skipped": {}, "passes": {}}
    given = layers.numbers(case)
    result["engine"] = layers.engine(case, given)
    if case.bfloat16 and result["engine"] != "native":
        return result | {"skipped": {"holdfast": f"not yet: {result['engine']}"}}
    settings.progress("checking the numbers")
    contenders, settings_of = taking_part(case, given, settings, result["skipped"])
    try:
        result["largest_difference"] = compare(case, given, contenders)
        for which in case.passes:
            if case.group == "epoch":
                times = in_turn(
                    contenders, which, dict.fromkeys((c.name for c in contenders), 1), EPOCHS, settings.progress
                )
                result["loss"] = {c.name: c.loss for c in contenders}
                if not all(loss < epoch.LEARNT for loss in result["loss"].values()):
                    raise Wrong(
                        f"the mean losses of the last epoch are {result['loss']}; less than {epoch.LEARNT} is expected."
                    )
            else:
                times = timed(contenders, which, settings.pairs, settings.budget, settings.progress)
            result["passes"][which] = summary(times, which, settings_of)
            if case.group not in ("variants", "epoch"):  # these do not have the work of the plain layer
                operations = case.operations(given.running, which)
                result["passes"][which]["gflops"] = operations / result["passes"][which]["ms"] / 1e6
    except Wrong as difference:
        return result | {"wrong": str(difference), "passes": {}}
    if case.group == "memory":
        result["peak_mib"] = peaks([c.name for c in contenders], settings, result["skipped"])
    return result


def taking_part(
    case: Case, given: Numbers, settings: Settings, skipped: dict[str, str]
) -> tuple[list[Any], dict[str, dict[str, str]]]:
    """Our contender and then the peers; also, for peers with several ways to run a pass, the way chosen per pass."""
    whole = case.group == "epoch"
    images = (epoch.read(settings.mnist) if settings.mnist else epoch.generated()) if whole else {}
    contenders: list[Any] = [epoch.contender("holdfast", case, images) if whole else layers.our_contender(case, given)]
    settings_of = {}
    for name in filter(settings.wants, case.peers):
        settings.progress(f"preparing {name}")
        try:
            if name in cases.KERAS and whole:
                contenders.append(epoch.KerasFit(settings.worker(name), case, images))
            elif name in cases.KERAS:
                arrays = {"x": given.x.numpy(), "dy": given.dy.numpy()}
                arrays |= {key: value.numpy() for key, value in given.weights.items()}
                contenders.append(KerasLayer(settings.worker(name), case, arrays))
                settings_of[name] = contenders[-1].setting
            else:
                contenders.append(epoch.contender(name, case, images) if whole else layers.peer(name, case, given))
        except Unavailable as reason:
            skipped[name] = str(reason)
    return contenders, settings_of


def compare(case: Case, given: Numbers, contenders: Sequence[Contender]) -> float:
    """The largest difference between ours and any peer's, relative to the largest value of each array.

    No peer computes the variants, so they are compared with the reference engine, with the same masks.

    Raises:
        Wrong: The difference is larger than the tolerance.
    """
    others = list(contenders[1:])
    if case.group == "variants":
        others = [layers.reference(case, given)]
    tolerance = TOLERANCE["bfloat16" if case.bfloat16 else "float32"]
    ours = contenders[0].answers()
    differences = []
    for other in others:
        try:
            differences.append(check(ours, other.answers(), tolerance))
        except Wrong as difference:
            raise Wrong(f"compared with {other.name}, {difference}") from None
    return max(differences, default=0.0)


def summary(times: dict[str, list[float]], which: str, settings_of: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The median milliseconds of each contender, and the median ratios of the peers' times to ours."""
    our_times = times.pop("holdfast")
    ms = statistics.median(our_times) * 1e3
    peers: dict[str, dict[str, Any]] = {}
    for name, theirs in times.items():
        peers[name] = {"ms": statistics.median(theirs) * 1e3, "ratio": ratio(theirs, our_times)}
        if name in settings_of:
            peers[name]["setting"] = settings_of[name][which]
    return {"ms": ms, "rounds": len(our_times), "peers": peers}


def peaks(names: Sequence[str], settings: Settings, skipped: dict[str, str]) -> dict[str, float]:
    """The peak memory of a training step in MiB, per contender."""
    sizes = {}
    for name in names:
        settings.progress(f"memory of {name}")
        try:
            sizes[name] = memory.peak(name, settings.threads)
        except Unavailable as reason:
            skipped[f"memory of {name}"] = str(reason)
    return sizes
