"""Forecast: a window of a series in, the rows that follow out."""
