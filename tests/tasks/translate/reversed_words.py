"""Words and the same words reversed, a task that translates them, and its batches."""

from __future__ import annotations

from torch.nn import functional as F

from holdfast.data.readers import pairs
from holdfast.data.vocabulary import BEGIN
from holdfast.tasks.translate.settings import TranslateAnswers, TranslateModel, TranslateRecipe
from holdfast.tasks.translate.task import TranslateTask

PAIRS = pairs.grouped(
    ["abc", "b", "ca", "abc", "bbcca", "a"], ["cba", "b", "ac", "CBA", "accbb", "a"], [f"x[{k}]" for k in range(6)]
)


def task(data=(), answers=(), **model):
    settings = {"hidden_size": 6, "embedding_size": 5, **model}
    recipe = TranslateRecipe(
        name="t",
        data={"unit": "characters", **dict(data)},
        model=TranslateModel(**settings),
        predict=TranslateAnswers(**dict(answers)),
    )
    return TranslateTask.fit(recipe, PAIRS)


def encoded(of, examples=PAIRS):
    (batch,) = of.batches(examples).epoch(0)
    return batch


def late(batch):
    """What the decoder reads."""
    return F.pad(batch.targets[:, :-1], (1, 0), value=BEGIN)
