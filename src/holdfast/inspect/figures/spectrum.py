"""The eigenvalues of recurrent matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import ShapeError
from holdfast.inspect.figures.canvas import BLUE, FAINT, MUTED, as_array, axes_or_new, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def spectrum(matrix: Any, *, name: str = "", ax: Axes | None = None) -> Axes:
    """Draws the eigenvalues of a recurrent matrix in the complex plane, with the unit circle.

    Where the state of a step is the matrix times the state before it, parts of the state along eigenvectors with
    eigenvalues inside the circle fade, and outside of it they grow. The title has the spectral radius: the largest
    absolute value.

    Args:
        matrix: The recurrent weights of one gate, [H, H].
        name: What the matrix is, such as the name of the gate.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        ShapeError: The matrix is not [H, H].

    Example:
        >>> import holdfast
        >>> weights = holdfast.LSTM(3, 4).weight_hh_l0.chunk(4)  # input, forget, candidate, output
        >>> ax = spectrum(weights[1], name="forget gate")
    """
    matrix = as_array(matrix).astype(float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"spectrum got a matrix {matrix.shape}; expected [H, H], the weights of one gate.")
    values = np.linalg.eigvals(matrix)
    radius = float(np.abs(values).max(initial=0.0))
    ax = axes_or_new(ax, width=4.0, height=4.0)
    angles = np.linspace(0, 2 * np.pi, 181)
    ax.axhline(0, color=FAINT, linewidth=0.6, zorder=1)
    ax.axvline(0, color=FAINT, linewidth=0.6, zorder=1)
    ax.plot(np.cos(angles), np.sin(angles), color=MUTED, linewidth=1.0, zorder=2)
    many = len(values) > 200
    ax.scatter(values.real, values.imag, s=7 if many else 14, color=BLUE, alpha=0.55, linewidths=0, zorder=3)
    edge = 1.08 * max(1.0, radius)
    ax.set(xlim=(-edge, edge), ylim=(-edge, edge))
    ax.set_aspect("equal")
    title = f"spectral radius {radius:.2f}"
    return dress(ax, f"{name}: {title}" if name else title.capitalize(), "real part", "imaginary part", grid="")
