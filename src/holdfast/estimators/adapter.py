"""What the estimators as classes of other libraries share; each library has a module of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from holdfast.estimators.base import Estimator
from holdfast.estimators.parameters import Parameter, constructor, described

_FIXED = ("layout", "warm_start", "per", "window", "encoder_decoder")
"""Arguments that the libraries' conventions decide."""


class Adapter:
    """An estimator as a class of another library: a base next to the library's own, which calls these methods.

    Attributes:
        adapts: The class of the estimator.
        decided: Arguments of it that are always the same.
        estimator_: The fitted estimator, for ``save``, ``history_`` and ``model_``.
    """

    adapts: ClassVar[type[Estimator]]
    decided: ClassVar[Mapping[str, Any]] = {}
    fields: ClassVar[Mapping[str, Parameter]] = {}

    estimator_: Any
    missing: str

    def __init_subclass__(cls, **options: Any) -> None:
        """Makes the constructor of a class that names its estimator."""
        super().__init_subclass__(**options)
        if "adapts" not in cls.__dict__:
            return
        cls.fields = {name: p for name, p in cls.adapts.parameters.items() if name not in _FIXED}
        cls.__init__ = constructor(cls.fields, cls._begin)  # type: ignore[method-assign]
        cls.__doc__ = described(cls.__doc__, cls.fields)

    def _begin(self) -> None:
        super().__init__()
        tags: Any = self  # the library's base has set_tags
        tags.set_tags(**{"capability:missing_values": self.missing not in ("error", None)})

    def _fit(self, X: Any, y: npt.NDArray[Any]) -> Any:
        arguments = {name: getattr(self, name) for name in self.fields}
        self.estimator_ = self.adapts(**arguments, **self.decided).fit(self._sequences(X), y)
        return self

    def _predict(self, X: Any) -> npt.NDArray[Any]:
        answers: npt.NDArray[Any] = self.estimator_.predict(self._sequences(X))
        return answers

    @staticmethod
    def _sequences(X: Any) -> Any:
        """The library's sequences as the estimator takes them."""
        return X
