"""Looking inside a model: its summary table, gates and states over time, gradients through time, and its health.

Each name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand

if TYPE_CHECKING:
    from holdfast.inspect.attribution import Attribution, input_times_gradient, integrated_gradients
    from holdfast.inspect.gradients import GradientNorms, connectivity, gradient_through_time, memory_length
    from holdfast.inspect.layer_health import GateHealth, Health, LayerHealth, health
    from holdfast.inspect.layer_recording import LayerRecording
    from holdfast.inspect.recording import Recording, record
    from holdfast.inspect.watching import Live, TensorBoard
    from holdfast.layers.summary import LayerRow, Summary, summarise

__all__ = [
    "Attribution",
    "GateHealth",
    "GradientNorms",
    "Health",
    "LayerHealth",
    "LayerRecording",
    "LayerRow",
    "Live",
    "Recording",
    "Summary",
    "TensorBoard",
    "connectivity",
    "gradient_through_time",
    "health",
    "input_times_gradient",
    "integrated_gradients",
    "memory_length",
    "record",
    "summarise",
]

_NAMES_IN = {
    "holdfast.inspect.attribution": ["Attribution", "input_times_gradient", "integrated_gradients"],
    "holdfast.inspect.gradients": ["GradientNorms", "connectivity", "gradient_through_time", "memory_length"],
    "holdfast.inspect.layer_health": ["GateHealth", "Health", "LayerHealth", "health"],
    "holdfast.inspect.layer_recording": ["LayerRecording"],
    "holdfast.inspect.recording": ["Recording", "record"],
    "holdfast.inspect.watching": ["Live", "TensorBoard"],
    "holdfast.layers.summary": ["LayerRow", "Summary", "summarise"],
}

__getattr__ = on_demand(__name__, {name: module for module, names in _NAMES_IN.items() for name in names})
