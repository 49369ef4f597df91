"""The unusual figures in the health of a model, as plain sentences with numbers and a next step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.inspect.layer_health import GateHealth, LayerHealth

MOSTLY = 0.6
"""A gate is named if more than this share of its values is saturated."""
SHRINKING, GROWING = 0.8, 1.5
"""The spectral radii of a plain RNN outside of which it is named."""
KEEPS = ("forget", "update")
"""The gates that keep the state."""
FEW_STEPS = 20
"""Rows of fewer steps need no long memory."""
OFTEN_CLIPPED = 0.5
"""The share of clipped updates above which it is named."""
HARDLY = 0.97
"""If no epoch has a lower training loss than this share of the first, training hardly helped."""
_WITHOUT_GRADIENT = 1e-7
_JUMP = 10.0


def sentences(layers: Mapping[str, LayerHealth], history: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each unusual figure; one sentence that says so if nothing does.

    Args:
        layers: The figures of each layer, by its name.
        history: The rows of the history of the training; empty without one.
    """
    found = [text for name, layer in layers.items() for text in _of_layer(name, layer)]
    found += _of_training(history)
    return found or [_nothing(layers, history)]


def _of_layer(name: str, layer: LayerHealth) -> Iterator[str]:
    if layer.dead:
        yield (
            f"{len(layer.dead)} of {layer.units} units of {name} keep the same value at every step of every row. They "
            "do not help on these inputs: try a smaller hidden_size, or a lower learning rate if their number grew in "
            "training."
        )
    for gate, figures in layer.gates.items():
        yield from _of_gate(name, layer, gate, figures)
    if layer.cell == "RNN" and layer.spectral_radius:
        yield from _of_radius(name, layer)
    typical, longest = layer.time_constants, layer.longest_constants
    if typical is not None and longest is not None and layer.steps >= FEW_STEPS:
        middle, most = float(typical.median()), float(longest.max())
        if most < layer.steps / 10:
            longer = (
                "raise forget_bias, for example to 3" if layer.cell == "LSTM" else "try an LSTM, with forget_bias=3"
            )
            yield (
                f"The units of {name} keep their state for {middle:.1f} steps (the median; at their best steps "
                f"{most:.1f} at most), and the rows have {layer.steps} steps. If the task needs older steps, {longer}."
            )


def _of_gate(name: str, layer: LayerHealth, gate: str, figures: GateHealth) -> Iterator[str]:
    if figures.low is None or figures.high is None:
        return
    if gate in KEEPS and figures.high > MOSTLY:
        return  # open in a healthy memory
    saturated = figures.low + figures.high
    what = "candidate" if gate == "candidate" else f"{gate} gate"
    if saturated > MOSTLY:
        yield (
            f"The {what} of {name} is saturated at {_percent(saturated)} of its values ({_percent(figures.low)} in the "
            f"lowest tenth of its range, {_percent(figures.high)} in the highest), where hardly any gradient passes. "
            "Try a lower learning rate, inputs of a smaller scale, or layer_norm=True."
        )
    elif len(figures.always_low) > layer.units / 4 and gate in ("input", "output", "reset"):
        yield (
            f"The {what} of {name} is always closed in {len(figures.always_low)} of {layer.units} units. These units "
            "take no part on these inputs: try a smaller hidden_size or a lower learning rate."
        )


def _of_radius(name: str, layer: LayerHealth) -> Iterator[str]:
    radius = max(layer.spectral_radius.values())
    if radius < SHRINKING and layer.steps >= FEW_STEPS:
        yield (
            f"The recurrent matrix of {name} has the spectral radius {radius:.2f}, so what a state holds shrinks to "
            f"about {radius**10:.1g} of it in 10 steps, and the rows have {layer.steps} steps. If the task needs older "
            "steps, try a GRU or an LSTM."
        )
    elif radius > GROWING:
        yield (
            f"The recurrent matrix of {name} has the spectral radius {radius:.2f}, so gradients can grow by this "
            "factor per step. Clip them (train.clip_norm = 1.0) or lower the learning rate."
        )


def _of_training(history: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows = [row for row in history if row.get("event") == "epoch"]
    broken = [row for row in rows if "train" in row and row["train"].get("loss", 0.0) is None]
    if broken:
        yield (
            f"The training loss was not finite in {len(broken)} of {len(rows)} epochs. Lower the learning rate, or "
            "clip the gradients (train.clip_norm = 1.0)."
        )
    losses = [row["train"]["loss"] for row in rows if row.get("train", {}).get("loss") is not None]
    if len(losses) > 1 and min(losses) > HARDLY * losses[0] > 0:
        yield (
            f"The training loss hardly fell: it was {losses[0]:.4g} in the first of {len(losses)} epochs and "
            f"{min(losses):.4g} at its best. Train longer, try other learning rates, or check the inputs and targets."
        )
    norms = [row["gradient_norm"] for row in rows if row.get("gradient_norm") is not None]
    clipped = [row["clipped"] for row in rows if row.get("clipped") is not None]
    if clipped and sum(clipped) / len(clipped) > OFTEN_CLIPPED:
        mean = f", and their mean norm was {sum(norms) / len(norms):.2g}" if norms else ""
        yield (
            f"The gradients were clipped in {_percent(sum(clipped) / len(clipped))} of the updates{mean}. The clipping "
            "sets the size of most updates: raise train.clip_norm, or lower the learning rate."
        )
    if len(norms) > 1 and norms[-1] > _JUMP * sorted(norms)[len(norms) // 2]:
        yield (
            f"The norm of the gradients was {norms[-1]:.2g} in the last epoch, more than ten times its median "
            f"{sorted(norms)[len(norms) // 2]:.2g}. Training may diverge: lower the learning rate."
        )
    if norms and norms[-1] < _WITHOUT_GRADIENT:
        yield (
            f"The norm of the gradients was {norms[-1]:.1g} in the last epoch: nothing is learned any more. Check the "
            "loss and the scale of the targets."
        )


def _nothing(layers: Mapping[str, LayerHealth], history: Sequence[Mapping[str, Any]]) -> str:
    """The sentence for a model in which nothing stands out, with its largest figures."""
    shares = [
        gate.saturated
        for layer in layers.values()
        for name, gate in layer.gates.items()
        if gate.saturated is not None and name not in KEEPS
    ]
    words = ["no unit is dead"]
    if shares:
        words.append(
            f"no gate apart from forget and update gates has more than {_percent(max(shares))} saturated values"
        )
    radii = [radius for layer in layers.values() for radius in layer.spectral_radius.values()]
    if radii:
        words.append(f"the spectral radii go from {min(radii):.2f} to {max(radii):.2f}")
    clipped = [row["clipped"] for row in history if row.get("event") == "epoch" and row.get("clipped") is not None]
    if clipped:
        words.append(f"{_percent(sum(clipped) / len(clipped))} of the updates were clipped")
    return f"Nothing stands out: {', '.join(words)}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
