"""Looking inside a model: its summary table, gates and states over time, gradients through time, and its health.

Each name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand

if TYPE_CHECKING:
    from holdfast.inspect.layer_recording import LayerRecording
    from holdfast.inspect.recording import Recording, record
    from holdfast.layers.summary import LayerRow, Summary, summarise

__all__ = ["LayerRecording", "LayerRow", "Recording", "Summary", "record", "summarise"]

_NAMES_IN = {
    "holdfast.inspect.layer_recording": ["LayerRecording"],
    "holdfast.inspect.recording": ["Recording", "record"],
    "holdfast.layers.summary": ["LayerRow", "Summary", "summarise"],
}

__getattr__ = on_demand(__name__, {name: module for module, names in _NAMES_IN.items() for name in names})
