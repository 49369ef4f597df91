"""Keras's recurrent layers, computed by Holdfast."""
