"""Checkpoints of TensorFlow 1, without TensorFlow: :mod:`~holdfast.interop.tf1.network` reads them."""
