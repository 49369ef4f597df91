"""What is known of the sizes of values before a graph runs, and a rule for each operator that derives more of it."""

from holdfast.interop.onnx.sizes import elementwise, layers, shapes  # noqa: F401
from holdfast.interop.onnx.sizes.known import NOTHING, RULES, Known, Size, elements, of_constant, of_input

__all__ = ["NOTHING", "RULES", "Known", "Size", "elements", "of_constant", "of_input"]
