"""Regress: a number or several for a sequence, or for every step."""
