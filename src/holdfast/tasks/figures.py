"""Precision, recall and F1 of a class, from counts; used by the metrics of ``classify`` and ``tag``."""

from __future__ import annotations


def class_figures(right: int, predicted: int, actual: int) -> dict[str, float | int | None]:
    """Precision, recall and F1 of a class, and how often it occurs.

    Args:
        right: How often the class was predicted where it occurs.
        predicted: How often it was predicted.
        actual: How often it occurs.

    Returns:
        The figures by name, and ``actual`` as ``count``. F1 is None for a class that neither occurs nor was predicted.
    """
    either = predicted + actual
    return {
        "precision": right / max(1, predicted),
        "recall": right / max(1, actual),
        "f1": 2 * right / either if either else None,
        "count": actual,
    }
