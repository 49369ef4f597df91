"""Scoring in the workers of Ray, Spark and Dask."""

from holdfast.distributed.scorer import Scorer

__all__ = ["Scorer"]
