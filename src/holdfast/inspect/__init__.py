"""Looking inside a model: its summary table."""

from holdfast.layers.summary import LayerRow, Summary, summarise

__all__ = ["LayerRow", "Summary", "summarise"]
