"""ONNX files: :mod:`~holdfast.interop.onnx.files` reads them, :mod:`~holdfast.interop.onnx.forms` writes them."""
