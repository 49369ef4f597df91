"""Trained models over HTTP: Open Inference Protocol v2, a plain door for examples as people write them, and streams.

:func:`holdfast.serve.app.build` makes the application from a :class:`holdfast.serve.service.Service`;
:func:`holdfast.serve.server.run` runs it. The libraries of the extra ``serve`` are imported in these modules alone.
"""
