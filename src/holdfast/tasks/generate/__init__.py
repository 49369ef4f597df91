"""Generate: a language model that continues a text."""
