"""The network of a forecaster: recurrent layers over the window, then the next rows, all at once or one by one."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Head, Linear
from holdfast.layers.chain.special import Horizon, KnownAhead, WindowScaling
from holdfast.tasks.forecast.settings import ForecastModel
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.one_step import one_step

_LOCAL = 16
"""Values per row of the horizon that the window gives, where the row has known columns."""
_LEAST_DEVIATION = 1e-5


class Forecaster(nn.Module):
    """Recurrent layers over a window, and a linear layer that forecasts.

    The direct method reads the final hidden state and forecasts all rows of the horizon at once. With known columns,
    the final state gives each row a few values, and one small network for all rows combines them with the known columns
    (as in Wen et al. 2017, "A multi-horizon quantile recurrent forecaster"). The recursive method forecasts one row
    from each step; in use, its own forecast is the input of the next step.

    With ``window_scaling = "standard"``, each window has zero mean and unit variance before the layers, and the
    forecast is scaled back (reversible instance normalisation, Kim et al. 2022); ``"last"`` subtracts the last value.
    """

    def __init__(self, targets: int, past: int, known: int, horizon: int, settings: ForecastModel) -> None:
        """Builds the network.

        Args:
            targets: C, values per row to forecast.
            past: P, further values per row of the window.
            known: F, values per row that are known ahead of time.
            horizon: H, the number of rows that the direct method forecasts.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__()
        self.targets, self.scaling, self.recursive = targets, settings.window_scaling, settings.method == "recursive"
        self.shape = (targets, len(settings.quantiles) if settings.loss == "quantile" else 1)
        self.recurrent = recurrent_layers(targets + past + known, settings)
        self.dropout = nn.Dropout(settings.dropout)
        size, values = self.recurrent.output_size, self.shape[0] * self.shape[1]
        self.context: nn.Module | None = None
        if self.recursive:
            self.output: nn.Module = nn.Linear(size, values)
        elif known:
            self.context = nn.Linear(size, horizon * _LOCAL)
            self.output = nn.Sequential(nn.Linear(_LOCAL + known, _LOCAL), nn.ReLU(), nn.Linear(_LOCAL, values))
        else:
            self.output = nn.Linear(size, horizon * values)

    def forward(self, inputs: Tensor, future: Tensor, actual: Tensor | None = None) -> Tensor:
        """Forecasts.

        Args:
            inputs: [B, W, C + P + F]; the known values of a row are in the row before it.
            future: [B, H, F]; its H is the number of rows that the recursive method forecasts.
            actual: The true next rows, [B, H, C], as inputs of the recursive method (teacher forcing); None to use its
                own forecasts.

        Returns:
            [B, H, C, Q], the Q quantiles ascending.
        """
        y, rest = inputs[..., : self.targets], inputs[..., self.targets :]
        centre, spread = self.statistics(y)
        window = torch.cat([(y - centre) / spread, rest], -1)
        if not self.recursive:
            forecast = self._direct(window, future)
        elif actual is None:
            forecast = self._closed_loop(window, future)
        else:
            next_rows = torch.cat([(actual - centre) / spread, future.roll(-1, 1)], -1)[:, :-1]
            outputs, _ = self.recurrent(torch.cat([window, next_rows], 1))
            forecast = self.output(self.dropout(outputs[:, window.shape[1] - 1 :]))
        ordered = forecast.reshape(*forecast.shape[:2], *self.shape).sort(-1).values
        return ordered * spread[..., None] + centre[..., None]

    def chain(self) -> Chain:
        """The parts of the network."""
        scaling = [] if self.scaling == "none" else [WindowScaling(self.scaling, self.targets)]
        layers = [*scaling, self.recurrent.part("recurrent")]
        if self.recursive:
            return Chain((*layers, Linear.of("output", self.output), Horizon(1, *self.shape, recursive=True)))
        if self.context is None:
            last: Linear | KnownAhead = Linear.of("output", self.output)
        else:
            hidden, _, output = cast(nn.Sequential, self.output)
            context, hidden_part = Linear.of("context", self.context), Linear.of("output.0", hidden)
            last = KnownAhead(context, hidden_part, Linear.of("output.2", output), hidden_part.inputs - _LOCAL)
        rows = last.output_size // (self.shape[0] * self.shape[1])
        return Chain((*layers, Head("last_state"), last, Horizon(rows, *self.shape)))

    def statistics(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The shift and the divisor of each window, [B, 1, C] each."""
        if self.scaling == "standard":
            return y.mean(1, keepdim=True), y.std(1, keepdim=True, correction=0) + _LEAST_DEVIATION
        last = y[:, -1:]
        return last if self.scaling == "last" else torch.zeros_like(last), torch.ones_like(last)

    def follow(self, rows: Tensor, scale: tuple[Tensor, Tensor], state: Any = None) -> tuple[Tensor, Any]:
        """Forecasts the next row by the recursive method.

        Args:
            rows: [B, T, C + F]; the known values of a row are in the row before it.
            scale: The result of :meth:`statistics` for the window.
            state: The recurrent layers' state before these rows; None at the start of the window.

        Returns:
            The row [B, 1, C], and the state after ``rows``.
        """
        centre, spread = scale
        scaled = torch.cat([(rows[..., : self.targets] - centre) / spread, rows[..., self.targets :]], -1)
        outputs, state = self.recurrent(scaled, state)
        return self.output(self.dropout(outputs[:, -1:])) * spread + centre, state

    def _direct(self, window: Tensor, future: Tensor) -> Tensor:
        _, state = self.recurrent(window)
        final = self.dropout(self.recurrent.last_hidden(state))
        if self.context is None:
            flat: Tensor = self.output(final)
            return flat.reshape(flat.shape[0], future.shape[1], -1)
        context = torch.relu(self.context(final)).reshape(final.shape[0], future.shape[1], _LOCAL)
        rows: Tensor = self.output(torch.cat([context, future], -1))
        return rows

    def _closed_loop(self, window: Tensor, future: Tensor) -> Tensor:
        """Each forecast is the input of the next step."""
        outputs, state = self.recurrent(window)
        rows = [self.output(self.dropout(outputs[:, -1:]))]
        count, horizon = window.shape[0], future.shape[1]
        next_row = one_step(self, "recurrent", rows=count, steps=horizon - 1, output="output") or self._next_row
        for row in range(1, horizon):
            forecast, state = next_row(torch.cat([rows[-1], future[:, row : row + 1]], -1), state)
            rows.append(forecast)
        return torch.cat(rows, 1)

    def _next_row(self, row: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, state = self.recurrent(row, state)
        return self.output(self.dropout(outputs)), state
