"""Scoring: answers for files of any size, in bounded memory, in parts that a later start need not compute again."""

from holdfast.scoring.frames import OnError
from holdfast.scoring.run import Scores, score

__all__ = ["OnError", "Scores", "score"]
