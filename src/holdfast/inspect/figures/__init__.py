"""Figures: one function each, with ``ax=`` in and the Axes out, drawn with matplotlib."""

from holdfast.inspect.figures.learning_curves import learning_curves

__all__ = ["learning_curves"]
