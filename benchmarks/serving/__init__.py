"""Measurements of `holdfast serve`: streams under load for a long time, and speed beside a plain handler."""
