"""``python -m holdfast.tf1``: see :mod:`holdfast.tf1.graph.programs`."""

from holdfast.tf1.graph.programs import main

main()
