"""The operators of ONNX around recurrent layers, each as a torch function that computes the same.

A function takes the inputs of its operator in order (None for one left out) and the attributes as keyword arguments of
the same names. Some versions of an operator have an input where others have an attribute: both are one argument here.
Each module registers its functions in :data:`~holdfast.interop.onnx.operators.registry.OPERATORS`.
"""

from holdfast.interop.onnx.operators import elementwise, normalisation, reductions, resizing, shapes, windows  # noqa: F401
from holdfast.interop.onnx.operators.registry import MAX_OUTPUTS, OPERATORS, SIGNATURES

__all__ = ["MAX_OUTPUTS", "OPERATORS", "SIGNATURES"]
