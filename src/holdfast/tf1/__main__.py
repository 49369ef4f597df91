"""``python -m holdfast.tf1``: see :mod:`holdfast.tf1.graph.runner`."""

from holdfast.tf1.graph.runner import main

if __name__ == "__main__":
    main()
