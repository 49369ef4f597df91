"""A page that runs a model: one HTML file with its weights and a small program in JavaScript."""

from holdfast.inspect.page.writing import page_of, write_page

__all__ = ["page_of", "write_page"]
