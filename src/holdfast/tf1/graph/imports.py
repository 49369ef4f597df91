"""``import tensorflow`` in a program: our namespaces in the place of TensorFlow's modules."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

from holdfast.tf1.graph.names import importable, namespace

_NO_TENSORFLOW = "tensorboard.compat.notf"  # a module that has TensorBoard use its own parts and not TensorFlow's
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``tensorflow`` and all modules in it.

    An installed TensorFlow is neither imported nor changed: it is only not found by this process.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The place of a module of TensorFlow; None for every other module.

        Raises:
            ModuleNotFoundError: TensorFlow 1 has such a module, or not, and Holdfast has nothing for it.
        """
        package, _, place = fullname.partition(".")
        if fullname == "matplotlib":
            _draw_without_a_display()
        if fullname == _NO_TENSORFLOW:
            return importlib.machinery.ModuleSpec(fullname, self)
        if package != "tensorflow":
            return None
        if not importable(place):
            raise ModuleNotFoundError(
                f"Holdfast has no module {fullname}. docs/tf1.md lists what it runs.", name=fullname
            )
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The namespace."""
        if spec.name == _NO_TENSORFLOW:
            return ModuleType(spec.name)
        return namespace(spec.name.partition(".")[2])

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: a namespace finds its names when they are asked for."""


def install() -> Finder:
    """Makes ``import tensorflow`` give Holdfast's names in this process, and returns the finder that does so."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]:
        del sys.modules[name]
    finder = Finder()
    sys.meta_path.insert(0, finder)
    return finder


def _draw_without_a_display() -> None:
    """Where no window can open, lets matplotlib draw into memory, and says so once."""
    if sys.platform != "linux" or any(os.environ.get(name) for name in _DISPLAYS):
        return
    os.environ["MPLBACKEND"] = "Agg"
    warnings.filterwarnings("ignore", ".*is non-interactive, and thus cannot be shown")
    print(
        "holdfast: there is no display, so matplotlib draws without windows (its backend Agg), and plt.show() shows "
        "nothing; plt.savefig('FILE.png') keeps a picture.",
        file=sys.stderr,
    )
