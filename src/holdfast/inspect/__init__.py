"""Looking inside a model: for now, its summary table."""

from holdfast.inspect.summary import LayerRow, Summary, summarise

__all__ = ["LayerRow", "Summary", "summarise"]
