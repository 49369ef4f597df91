"""``python -m holdfast.serve``: what ``holdfast serve`` does, where only ``holdfast-runtime`` is installed."""

import sys

from holdfast.serve.arguments import main

if __name__ == "__main__":
    sys.exit(main())
