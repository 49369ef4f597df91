"""Measures one case: prepares the contenders, compares their numbers, and times them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import cases, epoch, layers, memory, onnxruntime_peer
from benchmarks.cases import Case
from benchmarks.layers import Numbers
from benchmarks.products import Products
from benchmarks.rounds import Contender, Unavailable, Wrong, check, in_turn, quartiles, ratio, timed
from benchmarks.workers import KerasLayer, OpenvinoLayer, Worker

TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2, "int8": 5e-2}  # relative to the largest value of an array
EPOCHS = 2


@dataclass
class Settings:
    """The options of the command: threads, rounds, seconds per pass, peers, folders of environments and images.

    ``limited`` says that the process uses a lesser instruction set, which some peers cannot.
    """

    threads: int
    pairs: int
    budget: float
    peers: Sequence[str] | None
    environments: Path
    mnist: Path | None = None
    limited: bool = False
    progress: Callable[[str], None] = lambda text: None
    workers: dict[str, Worker | str] = field(default_factory=dict)

    def worker(self, name: str) -> Worker:
        """The process of a peer in another environment, started at the first call.

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
        """Whether a peer takes part; our own layers and the products always do."""
        return self.peers is None or peer in cases.OWN or peer in self.peers


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
        return result | {"skipped": {"holdfast": f"its engine is {result['engine']}"}}
    try:
        contenders, settings_of = taking_part(case, given, settings, result["skipped"])
    except Unavailable as reason:
        return result | {"skipped": {"holdfast": str(reason)}}
    settings.progress("comparing the numbers")
    try:
        result["largest_difference"] = compare(case, given, contenders)
        for which in case.passes:
            running = [contender for contender in contenders if which in contender.passes]
            times = seconds(case, which, running, settings)
            if case.group == "epoch":
                result["loss"] = losses(contenders)
            result["passes"][which] = summary(times, which, settings_of)
    except Wrong as difference:
        return result | {"wrong": str(difference), "passes": {}}
    if case.group == "memory":
        result["peak_mib"] = peaks([c.name for c in contenders], settings, result["skipped"])
    return result


def seconds(case: Case, which: str, contenders: Sequence[Contender], settings: Settings) -> dict[str, list[float]]:
    """The times of a pass in all rounds; epochs are long, so they have few rounds."""
    if case.group == "epoch":
        return in_turn(contenders, which, {c.name: 1 for c in contenders}, EPOCHS, settings.progress)
    return timed(contenders, which, settings.pairs, settings.budget, settings.progress)


def losses(contenders: Sequence[Any]) -> dict[str, float]:
    """The mean losses of the last epoch.

    Raises:
        Wrong: A loss says that nothing was learnt.
    """
    result = {contender.name: contender.loss for contender in contenders}
    if not all(loss < epoch.LEARNT for loss in result.values()):
        raise Wrong(f"the mean losses of the last epoch are {result}; less than {epoch.LEARNT} is expected.")
    return result


def taking_part(
    case: Case, given: Numbers, settings: Settings, skipped: dict[str, str]
) -> tuple[list[Any], dict[str, dict[str, str]]]:
    """Our contender and then the peers; also, for peers with several ways to run a pass, the way chosen per pass.

    Raises:
        Unavailable: Our own contender cannot take part.
    """
    whole = case.group == "epoch"
    images = (epoch.read(settings.mnist) if settings.mnist else epoch.generated()) if whole else {}
    contenders: list[Any] = [epoch.contender("holdfast", case, images) if whole else layers.our_contender(case, given)]
    settings_of: dict[str, dict[str, str]] = {}
    for name in filter(settings.wants, case.peers):
        settings.progress(f"preparing {name}")
        try:
            if settings.limited and name not in cases.FOLLOWING:
                raise Unavailable("it has no switch for the instruction set")
            if whole:
                keras = name in cases.KERAS
                epochs = epoch.KerasFit(settings.worker(name), case, images) if keras else None
                contenders.append(epochs or epoch.contender(name, case, images))
            else:
                contenders.append(peer(name, case, given, settings))
                settings_of[name] = getattr(contenders[-1], "setting", {})
        except Unavailable as reason:
            skipped[name] = str(reason)
    return contenders, settings_of


def peer(name: str, case: Case, given: Numbers, settings: Settings) -> Contender:
    """A peer for a layer, a stream or a cell, or the products of the case.

    Raises:
        Unavailable: The peer cannot take part.
    """
    if name in cases.KERAS:
        return KerasLayer(settings.worker(name), case, given)
    if name == cases.OPENVINO:
        return OpenvinoLayer(settings.worker(name), case, given)
    if name == cases.ONNXRUNTIME:
        return onnxruntime_peer.contender(case, given)
    return Products(case, given) if name == cases.PRODUCTS else layers.peer(name, case, given)


def compare(case: Case, given: Numbers, contenders: Sequence[Contender]) -> float:
    """The largest difference between ours and any peer's, relative to the largest value of each array.

    No peer computes the variants, so they are compared with the reference engine, with the same masks.

    Raises:
        Wrong: The difference is larger than the tolerance.
    """
    others = [contender for contender in contenders[1:] if contender.name != cases.PRODUCTS]
    if case.group == "variants":
        others = [layers.reference(case, given)]
    tolerance = TOLERANCE["bfloat16" if case.bfloat16 else case.weights]
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
        peers[name]["quartiles"] = quartiles(theirs, our_times)
        if which in settings_of.get(name, {}):
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
