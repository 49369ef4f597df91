"""Tag: a label or a number for every step."""
