"""Modules of torch.nn, and files of PyTorch: :mod:`~holdfast.interop.pytorch.files` reads and writes them."""
