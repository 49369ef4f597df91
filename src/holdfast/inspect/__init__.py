"""Looking inside a model: for now, its summary table."""

from holdfast.layers.summary import LayerRow, Summary, summarise

__all__ = ["LayerRow", "Summary", "summarise"]
