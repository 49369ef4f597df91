"""Models of other software: PyTorch, Keras, ONNX and TensorFlow 1, in and out.

Tables of gate orders (:mod:`~holdfast.interop.layouts`), what every file becomes
(:mod:`~holdfast.interop.network`), and a folder for each format, which knows names and layouts alone.
"""
