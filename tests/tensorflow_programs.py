"""Programs that must train alike under TensorFlow and under Holdfast, from the same initial values."""

from __future__ import annotations

PROGRAMS: dict[str, str] = {}
