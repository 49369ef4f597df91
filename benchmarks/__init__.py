"""Holdfast compared with its peers: ``python -m benchmarks --help``."""
