"""Measures of how good predictions are, gathered batch by batch and kept with a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from holdfast.data.vocabulary import PADDING

if TYPE_CHECKING:
    from holdfast.data import Batch


class ClassificationMetrics:
    """Accuracy and macro F1 of predicted classes, from a confusion matrix.

    Attributes:
        confusion: [classes, classes], int64, on the CPU: how often row's class was taken for column's.
    """

    def __init__(self, classes: int) -> None:
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, scores: Tensor, batch: Batch) -> None:
        """Takes in a batch.

        Args:
            scores: [B, classes]; the highest one is the prediction.
            batch: Its targets [B] are what should have been predicted.
        """
        # Imported here because it takes a second, and only who measures needs it.
        from torchmetrics.functional.classification import multiclass_confusion_matrix

        found = multiclass_confusion_matrix(
            scores.argmax(-1), batch.known_targets, len(self.confusion), validate_args=False
        )
        self.confusion += found.cpu()

    def compute(self) -> dict[str, float]:
        """``accuracy`` and ``macro_f1`` so far; the mean of F1 goes over the classes that occur or were predicted."""
        hits = self.confusion.diag().double()
        occurring = self.confusion.sum(0) + self.confusion.sum(1)  # 2 hits + false alarms + misses
        met = occurring > 0
        f1 = 2 * hits[met] / occurring[met]
        return {
            "accuracy": float(hits.sum() / max(1, int(self.confusion.sum()))),
            "macro_f1": float(f1.mean()) if met.any() else 0.0,
        }

    def table(self, names: Sequence[str]) -> str:
        """The confusion matrix as text, a line a label, under the names of the classes."""
        width = max(len(name) for name in [*names, str(int(self.confusion.max()))])
        lines = ["confusion (rows: label, columns: answer)", " " * width + "".join(f"  {n:>{width}}" for n in names)]
        for name, row in zip(names, self.confusion.tolist(), strict=True):
            lines.append(f"{name:<{width}}" + "".join(f"  {count:>{width}}" for count in row))
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Tensor]:
        """What was gathered, in memory of its own."""
        return {"confusion": self.confusion.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self.confusion = state["confusion"].clone()


class MultilabelMetrics:
    """Exact match and F1 where a sequence may have several labels; a score above 0 means that it has the label.

    Attributes:
        found: [classes, 2, 2], int64, on the CPU: of each class, how often it was (second index) and was said to be
            (third).
        exact: Sequences all of whose labels were right.
        seen: Sequences.
    """

    def __init__(self, classes: int) -> None:
        self.found = torch.zeros(classes, 2, 2, dtype=torch.int64)
        self.exact, self.seen = 0, 0

    def update(self, scores: Tensor, batch: Batch) -> None:
        """Takes in a batch.

        Args:
            scores: [B, classes], before the sigmoid.
            batch: Its targets [B, classes] are 1 for the labels that a sequence has, else 0.
        """
        from torchmetrics.functional.classification import multilabel_confusion_matrix

        said, targets = (scores >= 0).long(), batch.known_targets.long()
        classes = len(self.found)
        self.found += multilabel_confusion_matrix(said, targets, classes, validate_args=False).cpu()
        self.exact += int((said == targets).all(1).sum())
        self.seen += len(batch)

    def _f1(self) -> Tensor:
        """F1 of each class, [classes]; NaN for one that neither occurs nor was said."""
        hits, wrong = self.found[:, 1, 1].double(), self.found[:, 0, 1] + self.found[:, 1, 0]
        return 2 * hits / (2 * hits + wrong)

    def compute(self) -> dict[str, float]:
        """``exact_match``, ``macro_f1`` (the mean over the classes that occur or were said) and ``micro_f1`` so far."""
        f1, whole = self._f1(), self.found.sum(0).double()
        met = ~f1.isnan()
        counted = 2 * whole[1, 1] + whole[0, 1] + whole[1, 0]
        return {
            "exact_match": self.exact / max(1, self.seen),
            "macro_f1": float(f1[met].mean()) if met.any() else 0.0,
            "micro_f1": float(2 * whole[1, 1] / counted) if counted else 0.0,
        }

    def table(self, names: Sequence[str]) -> str:
        """Precision, recall and F1 of each label, and how many sequences have it, as text."""
        width = max(len(name) for name in [*names, "label"])
        lines = [f"{'label':<{width}}  precision  recall      f1  sequences"]
        for name, count, f1 in zip(names, self.found.tolist(), self._f1().tolist(), strict=True):
            (_, false), (missed, hits) = count
            precision, recall = (hits / max(1, hits + other) for other in (false, missed))
            shown = "     -" if f1 != f1 else f"{f1:.4f}"
            lines.append(f"{name:<{width}}  {precision:9.4f}  {recall:6.4f}  {shown}  {hits + missed:9}")
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Any]:
        """What was gathered, in memory of its own."""
        return {"found": self.found.clone(), "exact": self.exact, "seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self.found, self.exact, self.seen = state["found"].clone(), int(state["exact"]), int(state["seen"])


class ForecastMetrics:
    """Errors of forecasts, beside those of two forecasts that need no model.

    The forecasts without a model repeat the last value (``repeat_last``), and the value of one season before
    (``seasonal_naive``). With several targets, a metric is the mean over them; for ``rmse``, of the squares under its
    root.

    Args:
        deviations: Of each target in the training part, C.
        naive_errors: Mean absolute error of each target's seasonal-naive forecast of one row, within the training part,
            C.
        season: Rows in a season; with 1 the two naive forecasts are one, and only ``repeat_last`` is given.
        quantiles: What the forecasts are quantiles of, ascending, 0.5 among them; one number for a point forecast.
    """

    def __init__(
        self,
        deviations: Sequence[float],
        naive_errors: Sequence[float],
        season: int,
        quantiles: Sequence[float] = (0.5,),
    ) -> None:
        self._deviations = torch.tensor(deviations, dtype=torch.float64)
        self._naive_errors = torch.tensor(naive_errors, dtype=torch.float64)
        self._season, self._quantiles = season, list(quantiles)
        names = ["", "repeat_last_"] + (["seasonal_naive_"] if season > 1 else [])
        self._sums = {name: torch.zeros(2, len(deviations), dtype=torch.float64) for name in names}
        self._within = torch.zeros((), dtype=torch.float64)
        self._count = 0

    def update(self, forecasts: Tensor, batch: Any) -> None:
        """Takes in a batch.

        Args:
            forecasts: [B, H, C, Q], in the units of the targets.
            batch: A ``ForecastBatch``, whose ``actual`` values are what should have been forecast.
        """
        actual = batch.known_actual
        rows = torch.arange(actual.shape[1], device=actual.device) % self._season
        points = {
            "": forecasts[..., self._quantiles.index(0.5)],
            "repeat_last_": batch.history[:, -1:],
            "seasonal_naive_": batch.history[:, rows],
        }
        for name, sums in self._sums.items():
            errors = points[name] - actual
            sums += torch.stack([errors.abs().sum((0, 1)), errors.square().sum((0, 1))]).cpu()
        low, high = forecasts[..., 0], forecasts[..., -1]
        self._within += ((low <= actual) & (actual <= high)).double().mean(-1).sum().cpu()
        self._count += actual.shape[0] * actual.shape[1]

    def compute(self) -> dict[str, float]:
        """The metrics of the forecasts so far, then those of the naive ones under their names.

        ``mae`` and ``rmse`` in the units of the targets; ``mase``, the mean absolute error over that of the
        seasonal-naive forecast of one row within the training part (Hyndman and Koehler 2006, "Another look at measures
        of forecast accuracy"), left out where that is 0; ``mse_scaled``, the squared error over the variance of the
        training part; with several quantiles ``coverage``, the share of values between the lowest and the highest.
        """
        found: dict[str, float] = {}
        for name, sums in self._sums.items():
            absolute, squares = sums / max(1, self._count)
            found[f"{name}mae"] = float(absolute.mean())
            found[f"{name}rmse"] = float(squares.mean().sqrt())
            if (self._naive_errors > 0).all():
                found[f"{name}mase"] = float((absolute / self._naive_errors).mean())
            found[f"{name}mse_scaled"] = float((squares / self._deviations.square()).mean())
            if not name and len(self._quantiles) > 1:
                found["coverage"] = float(self._within / max(1, self._count))
        return found

    def table(self) -> str:
        """The metrics as text: a line for the model and one for each naive forecast."""
        found = self.compute()
        kinds = [kind for kind in ("mae", "rmse", "mase", "mse_scaled") if kind in found]
        lines = [f"{'':14}" + "".join(f"  {kind.replace('_', ' '):>12}" for kind in kinds)]
        for name in self._sums:
            label = name.rstrip("_").replace("_", " ") or "model"
            lines.append(f"{label:14}" + "".join(f"  {found[name + kind]:12.5g}" for kind in kinds))
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Any]:
        """What was gathered, in memory of its own."""
        sums = {name: values.clone() for name, values in self._sums.items()}
        return {"sums": sums, "within": self._within.clone(), "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self._sums = {name: values.clone() for name, values in state["sums"].items()}
        self._within, self._count = state["within"].clone(), state["count"]


class TranscriptionMetrics:
    """Error rates of words and of characters: insertions, deletions and substitutions, by what should have been said.

    Args:
        decode: The texts that scores [B, T, V] of steps, with the lengths [B] of the rows, stand for.
    """

    def __init__(self, decode: Callable[[Tensor, Tensor | None], list[str]]) -> None:
        self._decode = decode
        self._counts = dict.fromkeys(("words", "wrong_words", "characters", "wrong_characters"), 0)

    def update(self, scores: Tensor, batch: Any) -> None:
        """Takes in a batch.

        Args:
            scores: [B, T, V].
            batch: A ``TranscriptBatch``; its texts are what should have been said.
        """
        # Imported here because it takes a second, and only who measures needs it.
        from torchmetrics.functional.text import char_error_rate, word_error_rate

        said, texts = self._decode(scores, batch.lengths), list(batch.texts)
        measures: list[tuple[str, Any, Any]] = [
            ("words", word_error_rate, str.split),
            ("characters", char_error_rate, list),
        ]
        for what, rate, units in measures:
            wanted, got = (sum(len(units(text)) for text in some) for some in (texts, said))
            # A rate is the number of errors, which adds up, over that of what should be there.
            self._counts[f"wrong_{what}"] += round(float(rate(said, texts)) * wanted) if wanted else got
            self._counts[what] += wanted

    def compute(self) -> dict[str, float]:
        """``word_error_rate`` and ``character_error_rate`` so far; 0 where nothing should have been said."""
        counts = self._counts
        return {
            "word_error_rate": counts["wrong_words"] / max(1, counts["words"]),
            "character_error_rate": counts["wrong_characters"] / max(1, counts["characters"]),
        }

    def state_dict(self) -> dict[str, int]:
        """What was counted."""
        return dict(self._counts)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self._counts = dict(state)


class LanguageMetrics:
    """How well a language model foresees a text: nats a token, perplexity, bits a character.

    Attributes:
        nats: The cross-entropy of all tokens together.
        tokens: How many there were.
        characters: How many characters of the text they stand for.
    """

    def __init__(self) -> None:
        self.nats, self.tokens, self.characters = 0.0, 0, 0.0

    def update(self, nats: Tensor, batch: Any) -> None:
        """Takes in a batch.

        Args:
            nats: The cross-entropy of each row, [B].
            batch: A :class:`holdfast.data.streams.TokenBatch`: its targets, [B, T], and the characters they stand for.
        """
        self.nats += float(nats.double().sum())
        self.tokens += int((batch.known_targets != PADDING).sum())
        self.characters += batch.characters

    def compute(self) -> dict[str, float]:
        """``loss`` (nats a token, in place of the mean over batches), ``perplexity`` and ``bits_per_character``."""
        loss = self.nats / max(1, self.tokens)
        bits = self.nats / math.log(2) / max(1.0, self.characters)
        return {"loss": loss, "perplexity": float(np.exp(loss)), "bits_per_character": bits}

    def state_dict(self) -> dict[str, float]:
        """What was gathered."""
        return {"nats": self.nats, "tokens": self.tokens, "characters": self.characters}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self.nats, self.tokens, self.characters = state["nats"], int(state["tokens"]), state["characters"]
