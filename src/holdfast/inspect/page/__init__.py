"""A page that runs a model: one HTML file with its weights and a small program in JavaScript.

Each name is imported when it is first used: a server needs the scripts alone, and no torch.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand

if TYPE_CHECKING:
    from holdfast.inspect.page.writing import page_of, write_page

__all__ = ["page_of", "write_page"]

__getattr__ = on_demand(__name__, dict.fromkeys(__all__, "holdfast.inspect.page.writing"))
