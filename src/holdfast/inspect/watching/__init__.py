"""Listeners that look at a model while it learns: pictures drawn again and again, and files for TensorBoard."""

from holdfast.inspect.watching.live import Live
from holdfast.inspect.watching.tensorboard import TensorBoard

__all__ = ["Live", "TensorBoard"]
