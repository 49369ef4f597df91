"""The page at ``/``, on which a person tries the models of a server."""

from holdfast.serve.page.routes import ROUTES

__all__ = ["ROUTES"]
