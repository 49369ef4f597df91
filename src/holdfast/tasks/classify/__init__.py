"""Classify: a sequence of numbers or a text in, one label out, or several."""
