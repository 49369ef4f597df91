"""The types of answers in Spark's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars


def spark_column(column: polars.Series) -> str:
    """The name and type of a column in Spark's form of a schema, such as ```label` string``."""
    name = column.name.replace("`", "``")
    return f"`{name}` {_type(column.dtype)}"


def _type(kind: polars.DataType) -> str:
    import polars

    if isinstance(kind, polars.List):
        return f"array<{_type(kind.inner)}>"  # type: ignore[arg-type]  # polars also allows the class of a type
    if kind.is_integer():
        return "bigint"
    return "double" if kind.is_numeric() else "string"
